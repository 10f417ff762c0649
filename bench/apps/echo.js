// @ts-check
/** Works for as long as it is told to on every message, then sends it back. */

import { burn } from '../work/burn.js';

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
