// @ts-check
/** Publishers publish every message as it is. */

import { subscribeByQuery } from './topics.js';

/** @type {import('../../dist/src/index.js').App} */
export default {
  websocket: {
    open: subscribeByQuery,
    message(peer, message) {
      peer.publish('bench', message.uint8Array());
    },
  },
};
