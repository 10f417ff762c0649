// @ts-check
/** A worker of postmessage.js. */

import { parentPort, workerData } from 'node:worker_threads';
import { work } from './job.js';

parentPort?.on('message', ({ id, data }) => {
  parentPort?.postMessage({ id, data: work(workerData, data) });
});
