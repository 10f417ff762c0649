// @ts-check
/** threadgate itself, with its defaults, running the app of the work's name. */

import { pathToFileURL } from 'node:url';
import { endWithRunner, limits, listening, options } from './options.js';

const dist = options.dist ? pathToFileURL(`${options.dist}/`) : new URL('../../dist/', import.meta.url);
/** @type {typeof import('../../dist/src/index.js')} */
const { createGateway } = await import(new URL('src/index.js', dist).href);

// Apps run in the lanes, which inherit the environment.
process.env.BENCH_BURN = String(options.burn);

const gateway = await createGateway({
  app: new URL(`../apps/${options.work}.js`, import.meta.url),
  host: options.host,
  port: 0,
  lanes: options.threads,
  idleTimeout: 0,
  logLevel: 'error',
  ...limits,
});
endWithRunner();
listening(gateway.port);
