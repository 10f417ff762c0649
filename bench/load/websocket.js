// @ts-check
/**
 * The WebSocket load generator, a process of its own: `node bench/load/websocket.js '{"mode":"echo","port":9001,…}'`.
 * It warms the server up, measures, and prints one line of JSON. Both runs start with nothing on the way and end when the
 * last reply has arrived, so exactly the messages that were sent are counted.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { EchoLoad } from './echo.js';
import { FanoutLoad } from './fanout.js';
import { measure } from './measure.js';

/** Milliseconds after which what has not come back is lost. */
const DRAIN_TIMEOUT = 10_000;
const DRAIN_POLL = 1;

/**
 * @typedef {import('./connection.js').Target & import('./echo.js').EchoOptions & import('./fanout.js').FanoutOptions & {
 *   mode: 'echo' | 'fanout', seconds: number, warmup: number, serverPid: number }} Options
 */

/** @type {Options} */
const options = {
  host: '127.0.0.1',
  connections: 64,
  subscribers: 1000,
  inflight: 16,
  size: 64,
  seconds: 3,
  warmup: 1,
  mode: 'echo',
  serverPid: 0,
  ...JSON.parse(process.argv[2] ?? '{}'),
};

const load = options.mode === 'fanout' ? new FanoutLoad(options) : new EchoLoad(options);
await load.connect(options);
await run(options.warmup);
load.completed = 0;
load.latency.reset();
const interval = await measure(options.serverPid, () => run(options.seconds));
load.disconnect();
if (load.errors > 0 || load.outstanding > 0) {
  throw new Error(`${load.errors} connections broke, ${load.outstanding} messages are lost`);
}

console.log(
  JSON.stringify({
    ...interval,
    value: load.completed / interval.seconds,
    p50: load.latency.percentile(0.5),
    p99: load.latency.percentile(0.99),
    errors: 0,
  }),
);

/** @param {number} seconds */
async function run(seconds) {
  load.start();
  await delay(seconds * 1000);
  load.running = false;
  const deadline = performance.now() + DRAIN_TIMEOUT;
  while (load.outstanding > 0 && load.errors === 0 && performance.now() < deadline) await delay(DRAIN_POLL);
}
