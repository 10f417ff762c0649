// @ts-check
/** Works on heavy messages, and sends every message back. */

import { burn } from '../work/burn.js';
import { isHeavy } from '../work/heavy.js';

const iterations = Number(process.env.BENCH_BURN);

/** @type {import('../../dist/src/index.js').App} */
export default {
  websocket: {
    message(peer, message) {
      const data = message.uint8Array();
      if (isHeavy(data)) burn(iterations);
      peer.send(data);
    },
  },
};
