/**
 * Copies of shared bytes in this thread's own memory. Small ones are cut from one block, as Node cuts small Buffers from
 * its pool: memory of its own costs more for each than the copying. Bytes of a block are given out once.
 */

const BLOCK_BYTES = 64 * 1024;
const LARGEST_CUT = 4 * 1024;

let block = new ArrayBuffer(0);
let used = 0;

/** Bytes of this thread's own, to be filled, 8-byte aligned. */
export function ownBytes(length: number): Uint8Array<ArrayBuffer> {
  if (length > LARGEST_CUT) return new Uint8Array(length);
  if (used + length > block.byteLength) {
    block = new ArrayBuffer(BLOCK_BYTES);
    used = 0;
  }
  const bytes = new Uint8Array(block, used, length);
  used = (used + length + 7) & -8;
  return bytes;
}

/** Up to here a loop over bytes is faster than TypedArray's set with its subarray. */
const LOOP_BYTES = 96;

/** Copies `length` bytes. */
export function copyBytes(from: Uint8Array, at: number, to: Uint8Array, toAt: number, length: number): void {
  if (length > LOOP_BYTES) {
    to.set(from.subarray(at, at + length), toAt);
    return;
  }
  for (let i = 0; i < length; i++) to[toAt + i] = from[at + i] as number;
}
