// @ts-check
/** threadgate itself, with its defaults, running the app of the workload's name. */

import { createGateway } from '../../dist/src/index.js';
import { limits, listening, options } from './options.js';

// Apps run in the lanes, which inherit the environment.
process.env.BENCH_BURN = String(options.burn);

const gateway = await createGateway({
  app: new URL(`../apps/${options.workload}.js`, import.meta.url),
  host: options.host,
  port: options.port,
  lanes: options.lanes,
  idleTimeout: 0,
  logLevel: 'error',
  ...limits,
});
listening(gateway.port);
