// @ts-check
/**
 * A lane that dies. Announces records 1 and 2 in a batch each, commits 3 and 4, writes 5 without committing it, and then
 * ends in the way that it was told.
 */
import { threadId, workerData } from 'node:worker_threads';
import { BatchWriter } from '../../../dist/src/wire/batch.js';
import { Outbound } from '../../../dist/src/wire/records.js';

const { port, way } = workerData;
const batches = new BatchWriter({
  added: (index, memory) => port.postMessage({ type: 'batch', index, memory }),
  announced: index => port.postMessage(index),
  dropped: index => port.postMessage({ type: 'batchDropped', index }),
});

/** @param {number} target */
function write(target) {
  batches.begin(Outbound.send, 0, 0, target, 0, 0);
  batches.end(0);
}

port.postMessage({ type: 'ready', hooks: 0, threadId });
write(1);
batches.announce();
write(2);
batches.announce();
write(3);
write(4);
batches.commit();
write(5);
if (way === 'exit') process.exit(3);
if (way === 'throw') throw new Error('thrown on purpose');
if (way === 'out of memory') {
  const kept = [];
  for (;;) kept.push(new Array(100_000).fill(kept.length));
}
