/**
 * A heap in shared memory: blocks of changing size in a fixed number of bytes.
 *
 *   ┌────────────────┬───────────────────┬────────────────┬──────────────┄
 *   │ bytes │ 1 used │ contents …        │ bytes │ 0 free │ …              a header of 8 bytes, then contents
 *   └────────────────┴───────────────────┴────────────────┴──────────────┄
 *
 * Contract: all calls under one lock of the caller's. Blocks lie end to end, so the heap can be walked from its first to
 * its last block; each change is one store of one header, so that it stays so when a thread dies at any moment. Next fit
 * (Knuth, The Art of Computer Programming, vol. 1, § 2.5), and free neighbours become one block when they are passed.
 */
export const HEAP_HEADER_BYTES = 8;
const ALIGN_BYTES = 16;
const USED = 1;

export class Heap {
  private readonly from: number;
  private readonly to: number;

  /**
   * @param cells of the memory
   * @param rover cell in which the heap keeps where the next search begins, as a byte offset
   * @param from byte offset of the first block; a multiple of 16
   * @param bytes a multiple of 16
   */
  constructor(
    private readonly cells: Int32Array,
    private readonly rover: number,
    from: number,
    bytes: number,
  ) {
    this.from = from;
    this.to = from + bytes;
  }

  /** Makes it one free block. Once, before anybody else can see it. */
  format(): void {
    this.cells[this.from >> 2] = this.to - this.from;
    this.cells[this.rover] = this.from;
  }

  /** @param length bytes of contents @returns the byte offset of the contents, or 0 when there is no room */
  allocate(length: number): number {
    const { cells, from, to } = this;
    const size = (length + HEAP_HEADER_BYTES + ALIGN_BYTES - 1) & -ALIGN_BYTES;
    const start = cells[this.rover] as number;
    let at = start;
    for (let wrapped = false; !(wrapped && at >= start); ) {
      if (at === to) {
        if (wrapped) break;
        wrapped = true;
        at = from;
        continue;
      }
      const header = cells[at >> 2] as number;
      if ((header & USED) === 0) {
        const free = this.mergeAt(at, header);
        if (free >= size) return this.cut(at, free, size);
        at += free;
      } else {
        at += header & ~USED;
      }
    }
    return 0;
  }

  /** Makes a free block and the free ones behind it one. @returns its size */
  private mergeAt(at: number, header: number): number {
    const { cells, to } = this;
    let size = header;
    while (at + size < to) {
      const next = cells[(at + size) >> 2] as number;
      if ((next & USED) !== 0) break;
      size += next;
    }
    if (size !== header) {
      // The rover must not point into the middle of a block.
      const rover = cells[this.rover] as number;
      if (rover > at && rover < at + size) cells[this.rover] = at;
      cells[at >> 2] = size;
    }
    return size;
  }

  private cut(at: number, free: number, size: number): number {
    const { cells } = this;
    if (free > size) cells[(at + size) >> 2] = free - size;
    cells[at >> 2] = size | USED;
    cells[this.rover] = at + size === this.to ? this.from : at + size;
    return at + HEAP_HEADER_BYTES;
  }

  /** @param contents what `allocate` returned */
  free(contents: number): void {
    const header = (contents - HEAP_HEADER_BYTES) >> 2;
    this.cells[header] = (this.cells[header] as number) & ~USED;
  }

  /** Frees every block whose contents are not in `kept`: after a thread died under the lock. */
  sweep(kept: ReadonlySet<number>): void {
    const { cells, from, to } = this;
    for (let at = from; at < to; at += (cells[at >> 2] as number) & ~USED) {
      if (!kept.has(at + HEAP_HEADER_BYTES)) this.free(at + HEAP_HEADER_BYTES);
    }
    cells[this.rover] = from;
  }

  /** Bytes in use, headers included. */
  get used(): number {
    const { cells, from, to } = this;
    let used = 0;
    for (let at = from, header = 0; at < to; at += header & ~USED) {
      header = cells[at >> 2] as number;
      if ((header & USED) !== 0) used += header & ~USED;
    }
    return used;
  }
}
