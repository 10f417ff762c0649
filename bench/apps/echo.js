// @ts-check
/** Sends every message back. */

/** @type {import('../../dist/src/index.js').App} */
export default {
  websocket: {
    message(peer, message) {
      peer.send(message.uint8Array());
    },
  },
};
