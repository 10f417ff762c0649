/**
 * Bytes into shared memory and out of it. Small pieces go word by word, which is faster than TypedArray's set with its two
 * views, and come out into one block, as Node cuts small Buffers from its pool: memory of its own costs more for each than
 * the copying. Bytes of a block are given out once.
 */

const BLOCK_BYTES = 64 * 1024;
const LARGEST_CUT = 4 * 1024;
/** Up to here words are copied in a loop. */
const LOOP_BYTES = 256;

let block = new ArrayBuffer(0);
let blockWords = new Int32Array(0);
let used = 0;

/** The words of the memory that was copied from last: who sends many small pieces sends them from the same pool. */
let lastSource: ArrayBufferLike = block;
let lastWords = blockWords;
/** Larger memory is not kept for the next time: nobody else might need it any more. */
const LARGEST_KEPT_BYTES = 64 * 1024;

/** A copy in this thread's own memory. @param at byte offset, a multiple of 8 */
export function copyOut(
  words: Int32Array,
  bytes: Uint8Array,
  at: number,
  length: number,
): Uint8Array<ArrayBuffer> {
  if (length > LARGEST_CUT) return bytes.slice(at, at + length) as Uint8Array<ArrayBuffer>;
  if (used + length + 7 > block.byteLength) {
    // Not filled with zeros, for it is overwritten.
    block = Buffer.allocUnsafeSlow(BLOCK_BYTES).buffer;
    blockWords = new Int32Array(block);
    used = 0;
  }
  const copy = new Uint8Array(block, used, length);
  if (length <= LOOP_BYTES) {
    // Up to three bytes too many, in the block's own padding.
    const from = at >> 2;
    const to = used >> 2;
    const count = (length + 3) >> 2;
    for (let i = 0; i < count; i++) blockWords[to + i] = words[from + i] as number;
  } else {
    copy.set(bytes.subarray(at, at + length));
  }
  used = (used + length + 7) & -8;
  return copy;
}

/** @param at byte offset in shared memory, a multiple of 8 */
export function copyIn(source: Uint8Array, words: Int32Array, bytes: Uint8Array, at: number): void {
  const { length, byteOffset } = source;
  if (length > LOOP_BYTES || (byteOffset & 3) !== 0) {
    bytes.set(source, at);
    return;
  }
  const sourceWords = wordsOf(source.buffer);
  const from = byteOffset >> 2;
  const to = at >> 2;
  const count = length >> 2;
  for (let i = 0; i < count; i++) words[to + i] = sourceWords[from + i] as number;
  for (let i = count << 2; i < length; i++) bytes[at + i] = source[i] as number;
}

function wordsOf(buffer: ArrayBufferLike): Int32Array {
  // Memory that was transferred away has no words left.
  if (buffer === lastSource && lastWords.length > 0) return lastWords;
  const words = new Int32Array(buffer, 0, buffer.byteLength >> 2);
  if (buffer.byteLength > LARGEST_KEPT_BYTES) return words;
  lastSource = buffer;
  lastWords = words as Int32Array<ArrayBuffer>;
  return words;
}
