// @ts-check
/** A trivial route, and `/cpu`, which works for a while first. */

import { burn } from '../burn.js';

const iterations = Number(process.env.BENCH_BURN);

/** @type {import('../../dist/src/index.js').App} */
export default {
  fetch(request) {
    if (request.url.endsWith('/cpu')) burn(iterations);
    return new Response('hello', { headers: { 'content-type': 'text/plain' } });
  },
};
