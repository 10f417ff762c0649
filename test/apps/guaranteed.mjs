/**
 * Answers each guaranteed message twice with guarantee, before its work and after it: both are seen, or neither. On
 * `/sync` the work keeps the thread, on `/async` it is a wait. `poison` ends the lane. Texts that may be lost are not answered.
 */
import { setTimeout as delay } from 'node:timers/promises';

const guaranteed = { guaranteed: true };

function spin(ms) {
  for (const end = performance.now() + ms; performance.now() < end; );
}

const hooks = {
  '/sync': (peer, text) => {
    peer.send(`began ${text}`, guaranteed);
    spin(Math.random() * 0.4);
    peer.send(`ended ${text}`, guaranteed);
  },
  '/async': async (peer, text) => {
    peer.send(`began ${text}`, guaranteed);
    await delay(Math.random() * 4);
    peer.send(`ended ${text}`, guaranteed);
  },
};

const paths = new WeakMap();

export default {
  websocket: {
    message(peer, message) {
      const text = message.text();
      if (text.startsWith('may be lost')) return;
      if (text === 'poison') process.exit(1);
      const path = paths.get(peer) ?? new URL(peer.request.url).pathname;
      paths.set(peer, path);
      return hooks[path](peer, message.redelivered ? `${text} again` : text);
    },
  },
};
