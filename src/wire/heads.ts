/**
 * Memory for connections' heads (their upgrade requests and contexts), shared by all threads so that any lane can read
 * any connection's. Written by main alone, before the connection's tag is made visible.
 *
 * A buddy allocator (Knuth, The Art of Computer Programming 1, 2.5): pieces are powers of two; a larger free piece is
 * split where none fits, and a freed piece is merged with its buddy, so that whoever leaves gives all of it back. The
 * memory is reserved at the start, but the system gives pages only for what is touched.
 */
const SMALLEST_BITS = 7;
const LARGEST_BITS = 17;

/** Bytes of the largest piece. */
export const LARGEST_HEAD_BYTES = 1 << LARGEST_BITS;

export class HeadAllocator {
  readonly bytes: Buffer;
  /** Offsets of free pieces, by the exponent of their size. */
  private readonly free: Set<number>[] = Array.from({ length: LARGEST_BITS + 1 }, () => new Set());
  /** Everything from here on was never used: largest pieces are cut from it when they are needed. */
  private untouched = 0;

  constructor(memory: SharedArrayBuffer) {
    this.bytes = Buffer.from(memory);
  }

  /** @returns the offset of `length` bytes, or undefined when there is no room */
  allocate(length: number): number | undefined {
    const wanted = bitsOf(length);
    if (wanted > LARGEST_BITS) return undefined;
    let bits = wanted;
    while (bits < LARGEST_BITS && this.freeOf(bits).size === 0) bits++;
    const offset = this.takeFree(bits) ?? this.takeUntouched();
    if (offset === undefined) return undefined;
    // The upper halves stay free.
    while (bits > wanted) {
      bits--;
      this.freeOf(bits).add(offset + (1 << bits));
    }
    return offset;
  }

  release(offset: number, length: number): void {
    let bits = bitsOf(length);
    let at = offset;
    while (bits < LARGEST_BITS && this.freeOf(bits).delete(at ^ (1 << bits))) {
      at &= ~(1 << bits);
      bits++;
    }
    this.freeOf(bits).add(at);
  }

  private freeOf(bits: number): Set<number> {
    return this.free[bits] as Set<number>;
  }

  private takeFree(bits: number): number | undefined {
    const pieces = this.freeOf(bits);
    const { value } = pieces.values().next();
    if (value !== undefined) pieces.delete(value);
    return value;
  }

  private takeUntouched(): number | undefined {
    if (this.untouched + LARGEST_HEAD_BYTES > this.bytes.length) return undefined;
    const offset = this.untouched;
    this.untouched += LARGEST_HEAD_BYTES;
    return offset;
  }
}

function bitsOf(length: number): number {
  return Math.max(SMALLEST_BITS, 32 - Math.clz32(Math.max(length, 1) - 1));
}
