// @ts-check
/**
 * HTTP requests that publish: autocannon POSTs to `/publish?topic=bench`, and WebSocket subscribers count what reaches
 * them. One process, and one line of JSON: deliveries a second, and requests accepted a second.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { cannonade } from './cannonade.js';
import { Connection } from './connection.js';
import { measure } from './measure.js';
import { loadOptions } from './options.js';

const CONNECTING_AT_ONCE = 200;
/** Milliseconds without a delivery after which no more will come. */
const QUIET = 100;

const options = loadOptions({ subscribers: 1000, connections: 10 });
const cannon = { ...options, path: '/publish?topic=bench', body: 'plain' };

let delivered = 0;
let lastDelivery = 0;
let broken = 0;

class Subscriber extends Connection {
  /** @override @param {number} count */
  onMessages(count) {
    delivered += count;
    lastDelivery = performance.now();
  }

  /** @override */
  onClose() {
    broken++;
  }
}

const subscribers = Array.from({ length: options.subscribers }, () => new Subscriber());
for (let i = 0; i < subscribers.length; i += CONNECTING_AT_ONCE) {
  const some = subscribers.slice(i, i + CONNECTING_AT_ONCE);
  await Promise.all(some.map(subscriber => subscriber.open({ ...options, query: 'topic=bench' })));
}
await publish(options.warmup);
delivered = 0;
/** @type {any} */
let result;
const start = performance.now();
const interval = await measure(options.serverPid, async () => {
  result = await publish(options.seconds);
});
const seconds = (lastDelivery - start) / 1000;
for (const subscriber of subscribers) subscriber.destroy();
if (broken > 0) throw new Error(`${broken} connections broke`);

console.log(
  JSON.stringify({
    ...interval,
    seconds,
    value: delivered / seconds,
    p50: result.latency.p50,
    p99: result.latency.p99,
    p999: result.latency.p99_9,
    extras: {
      'accepted/s': result.requests.total / result.duration,
      // Requests that autocannon broke off at the end have been published too, and count on neither side.
      'delivered of accepted': Math.min(1, delivered / (result.requests.total * options.subscribers)),
    },
  }),
);

/** Until the last delivery has arrived. @param {number} seconds */
async function publish(seconds) {
  const result = await cannonade(cannon, seconds);
  lastDelivery = Math.max(lastDelivery, performance.now());
  while (performance.now() - lastDelivery < QUIET) await delay(QUIET / 4);
  return result;
}
