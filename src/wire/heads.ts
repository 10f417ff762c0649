/**
 * Memory for connections' heads (their upgrade requests and contexts), shared by all threads so that any lane can read
 * any connection's. Written by main alone, before the connection's tag is made visible.
 *
 * An allocator of size classes (powers of two from 128 bytes): a freed piece goes to its class's list and is used again
 * by the same class. The memory is reserved at the start, but the system gives pages only for what is touched.
 */
const SMALLEST_BITS = 7;
const LARGEST_BITS = 17;

export class HeadAllocator {
  readonly bytes: Buffer;
  private used = 0;
  private readonly free: number[][] = Array.from({ length: LARGEST_BITS + 1 }, () => []);

  constructor(memory: SharedArrayBuffer) {
    this.bytes = Buffer.from(memory);
  }

  /** @returns the offset of `length` bytes, or undefined when there is no room */
  allocate(length: number): number | undefined {
    const bits = classOf(length);
    if (bits > LARGEST_BITS) return undefined;
    const again = this.free[bits]?.pop();
    if (again !== undefined) return again;
    const size = 1 << bits;
    if (this.used + size > this.bytes.length) return undefined;
    const offset = this.used;
    this.used += size;
    return offset;
  }

  release(offset: number, length: number): void {
    this.free[classOf(length)]?.push(offset);
  }
}

function classOf(length: number): number {
  return Math.max(SMALLEST_BITS, 32 - Math.clz32(Math.max(length, 1) - 1));
}
