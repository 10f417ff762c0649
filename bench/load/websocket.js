// @ts-check
/**
 * The WebSocket load generator, a process of its own: `node bench/load/websocket.js '{"mode":"echo","port":9001,…}'`.
 * It warms the server up, measures, and prints one line of JSON. Both runs start with nothing on the way and end when the
 * last reply has arrived, so exactly the messages that were sent are counted.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { ChatLoad } from './chat.js';
import { dialects } from './dialects.js';
import { EchoLoad } from './echo.js';
import { FanoutLoad } from './fanout.js';
import { measure } from './measure.js';
import { MixedLoad } from './mixed.js';
import { loadOptions } from './options.js';
import { PacedLoad } from './paced.js';
import { chatPayload, plainPayload } from './payload.js';

/** Milliseconds without any reply after which what has not come back is lost. */
const DRAIN_TIMEOUT = 5000;
const DRAIN_POLL = 1;

/**
 * What every kind of load can do.
 *
 * @typedef {object} Load
 * @property {number} completed since the last reset
 * @property {number} outstanding
 * @property {number} errors connections that broke
 * @property {import('./histogram.js').Histogram} latency
 * @property {(target: import('./connection.js').Target) => Promise<void>} connect
 * @property {() => void} start
 * @property {() => void} stop
 * @property {() => void} reset
 * @property {() => void | Promise<void>} disconnect
 * @property {(seconds: number) => Record<string, number>} [extras]
 */

const options = loadOptions({ mode: 'echo', connections: 64, inflight: 16, size: 64 });
const dialect = dialects[/** @type {keyof typeof dialects} */ (options.dialect)];
const frame = dialect.frame(plainPayload(options.size), 'bytes');
const heavyFrame = dialect.frame(plainPayload(options.size, { heavy: true }), 'bytes');

/** @type {Record<string, () => Load>} */
const loads = {
  echo: () => new EchoLoad({ ...options, frame }),
  paced: () => new PacedLoad({ ...options, frame }),
  mixed: () => new MixedLoad({ ...options, frame, heavyFrame }),
  fanout: () => new FanoutLoad({ ...options, frame, topic: 'bench' }),
  chat: () => new ChatLoad({ ...options, frame: room => dialect.frame(chatPayload(room), 'json') }),
};

const load = /** @type {() => Load} */ (loads[options.mode])();
await load.connect(options);
await run(options.warmup);
if (load.outstanding > 0) throw new Error(`${load.outstanding} messages of the warm-up are lost`);
load.reset();
const interval = await measure(options.serverPid, () => run(options.seconds));
await load.disconnect();
if (load.errors > 0 || load.outstanding > 0) {
  throw new Error(`${load.errors} connections broke, ${load.outstanding} messages are lost`);
}

console.log(
  JSON.stringify({
    ...interval,
    value: load.completed / interval.seconds,
    p50: load.latency.percentile(0.5),
    p99: load.latency.percentile(0.99),
    p999: load.latency.percentile(0.999),
    extras: load.extras?.(interval.seconds),
  }),
);

/** @param {number} seconds */
async function run(seconds) {
  load.start();
  await delay(seconds * 1000);
  load.stop();
  let left = load.outstanding;
  let progressAt = performance.now();
  while (load.outstanding > 0 && load.errors === 0 && performance.now() - progressAt < DRAIN_TIMEOUT) {
    await delay(DRAIN_POLL);
    if (load.outstanding !== left) progressAt = performance.now();
    left = load.outstanding;
  }
}
