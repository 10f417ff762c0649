// @ts-check
/**
 * Client frames, made once: masked binary frames, one after the other in a single Buffer, so that however many are due,
 * sending them is one write of a slice that exists already.
 */

const FIN_BINARY = 0x82;
const MASKED = 0x80;
const MASK = Buffer.from([0x37, 0xfa, 0x21, 0x3d]);

/** @param {number} size bytes of payload */
function maskedFrame(size) {
  const header =
    size < 126
      ? Buffer.from([FIN_BINARY, MASKED | size])
      : size < 65_536
        ? Buffer.alloc(4)
        : Buffer.alloc(10);
  if (header.length === 4) {
    header[0] = FIN_BINARY;
    header[1] = MASKED | 126;
    header.writeUInt16BE(size, 2);
  } else if (header.length === 10) {
    header[0] = FIN_BINARY;
    header[1] = MASKED | 127;
    header.writeBigUInt64BE(BigInt(size), 2);
  }
  const payload = Buffer.alloc(size);
  for (let i = 0; i < size; i++) payload[i] = (97 + (i % 26)) ^ Number(MASK[i & 3]);
  return Buffer.concat([header, MASK, payload]);
}

/**
 * `window[n]` holds n frames, for n from 0 to `count`. All are slices of one Buffer.
 *
 * @param {number} size bytes of payload
 * @param {number} count
 */
export function frameWindow(size, count) {
  const frame = maskedFrame(size);
  const all = Buffer.concat(Array.from({ length: count }, () => frame));
  return Array.from({ length: count + 1 }, (_, n) => all.subarray(0, n * frame.length));
}
