// @ts-check
/** How servers tell heavy messages from light ones: by the byte behind the stamp. */

import { STAMP_LENGTH } from './stamp.js';

export const HEAVY = 'h';
const HEAVY_BYTE = HEAVY.charCodeAt(0);

/** @param {Uint8Array} payload */
export function isHeavy(payload) {
  return payload[STAMP_LENGTH] === HEAVY_BYTE;
}
