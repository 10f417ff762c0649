// @ts-check
/**
 * The connect load, a process of its own: so many clients at a time connect, are upgraded, and leave, over and over. It
 * counts upgrades and prints one line of JSON.
 */

import { Connection } from './connection.js';
import { Histogram } from './histogram.js';
import { measure } from './measure.js';
import { loadOptions } from './options.js';

const options = loadOptions({ atOnce: 32 });

const latency = new Histogram();
let completed = 0;
await run(options.warmup);
completed = 0;
latency.reset();
const interval = await measure(options.serverPid, () => run(options.seconds));

console.log(
  JSON.stringify({
    ...interval,
    value: completed / interval.seconds,
    p50: latency.percentile(0.5),
    p99: latency.percentile(0.99),
    p999: latency.percentile(0.999),
  }),
);

/** @param {number} seconds */
async function run(seconds) {
  const end = performance.now() + seconds * 1000;
  const client = async () => {
    while (performance.now() < end) {
      const start = performance.now();
      const connection = new Connection();
      await connection.open(options);
      latency.record((performance.now() - start) * 1000);
      completed++;
      connection.destroy();
    }
  };
  await Promise.all(Array.from({ length: options.atOnce }, client));
}
