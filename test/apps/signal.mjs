/** A ticker on each lane that ends with the gateway, and a hook that takes a while. */
import { setTimeout as delay, setInterval as ticks } from 'node:timers/promises';

let started = false;

async function tick({ signal, log }) {
  if (started) return;
  started = true;
  try {
    for await (const _ of ticks(10, undefined, { signal }));
  } catch {
    log.info('ticker ended');
  }
}

export default {
  websocket: {
    open(peer) {
      tick(peer.gateway);
    },
    async message(peer, message) {
      await delay(300);
      peer.send(`${message.text()}: ${peer.gateway.signal.aborted ? 'aborted' : 'not aborted'}`);
    },
  },
};
