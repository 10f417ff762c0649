/**
 * Answers each message with itself after a moment; `flood` is answered with as much as it takes until something waits
 * that the client does not take off. The log gets a line for each close hook.
 */
import { setTimeout as delay } from 'node:timers/promises';

const block = Buffer.alloc(64 * 1024);
/** What still waits after this many looks, kernels have not taken and will not take. */
const ENOUGH = 256 * 1024;
const LOOKS = 100;

export default {
  websocket: {
    async message(peer, message) {
      const text = message.text();
      if (text !== 'flood') {
        if (text.endsWith('0')) await delay(5);
        return void peer.send(text);
      }
      let sent = 0;
      for (let looks = 0; looks < LOOKS; looks++) {
        while (peer.bufferedAmount < ENOUGH && peer.websocket.readyState === 1) {
          peer.send(block);
          sent += block.length;
          looks = 0;
          await delay(5);
        }
        await delay(5);
      }
      peer.gateway.log.info('flooded', { sent });
    },
    async close(peer, { code, reason }) {
      await delay(1);
      peer.gateway.log.info('close hook', { code, reason });
    },
  },
  fetch: async () => {
    await delay(50);
    return new Response('here');
  },
};
