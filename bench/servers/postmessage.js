// @ts-check
/** A gateway that posts every message to a worker thread, and is posted the reply. A connection keeps to one worker. */

import { Worker } from 'node:worker_threads';
import { options } from './options.js';
import { serve } from './sockets-and-jobs.js';

/** @type {Map<number, (data: Uint8Array) => void>} */
const replies = new Map();
const workers = Array.from({ length: options.threads }, () => {
  const worker = new Worker(new URL('postmessage-worker.js', import.meta.url), { workerData: options });
  return worker.on('message', ({ id, data }) => replies.get(id)?.(data));
});

serve((id, message, reply) => {
  if (!replies.has(id)) replies.set(id, reply);
  const worker = /** @type {Worker} */ (workers[id % workers.length]);
  worker.postMessage({ id, data: new Uint8Array(message) });
});
