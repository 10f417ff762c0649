// @ts-check
/** A lane without hooks: everything that comes through the ring goes back through batches. */
import { parentPort, receiveMessageOnPort, threadId, workerData } from 'node:worker_threads';
import { BatchWriter } from '../../../dist/src/wire/batch.js';
import { ROOM } from '../../../dist/src/wire/messages.js';
import { EXTERNAL } from '../../../dist/src/wire/records.js';
import { RingReader } from '../../../dist/src/wire/ring-reader.js';

/** @type {import('../../../dist/src/wire/messages.js').LaneTask} */
const { ring, port, payloads } = workerData;
const reader = new RingReader(ring);
const batches = new BatchWriter({
  added: (index, memory) => port.postMessage({ type: 'batch', index, memory }),
  announced: index => port.postMessage(index),
  dropped: index => port.postMessage({ type: 'batchDropped', index }),
});
let seen = 0;

function drain() {
  do {
    while (reader.next()) {
      echo();
      // Commits, announcements and pauses fall on records of every size.
      if (seen % 7 === 0) batches.commit();
      if (seen % 1009 === 0) batches.announce();
      if (seen % 20_011 === 0) {
        offerRoom();
        batches.announce();
        setImmediate(drain);
        return;
      }
    }
    offerRoom();
  } while (!reader.sleep());
  batches.announce();
}

function echo() {
  seen++;
  reader.take(0, 0);
  const { type, flags, aux, target, tag } = reader;
  let { block, offset, length } = reader;
  if ((flags & EXTERNAL) !== 0) {
    block = Buffer.from(receiveMessageOnPort(payloads)?.message);
    offset = 0;
    length = block.length;
  }
  batches.begin(type, flags & ~EXTERNAL, aux, target, tag, length);
  batches.bytes.set(block.subarray(offset, offset + length), batches.offset);
  batches.end(length);
}

function offerRoom() {
  if (reader.takeStarved()) port.postMessage(ROOM);
}

port.on('message', message => {
  if (typeof message === 'number') return drain();
  // Asked to stop.
  drain();
  batches.announce();
  port.close();
  payloads.close();
});
parentPort?.unref();
port.postMessage({ type: 'ready', hooks: 0, threadId });
drain();
