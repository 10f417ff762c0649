// @ts-check
/** Whoever connects with `?publisher` publishes; everyone else subscribes. One path, since topics stay within a namespace. */

/** @type {import('../../dist/src/index.js').App} */
export default {
  websocket: {
    open(peer) {
      if (!peer.request.url.endsWith('?publisher')) peer.subscribe('bench');
    },
    message(peer, message) {
      peer.publish('bench', message.uint8Array());
    },
  },
};
