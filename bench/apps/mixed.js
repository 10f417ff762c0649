// @ts-check
/** Hands heavy messages to a job, as the README advises, and sends every message back. */

import { isHeavy } from '../work/heavy.js';

const iterations = Number(process.env.BENCH_BURN);

/** @type {import('../../dist/src/index.js').App} */
export default {
  jobs: './mixed-jobs.js',
  websocket: {
    async message(peer, message) {
      const data = message.uint8Array();
      if (isHeavy(data)) {
        const result = await peer.gateway.run('work', iterations);
        if (!result.ok) throw result.error;
      }
      peer.send(data);
    },
  },
};
