// @ts-check
/** A task of piscina.js. */

import { workerData } from 'piscina';
import { work } from './job.js';

/** @param {Uint8Array} data */
export default function task(data) {
  return work(workerData, data);
}
