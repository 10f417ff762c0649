/**
 * Writes a line to the file of TEST_TRACE for each hook that ends. A message `hang` never settles, `slow` takes 200 ms,
 * `spin` never gives its thread back; the close hook takes a turn of its own.
 */
import { appendFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

const trace = line => process.env.TEST_TRACE && appendFileSync(process.env.TEST_TRACE, `${line}\n`);

export default {
  websocket: {
    async message(peer, message) {
      const text = message.text();
      if (text === 'hang') await new Promise(() => {});
      if (text === 'spin') for (;;);
      if (text === 'slow') await delay(200);
      if (text === 'timer') setInterval(() => {}, 1000);
      trace(text);
      peer.send(text);
    },
    async close(_peer, { code, reason }) {
      await delay(1);
      trace(`close ${code} ${reason}`);
    },
  },
  fetch: () => new Response('here'),
};
