// @ts-check
/**
 * The HTTP load generator, a process of its own: `node bench/load/http.js '{"port":9001,"path":"/"}'`. autocannon does
 * the work; this runs it twice, to warm up and to measure, and prints one line of JSON.
 */

import { cannonade } from './cannonade.js';
import { measure } from './measure.js';
import { loadOptions } from './options.js';

const options = loadOptions({ path: '/', connections: 100 });

await cannonade(options, options.warmup);
/** @type {any} */
let result;
const interval = await measure(options.serverPid, async () => {
  result = await cannonade(options, options.seconds);
});

console.log(
  JSON.stringify({
    ...interval,
    value: result.requests.total / interval.seconds,
    p50: result.latency.p50,
    p99: result.latency.p99,
    p999: result.latency.p99_9,
  }),
);
