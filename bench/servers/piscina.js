// @ts-check
/** A gateway that runs one Piscina task per message. Replies come in the order in which tasks end. */

import { Piscina } from 'piscina';
import { options } from './options.js';
import { serve } from './sockets-and-jobs.js';

const pool = new Piscina({
  filename: new URL('piscina-task.js', import.meta.url).href,
  minThreads: options.threads,
  maxThreads: options.threads,
  workerData: { work: options.work, burn: options.burn },
});

serve((_id, message, reply) => {
  pool.run(new Uint8Array(message)).then(reply, error => {
    throw error;
  });
});
