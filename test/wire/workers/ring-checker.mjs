// @ts-check
/** The consumer's thread: reads the ring, compares every record with what its seed says, sleeps when there is none. */
import { parentPort, workerData } from 'node:worker_threads';
import { ROOM } from '../../../dist/src/wire/messages.js';
import { RingReader } from '../../../dist/src/wire/ring-reader.js';
import { Records } from './records.mjs';

const { memory, seed, count, largest } = workerData;
const port = /** @type {NonNullable<typeof parentPort>} */ (parentPort);
const reader = new RingReader(memory);
const expected = new Records(seed, largest);
let sleeps = 0;
let refusedSleeps = 0;
let continuing = false;

function drain() {
  continuing = false;
  for (;;) {
    while (reader.next()) {
      reader.take(0, 0);
      expected.next();
      const wrong = expected.difference(reader, reader.block, reader.offset);
      if (wrong !== undefined) return finish(wrong);
      if (expected.number === count) return finish(reader.next() ? 'a record too many' : undefined);
      // Now and then the reader is slow, so that the ring fills up.
      if (expected.number % 50_000 === 0) {
        continuing = true;
        setTimeout(drain, 5);
        return;
      }
    }
    offerRoom();
    if (reader.sleep()) break;
    refusedSleeps++;
  }
  sleeps++;
}

function offerRoom() {
  if (reader.takeStarved()) port.postMessage(ROOM);
}

/** @param {string} [wrong] */
function finish(wrong) {
  offerRoom();
  port.postMessage({ read: expected.number, wrong, sleeps, refusedSleeps });
  port.close();
}

port.on('message', () => {
  if (!continuing) drain();
});
drain();
