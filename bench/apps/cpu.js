// @ts-check
/** Works for a while on every message, then sends it back. */

import { burn } from '../burn.js';

const iterations = Number(process.env.BENCH_BURN);

/** @type {import('../../dist/src/index.js').App} */
export default {
  websocket: {
    message(peer, message) {
      burn(iterations);
      peer.send(message.uint8Array());
    },
  },
};
