/**
 * A lane that dies as it is told: see `deaths`. Everything else is answered with itself, the lane, and its thread. Does
 * not start where the file that TEST_BROKEN names is there.
 */
import { existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { threadId } from 'node:worker_threads';

const broken = process.env.TEST_BROKEN;
if (broken !== undefined && existsSync(broken)) throw new Error('broken for now');

const deaths = {
  exit: () => process.exit(7),
  'throw later': () =>
    void setImmediate(() => {
      throw new Error('nobody catches this');
    }),
  'reject later': () => void Promise.reject(new Error('nobody handles this')),
  'throw after await': async () => {
    await delay(5);
    setImmediate(() => {
      throw new Error('nobody catches this either');
    });
    await delay(1000);
  },
  'hang after await': async () => {
    await delay(5);
    for (;;);
  },
  'out of memory': () => {
    const kept = [];
    for (;;) kept.push(new Array(1_000_000).fill(kept.length));
  },
  hang: () => {
    for (;;);
  },
};

/** Blocks the thread, so that what follows waits in the ring. */
function block(ms) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

export default {
  websocket: {
    upgrade(request) {
      return { context: { query: new URL(request.url).search } };
    },
    open(peer) {
      if (peer.context.query === '?greet') peer.send(`open ${threadId}`);
    },
    resume(peer) {
      const { id, context, topics, request } = peer;
      if (context.query === '?resume')
        peer.send({ id, context, topics: [...topics], url: request.url, threadId });
    },
    message(peer, message) {
      const text = message.text();
      const [word, rest] = text.split(/ (.*)/);
      if (word === 'subscribe') return void peer.subscribe(rest);
      if (word === 'publish') return peer.gateway.publish('t', rest);
      if (word === 'close') return void peer.close(4321, 'closed by the app');
      if (word === 'id') return void peer.send(peer.id);
      if (word === 'size') return void peer.send(`size ${text.length}`);
      if (word === 'never') return new Promise(() => {});
      if (word === 'wait') return delay(Number(rest));
      if (word === 'block') return block(Number(rest));
      if (word === 'burst') {
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
  async fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname === '/exit') process.exit(7);
    if (pathname === '/never') await new Promise(() => {});
    if (pathname === '/block') block(200);
    return new Response(`${pathname} ${threadId}`);
  },
};
