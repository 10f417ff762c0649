// @ts-check
/** A trivial route, one that works for a while first, one that takes and gives JSON, and one that publishes. */

import { burn } from '../work/burn.js';
import { orderSummary } from '../work/order.js';
import { subscribeByQuery } from './topics.js';

const iterations = Number(process.env.BENCH_BURN);

/** @type {import('../../dist/src/index.js').App} */
export default {
  fetch(request, gateway) {
    if (request.method === 'POST') return post(request, gateway);
    if (request.url.endsWith('/cpu')) burn(iterations);
    return new Response('hello', { headers: { 'content-type': 'text/plain' } });
  },
  websocket: { open: subscribeByQuery },
};

/** @param {Request} request @param {import('../../dist/src/index.js').Gateway} gateway */
async function post(request, gateway) {
  if (request.url.endsWith('/order')) {
    const headers = { 'content-type': 'application/json' };
    return new Response(orderSummary(await request.text()), { headers });
  }
  const topic = new URL(request.url).searchParams.get('topic') ?? '';
  gateway.publish(topic, new Uint8Array(await request.arrayBuffer()));
  return new Response(null, { status: 202 });
}
