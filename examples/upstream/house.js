// @ts-check
/**
 * Stands in for the other server: an auction house where somebody bids all the time. It happens to be a gateway's app, too;
 * any WebSocket server can be an upstream.
 *
 * To its clients:   each lot at first, and again with every bid · { lot, amount, by, refused } after a bid that is too low
 * From its clients: { lot, amount, by }
 */
import { setTimeout as delay } from 'node:timers/promises';
import { mutex, sharedMap } from 'threadgate/sync';

/** @typedef {{ lot: string, title: string, opening: number, bid: number, step: number, by?: string }} Lot */

/** Number, title, opening price, step. @type {[string, string, number, number][]} */
const catalogue = [
  ['101', 'Longcase clock, Leeds, about 1790', 420, 20],
  ['102', 'Ship in a bottle, five masts', 35, 5],
  ['103', 'Brass sextant in its mahogany box', 260, 10],
  ['104', 'Sea chart of the Azores, hand-coloured', 540, 20],
  ['105', 'Barometer, fair to middling', 80, 5],
  ['106', 'Harbour bell, cracked, with a fine voice', 150, 10],
];
const BIDS = 'bids';

const lots = sharedMap('house: lots', { bytes: 65_536, entries: 100 });
for (const [lot, title, opening, step] of catalogue) {
  lots.update(lot, old => old ?? pack({ lot, title, opening, bid: opening, step }));
}

/** @param {Lot} lot */
function pack(lot) {
  return Buffer.from(JSON.stringify(lot));
}

/** @param {Uint8Array | undefined} bytes @returns {Lot | undefined} */
function unpack(bytes) {
  return bytes === undefined ? undefined : JSON.parse(Buffer.from(bytes).toString());
}

/**
 * Bids under the lot's lock: of two who bid the same at the same time, one is first.
 * @param {string} lot @param {(lot: Lot) => number} amountFor @param {string} [by]
 * @returns {Lot | undefined} undefined when it is too low, or there is no such lot
 */
function bid(lot, amountFor, by) {
  /** @type {Lot | undefined} */
  let after;
  lots.update(lot, old => {
    const before = unpack(old);
    const amount = before && amountFor(before);
    if (before === undefined || amount === undefined || !(amount >= before.bid + before.step)) return old;
    after = { ...before, bid: amount, by };
    return pack(after);
  });
  return after;
}

/** Somebody else bids, on one lane, until the gateway ends. @param {import('threadgate').Gateway} gateway */
async function bidNowAndThen(gateway) {
  const hold = await mutex('house: somebody else').lockAsync({ signal: gateway.signal });
  try {
    for (;;) {
      await delay(600 + 1200 * Math.random(), undefined, { signal: gateway.signal });
      const [lot] = catalogue[Math.floor(Math.random() * catalogue.length)] ?? [''];
      const steps = 1 + Math.floor(3 * Math.random() ** 2);
      // The dearer it is, the fewer want it.
      const raised = bid(lot, ({ bid, opening, step }) =>
        Math.random() < (2 * opening) / bid - 0.4 ? bid + steps * step : Number.NaN,
      );
      if (raised !== undefined) gateway.publish(BIDS, raised);
    }
  } finally {
    hold.unlock();
  }
}

let begun = false;

/** @type {import('threadgate').App} */
export default {
  websocket: {
    open(peer) {
      if (!begun) {
        begun = true;
        bidNowAndThen(peer.gateway).catch(error => {
          if (!peer.gateway.signal.aborted) throw error;
        });
      }
      peer.subscribe(BIDS);
      for (const [, lot] of lots) peer.send(unpack(lot));
    },
    message(peer, message) {
      const { lot, amount, by } = /** @type {{ lot: string, amount: number, by: string }} */ (message.json());
      const raised = bid(lot, () => amount, by);
      if (raised === undefined) peer.send({ lot, amount, by, refused: 'somebody has bid more' });
      else peer.gateway.publish(BIDS, raised);
    },
  },
};
