// @ts-check
/**
 * A connection by hand: a reading side, a writing side, a channel between them, and a lock around the writing. The
 * gateway does all of this by itself; here it is to be seen, and to be copied where one connection has several writers.
 *
 * From the client: anything
 * To the client:   { number, bytes } and behind it what came · { time } every second, never between those two
 */
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { channel } from 'threadgate/sync';

/** @typedef {import('threadgate').Peer} Peer */
/** @typedef {import('threadgate/sync').Channel<string | Uint8Array>} Inbox */

const WAITING = 16; // messages that wait for the writing side; then the reading side waits
const LARGEST = 4096; // bytes of a message; each connection's channel has room for 16 of them

const page = readFileSync(new URL('index.html', import.meta.url));

/** The channel of each connection on this lane. @type {WeakMap<Peer, Inbox>} */
const inboxes = new WeakMap();

/** The writing side: one message after the other, as fast as the client reads. @param {Peer} peer @param {Inbox} inbox */
async function write(peer, inbox) {
  let number = 0;
  for await (const data of inbox) {
    const hold = await peer.lock();
    try {
      peer.send({ number: ++number, bytes: Buffer.byteLength(data) });
      await peer.waitForDrain({ threshold: 65_536 }); // other writers could come in here, were it not for the lock
      peer.send(data);
    } finally {
      await hold.unlock();
    }
  }
}

/** Another one that writes to the same connection. @param {Peer} peer */
async function tick(peer) {
  for (;;) {
    await delay(1000, undefined, { signal: peer.gateway.signal });
    const hold = await peer.lock();
    peer.send({ time: new Date().toISOString() });
    await hold.unlock();
  }
}

/** @param {Peer} peer */
function start(peer) {
  /** @type {Inbox} */
  const inbox = channel({ capacity: WAITING, maxBytes: LARGEST });
  inboxes.set(peer, inbox);
  for (const side of [write(peer, inbox), tick(peer)]) {
    side.catch(error => {
      if (error.code === 'ERR_THREADGATE_PEER_GONE' || peer.gateway.signal.aborted) return; // its natural end
      peer.gateway.log.error('a side of a connection failed', { error: String(error) });
      peer.close(1011, 'internal error');
    });
  }
}

/** @type {import('threadgate').App} */
export default {
  websocket: {
    upgrade: () => ({ headers: { 'x-powered-by': 'threadgate' } }), // or a Response that says no
    open: start,
    resume: start, // on a lane that is new to the connection: what the old one had in its channel is gone with it
    // The reading side. While it waits for room, the gateway gives it no further message of this connection.
    async message(peer, message) {
      if (Buffer.byteLength(message.rawData) > LARGEST) peer.close(1009, `at most ${LARGEST} bytes`);
      else await inboxes.get(peer)?.sendAsync(message.rawData);
    },
    close: peer => inboxes.get(peer)?.close(), // ends the loop of the writing side
  },
  fetch: () => new Response(page, { headers: { 'content-type': 'text/html; charset=utf-8' } }),
};
