// @ts-check
/**
 * The time of sending, inside the payload: microseconds since the generator's start in six characters of five bits each,
 * least significant first. All of them are digits, letters and signs that JSON need not escape, so that a stamp can
 * stand in text as well as in bytes, and survives any server that hands it on unchanged. It holds 17 minutes.
 */

export const STAMP_LENGTH = 6;
const FIRST = 48;

/** What stands in a payload where the stamp will be. */
export const STAMP_BLANK = '?'.repeat(STAMP_LENGTH);

/**
 * Writes a stamp into a masked frame: `mask` is the frame's mask, turned to the place of the stamp (all zeros: none).
 *
 * @param {Uint8Array} bytes @param {number} at @param {number} microseconds @param {Uint8Array} mask six bytes
 */
export function writeStamp(bytes, at, microseconds, mask) {
  let left = microseconds | 0;
  for (let i = 0; i < STAMP_LENGTH; i++) {
    bytes[at + i] = (FIRST + (left & 31)) ^ Number(mask[i]);
    left >>>= 5;
  }
}

/** @param {Uint8Array} bytes @param {number} at @returns {number} microseconds */
export function readStamp(bytes, at) {
  let microseconds = 0;
  for (let i = STAMP_LENGTH - 1; i >= 0; i--) {
    microseconds = (microseconds << 5) | (Number(bytes[at + i]) - FIRST);
  }
  return microseconds;
}

/** Now, as a stamp counts. */
export function stampNow() {
  return (performance.now() * 1000) | 0;
}
