// @ts-check
/** The work of one message, done on a worker thread. */

import { burn } from '../work/burn.js';
import { isHeavy } from '../work/heavy.js';

/**
 * @param {{ work: string, burn: number }} options
 * @param {Uint8Array} data
 * @returns {Uint8Array} the reply
 */
export function work(options, data) {
  if (options.work !== 'mixed' || isHeavy(data)) burn(options.burn);
  return data;
}
