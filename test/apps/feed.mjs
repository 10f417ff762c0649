/** Answers every message, and publishes a feed of binary frames, some a second, to all connections. */
const FRAME = new Uint8Array(16 * 1024);
const EVERY_MS = 25;

export default {
  websocket: {
    open(peer) {
      peer.subscribe('feed');
      if (peer.gateway.lane === 0) start(peer.gateway);
    },
    message(peer, message) {
      peer.send(message.text());
    },
  },
};

let started = false;

function start(gateway) {
  if (!started) setInterval(() => gateway.publish('feed', FRAME), EVERY_MS);
  started = true;
}
