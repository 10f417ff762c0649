/**
 * Answers every message with itself. The path says how: `/sync` at once, `/micro` after a few turns of the microtask
 * queue, `/async` after a moment, `/silent` with nothing at all but for every tenth. Connections that were resumed say so
 * by a frame of their own where the query asks for it. `/fault` does what the message says: see `faults`.
 */
import { setTimeout as delay } from 'node:timers/promises';

const faults = {
  'out of memory': () => {
    const kept = [];
    for (;;) kept.push(new Array(1_000_000).fill(kept.length));
  },
  'process.exit': () => process.exit(1),
  'throw in a timer': () =>
    setTimeout(() => {
      throw new Error('thrown in a timer');
    }, 1),
  'unhandled rejection': () => void Promise.reject(new Error('rejected, and nobody looks')),
  'endless loop': () => {
    for (;;);
  },
  'endless recursion': function recurse() {
    return 1 + recurse();
  },
};

const hooks = {
  '/fault': (_peer, message) => void faults[message.text()](),
  '/sync': (peer, message) => void peer.send(message.text()),
  '/micro': async (peer, message) => {
    const text = message.text();
    await undefined;
    peer.send(text);
    await undefined;
  },
  '/async': async (peer, message) => {
    await delay(1);
    peer.send(message.text());
  },
  '/silent': (peer, message) => {
    const text = message.text();
    if (Number(text) % 10 === 0) peer.send(text);
  },
};

export default {
  websocket: {
    message(peer, message) {
      return hooks[peer.namespace](peer, message);
    },
    resume(peer) {
      if (peer.request.url.endsWith('?resume')) peer.send('resumed');
    },
  },
};
