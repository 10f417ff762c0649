/**
 * Hooks that take their time. A message `{ "n": 3, "wait": 2 }` is answered after so many turns or milliseconds; every
 * answer tells how many hooks of this connection ran at that time.
 */
import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises';

const running = new Map();
const waiting = new Map();

async function work(peer, hook, wait) {
  const before = running.get(peer.id) ?? 0;
  running.set(peer.id, before + 1);
  try {
    if (wait === 'turn') await turn();
    else if (wait > 0) await delay(wait);
    return `${hook} ${before}`;
  } finally {
    running.set(peer.id, before);
  }
}

export default {
  websocket: {
    async open(peer) {
      peer.subscribe('topic');
      if (peer.namespace === '/watch') peer.subscribe('closed');
      peer.send(await work(peer, 'open', 5));
    },
    message(peer, message) {
      const { n, wait, release, hold, publish } = message.json();
      if (hold !== undefined)
        return new Promise(resolve => waiting.set(hold, resolve)).then(() => peer.send('held'));
      if (release !== undefined) {
        waiting.get(release)?.();
        peer.send('released');
        return;
      }
      if (publish !== undefined) {
        // One hook, in this order; the publication reaches this peer too.
        for (let i = 0; i < publish; i++) {
          peer.gateway.publish('topic', `published ${i}`);
          peer.send(`sent ${i}`);
        }
        return;
      }
      if (wait === undefined) {
        peer.send(`${n} at once`);
        return;
      }
      return work(peer, 'message', wait).then(text => peer.send(`${n} ${text}`));
    },
    async close(peer) {
      peer.gateway.publish('closed', await work(peer, 'close', 'turn'));
    },
  },
};
