// @ts-check
/** The payloads of messages, each with a blank stamp in front. */

import { HEAVY } from '../work/heavy.js';
import { STAMP_BLANK } from '../work/stamp.js';

const LETTERS = 'abcdefghijklmnopqrstuvwxyz';

/** @param {number} size bytes @param {{ heavy?: boolean }} [options] */
export function plainPayload(size, { heavy = false } = {}) {
  return (STAMP_BLANK + (heavy ? HEAVY : '-') + LETTERS.repeat(Math.ceil(size / LETTERS.length))).slice(
    0,
    size,
  );
}

/** What a member of a chat says: about 100 bytes of JSON. @param {string} room */
export function chatPayload(room) {
  return JSON.stringify({
    text: `${STAMP_BLANK} and other words of ordinary length`,
    user: 'user-1234',
    room,
  });
}
