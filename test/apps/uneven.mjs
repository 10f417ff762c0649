/** `/heavy` burns CPU for each message, `/light` does not, `/async` waits; each reply tells the lane. */
import { setTimeout as delay } from 'node:timers/promises';

function burn(ms) {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

export default {
  websocket: {
    open(peer) {
      peer.subscribe('all');
    },
    resume() {},
    async message(peer, message) {
      if (peer.namespace === '/heavy') burn(2);
      if (peer.namespace === '/async') await delay(20);
      peer.send(`${message.text()} ${peer.gateway.lane}`);
    },
  },
};
