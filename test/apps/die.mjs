/**
 * A lane that dies as it is told: `exit`, `throw later`, `reject later`, `out of memory`. Everything else is answered
 * with itself and the lane's thread. Does not start where the file that TEST_BROKEN names is there.
 */
import { existsSync } from 'node:fs';
import { threadId } from 'node:worker_threads';

const broken = process.env.TEST_BROKEN;
if (broken !== undefined && existsSync(broken)) throw new Error('broken for now');

const deaths = {
  exit: () => process.exit(7),
  'throw later': () =>
    setImmediate(() => {
      throw new Error('nobody catches this');
    }),
  'reject later': () => void Promise.reject(new Error('nobody handles this')),
  'out of memory': () => {
    const kept = [];
    for (;;) kept.push(new Array(1_000_000).fill(kept.length));
  },
};

export default {
  websocket: {
    message(peer, message) {
      const text = message.text();
      if (text === 'subscribe') return void peer.subscribe('t');
      if (text.startsWith('publish ')) return peer.gateway.publish('t', text.slice(8));
      if (text === 'close') return void peer.close(4321, 'closed by the app');
      if (text === 'burst') {
        for (let i = 0; i < 5000; i++) peer.send(`${i} ${'x'.repeat(100)}`);
        return;
      }
      if (text === 'send and exit') {
        peer.send('never finished');
        process.exit(7);
      }
      const die = deaths[text];
      if (die !== undefined) return die();
      peer.send(`${text} ${peer.gateway.lane} ${threadId}`);
    },
    close(peer, { code }) {
      peer.gateway.publish('t', `closed ${code}`);
    },
  },
};
