// @ts-check
/**
 * Client frames, made once: masked, one after the other in a single Buffer, so that however many are due, sending them is
 * one write of a slice that exists already.
 */

import { STAMP_BLANK, STAMP_LENGTH } from '../work/stamp.js';

const FIN = 0x80;
const TEXT = 0x1;
const BINARY = 0x2;
const MASKED = 0x80;
const MASK = Buffer.from([0x37, 0xfa, 0x21, 0x3d]);

/**
 * A message as it stands on the wire. Where its payload has a blank stamp, replies have theirs at the same place of the
 * payload: servers send back what they got, or something that begins like it.
 *
 * @typedef {object} Frame
 * @property {Buffer} bytes
 * @property {number} stampAt of the stamp in `bytes`; -1 when there is none
 * @property {number} payloadStampAt of the stamp in the payload; -1 when there is none
 * @property {Uint8Array} stampMask the mask, turned to the stamp's place
 */

/** @param {string} payload ASCII @param {{ binary?: boolean }} [options] @returns {Frame} */
export function clientFrame(payload, { binary = false } = {}) {
  const size = payload.length;
  const header = Buffer.alloc(size < 126 ? 2 : size < 65_536 ? 4 : 10);
  header[0] = FIN | (binary ? BINARY : TEXT);
  header[1] = MASKED | (size < 126 ? size : size < 65_536 ? 126 : 127);
  if (header.length === 4) header.writeUInt16BE(size, 2);
  if (header.length === 10) header.writeBigUInt64BE(BigInt(size), 2);
  const masked = Buffer.from(payload, 'latin1');
  for (let i = 0; i < size; i++) masked[i] = Number(masked[i]) ^ Number(MASK[i & 3]);
  const payloadStampAt = payload.indexOf(STAMP_BLANK);
  return {
    bytes: Buffer.concat([header, MASK, masked]),
    payloadStampAt,
    stampAt: payloadStampAt < 0 ? -1 : header.length + MASK.length + payloadStampAt,
    stampMask: Uint8Array.from({ length: STAMP_LENGTH }, (_, i) => Number(MASK[(payloadStampAt + i) & 3])),
  };
}

/** So many frames in a row. @param {Frame} frame @param {number} count */
export function repeated({ bytes }, count) {
  return Buffer.concat(Array.from({ length: count }, () => bytes));
}

/**
 * `window[n]` holds n frames, for n from 0 to `count`. All are slices of one Buffer.
 *
 * @param {Frame} frame @param {number} count
 */
export function frameWindow(frame, count) {
  const all = repeated(frame, count);
  return Array.from({ length: count + 1 }, (_, n) => all.subarray(0, n * frame.bytes.length));
}
