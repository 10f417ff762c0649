// @ts-check
/** Runs a function of a test on this thread: it gets its source, so it can use nothing but its parameters and globals. */
import { parentPort, threadId, workerData } from 'node:worker_threads';
import * as sync from '../../../dist/src/sync/index.js';
import { Random } from './random.mjs';

const { source, argument, seed } = workerData;
const tools = {
  sync,
  argument,
  threadId,
  random: new Random(seed + threadId),
  /** @param {unknown} message */
  say: message => parentPort?.postMessage({ said: message }),
};
try {
  const result = await new Function(`return (${source})`)()(tools);
  parentPort?.postMessage({ result });
} catch (error) {
  const { name, message, code, stack } = /** @type {Error & { code?: string }} */ (error);
  parentPort?.postMessage({ error: { name, message, code, stack } });
}
