// @ts-check
/**
 * The HTTP load generator, a process of its own: `node bench/load/http.js '{"port":9001,"path":"/"}'`. autocannon does
 * the work; this runs it twice, to warm up and to measure, and prints one line of JSON.
 */

// @ts-expect-error: autocannon has no types
import autocannon from 'autocannon';
import { measure } from './measure.js';

const options = {
  host: '127.0.0.1',
  path: '/',
  connections: 100,
  pipelining: 1,
  seconds: 3,
  warmup: 1,
  serverPid: 0,
  ...JSON.parse(process.argv[2] ?? '{}'),
};

await run(options.warmup);
/** @type {any} */
let result;
const interval = await measure(options.serverPid, async () => {
  result = await run(options.seconds);
});

console.log(
  JSON.stringify({
    ...interval,
    value: result.requests.total / interval.seconds,
    p50: result.latency.p50,
    p99: result.latency.p99,
    errors: result.errors + result.timeouts + result.non2xx,
  }),
);

/** @param {number} seconds */
function run(seconds) {
  const { host, port, path, connections, pipelining } = options;
  return autocannon({ url: `http://${host}:${port}${path}`, connections, pipelining, duration: seconds });
}
