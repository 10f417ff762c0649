// @ts-check
/**
 * The gateway as a client of another WebSocket server: an auction house. Its feed is relayed to everybody, bids go back.
 *
 * One lane has the connection: the one that has the mutex, and the next one when it dies. What the house said last stands in a
 * map that all lanes share, so newcomers get it at once, and also while the house is away.
 *
 * From the client: { type: 'lots' }, once it is subscribed · { type: 'bid', lot, amount }
 * To the client:   subscribed · lots · lot · house · refused
 */
import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createClient } from 'threadgate/client';
import { channel, mutex, sharedMap } from 'threadgate/sync';

/** @typedef {import('threadgate').Gateway} Gateway */
/** @typedef {import('threadgate').Peer} Peer */
/** What the house says of a lot. @typedef {{ lot: string, title: string, bid: number, step: number, by?: string }} Lot */
/** @typedef {{ lot: string, amount: number, by: string }} Bid */

const UPSTREAM = process.env.UPSTREAM ?? 'ws://127.0.0.1:9002';
const BID_WITHIN_MS = 1500; // a bid that could not be handed over by then is refused: later it would surprise everybody
const EVERYBODY = 'auction';
/** A topic of one bidder: reaches the connection from whatever lane. @param {string} id */
const onlyFor = id => `bidder ${id}`;

/** The last word on each lot, as `lot:…`, and on the connection to the house, as `house`. */
const known = sharedMap('auction: known', { bytes: 2 ** 18, entries: 1024 });

/** Bids from all lanes, on their way to the lane that has the connection. @type {import('threadgate/sync').Channel<Bid>} */
const bids = channel('auction: bids', { capacity: 256, maxBytes: 512 });

/** @param {Uint8Array | undefined} bytes */
const unpack = bytes => (bytes === undefined ? undefined : JSON.parse(Buffer.from(bytes).toString()));
/** @param {object} value */
const pack = value => Buffer.from(JSON.stringify(value));

// ---- To the house: on one lane ----------------------------------------------------------------------------------

const connection = mutex('auction: who has the connection');

/** Each lane stands in line to be the one that connects. @param {Gateway} gateway */
function start(gateway) {
  const { signal } = gateway;
  connection
    .runExclusiveAsync(() => relay(gateway), { signal })
    .catch(error => {
      if (!signal.aborted) throw error; // a bug: it ends the lane, and another one goes on
    });
}

/** @param {Gateway} gateway */
async function relay(gateway) {
  const { signal } = gateway;
  const client = createClient(UPSTREAM, { signal, maxDelay: 2000, within: BID_WITHIN_MS });
  client.on('status', ({ state }) => {
    gateway.log.info('auction house', { state, url: UPSTREAM });
    const house = { open: state === 'open', since: Date.now() };
    if (unpack(known.get('house'))?.open === house.open) return;
    known.set('house', pack(house));
    gateway.publish(EVERYBODY, { type: 'house', ...house });
  });
  client.on('message', data => {
    try {
      hear(gateway, JSON.parse(String(data)));
    } catch (error) {
      gateway.log.warn('the auction house said what cannot be used', { error: String(error) });
    }
  });
  for (;;) {
    const bid = await bids.receiveAsync({ signal });
    if (bid === undefined) return;
    client.send(JSON.stringify(bid)).catch(() => refuse(gateway, bid, 'the auction house does not answer'));
  }
}

/** @param {Gateway} gateway @param {any} said */
function hear(gateway, said) {
  if (typeof said.lot !== 'string') throw new TypeError('there is no lot in it');
  if (said.refused !== undefined) {
    refuse(gateway, said, said.refused);
    return;
  }
  // Kept first: who asks for the lots after it was published finds it there.
  const kept = known.update(`lot:${said.lot}`, old =>
    pack({ ...said, version: (unpack(old)?.version ?? 0) + 1 }),
  );
  gateway.publish(EVERYBODY, { type: 'lot', ...unpack(kept) });
}

/** @param {Gateway} gateway @param {Bid} bid @param {string} why */
function refuse(gateway, { lot, amount, by }, why) {
  gateway.publish(onlyFor(by), { type: 'refused', lot, amount, why });
}

// ---- To the clients: on every lane ------------------------------------------------------------------------------

/** @param {Peer} peer */
function sendLots(peer) {
  const lots = [...known].filter(([key]) => key.startsWith('lot:')).map(([, lot]) => unpack(lot));
  const house = unpack(known.get('house')) ?? { open: false };
  peer.send({ type: 'lots', lots: lots.sort((a, b) => (a.lot < b.lot ? -1 : 1)), house });
}

/** @param {Peer} peer @param {Record<string, unknown>} event */
function takeBid(peer, { lot, amount }) {
  if (typeof lot !== 'string' || !known.has(`lot:${lot}`) || !Number.isSafeInteger(amount)) return;
  const bid = { lot, amount: /** @type {number} */ (amount), by: peer.id };
  if (!bids.trySend(bid)) refuse(peer.gateway, bid, 'too many bids at a time');
}

/** What is served: the page, and the modules of threadgate/client, which it imports as they are. */
const files = new Map([['/', new URL('index.html', import.meta.url)]]);
const modules = new URL('.', import.meta.resolve('threadgate/client'));
for (const name of readdirSync(modules)) {
  if (name.endsWith('.js')) files.set(`/client/${name}`, new URL(name, modules));
}

/** @type {import('threadgate').App} */
export default {
  start,

  websocket: {
    open(peer) {
      peer.subscribe(EVERYBODY);
      peer.subscribe(onlyFor(peer.id));
      // Once the client has this, its subscription is in force: so nothing falls between the lots and what changes.
      peer.send({ type: 'subscribed', id: peer.id });
    },
    message(peer, message) {
      /** @type {unknown} */
      let event;
      try {
        event = message.json();
      } catch {
        // Nobody's event.
      }
      const { type, ...rest } = /** @type {Record<string, unknown>} */ (Object(event));
      if (type === 'lots') sendLots(peer);
      if (type === 'bid') takeBid(peer, rest);
    },
  },

  async fetch(request) {
    const { pathname } = new URL(request.url);
    const file = files.get(pathname);
    if (file === undefined) return new Response('Not found', { status: 404 });
    const type = pathname === '/' ? 'text/html; charset=utf-8' : 'text/javascript; charset=utf-8';
    return new Response(await readFile(file), {
      headers: { 'content-type': type, 'cache-control': 'no-cache' },
    });
  },
};
