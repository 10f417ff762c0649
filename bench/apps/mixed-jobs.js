// @ts-check
/** The heavy part of a heavy message. */

import { burn } from '../work/burn.js';

/** @param {number} iterations */
export function work(iterations) {
  burn(iterations);
}
