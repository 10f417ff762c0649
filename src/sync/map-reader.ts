/**
 * Reading a SharedMap: takes no lock, waits for nobody, and writes nothing that other readers look at.
 *
 * A value is never changed where it stands: a writer writes a new block and frees the old one. So a reader only has to find
 * out whether the block that it read was free, or something else's, before it was through:
 *
 *   reader  1 VERSION, even   2 BLOCK   3 the bytes          4 passes its own fence     5 VERSION: the same, or again from 1
 *   writer  a a new block, BLOCK        b another VERSION    c passes all fences        d frees the old block
 *
 * Passing a fence is a read-modify-write that changes nothing. The bytes are read and written without Atomics, and nothing
 * but such an order keeps them apart; the load in 5 alone does not, for the bytes might be read after it. Read-modify-writes
 * of one cell come one after the other and each synchronizes with the next (ECMAScript § 29). Either 4 comes before c: then 3
 * happens before d, and has not seen what was written there later. Or c comes before 4: then b happens before 5, which sees
 * another VERSION.
 *
 * In Boehm, "Can Seqlocks Get Along with Programming Language Memory Models?" (2012), 5 itself is a read-modify-write, and
 * there is no c; but then readers take each other the cache line of the entry. Here each thread has a fence of its own, and
 * the writers, who come more seldom, go round them all.
 *
 * The way to an entry, its bucket, NEXT and HASH, is read with Atomics, so its order is that in which it was changed. Who
 * removes an entry unlinks it, then raises STRUCTURE, then uses its NEXT again. A reader that stood on it then and was led
 * astray sees another STRUCTURE than it saw before it set out, so not finding a key counts only if that is the same.
 */
import { copyOut } from './copies.js';
import {
  BLOCK,
  HASH,
  keyAt,
  type MapMemory,
  NEXT,
  NO_VALUE,
  NONE,
  STRUCTURE,
  VERSION,
  valueAt,
} from './map-memory.js';

/** `read` found the key, but it has no value yet. */
const MISSING = -1;

export class MapReader {
  constructor(private readonly memory: MapMemory) {}

  /** A copy of the value. */
  get(key: string, hash: number): Uint8Array<ArrayBuffer> | undefined {
    const { memory } = this;
    const { cells, base } = memory;
    for (;;) {
      const structure = Atomics.load(cells, base + STRUCTURE);
      let entry = Atomics.load(cells, memory.bucketCell(hash));
      // A chain that changes while it is followed may lead anywhere, even round and round.
      for (let left = memory.entries; entry !== NONE && left > 0; left--) {
        const cell = memory.entryCell(entry);
        const found = Atomics.load(cells, cell + HASH) === hash ? this.read(cell, key) : undefined;
        if (found !== undefined) return found === MISSING ? undefined : found;
        entry = Atomics.load(cells, cell + NEXT);
      }
      if (Atomics.load(cells, base + STRUCTURE) === structure) return undefined;
    }
  }

  /** @returns undefined when the entry is not this key's, MISSING when it has no value yet */
  private read(cell: number, key: string): Uint8Array<ArrayBuffer> | undefined | typeof MISSING {
    const { memory } = this;
    const { cells } = memory;
    for (;;) {
      const version = Atomics.load(cells, cell + VERSION);
      if ((version & 1) === 1) return undefined;
      const block = Atomics.load(cells, cell + BLOCK);
      const length = memory.valueLength(block);
      if (!memory.hasKey(block, key)) {
        if (this.isStill(cell, version)) return undefined;
      } else if (length === NO_VALUE) {
        if (this.isStill(cell, version)) return MISSING;
      } else if (length >= 0 && length <= memory.bytes) {
        // Only now, for what does not belong together may be any number, and this takes memory.
        const value = copyOut(cells, memory.octets, valueAt(block, key.length), length);
        if (this.isStill(cell, version)) return value;
      }
    }
  }

  /** The entry's key; undefined when the entry is not in the map. */
  keyOf(entry: number): string | undefined {
    const { memory } = this;
    const { cells } = memory;
    const cell = memory.entryCell(entry);
    for (;;) {
      const version = Atomics.load(cells, cell + VERSION);
      if ((version & 1) === 1) return undefined;
      const block = Atomics.load(cells, cell + BLOCK);
      const units = cells[block >> 2] as number;
      if (units < 0 || units * 2 > memory.bytes) continue;
      const copy = copyOut(cells, memory.octets, keyAt(block), units * 2);
      if (!this.isStill(cell, version)) continue;
      return Buffer.from(copy.buffer, copy.byteOffset, copy.length).toString('utf16le');
    }
  }

  /** Whether the entry is this key's. Under its LOCK it stays so. */
  isKeys(cell: number, key: string): boolean {
    const { cells } = this.memory;
    const version = Atomics.load(cells, cell + VERSION);
    if ((version & 1) === 1) return false;
    return this.memory.hasKey(Atomics.load(cells, cell + BLOCK), key) && this.isStill(cell, version);
  }

  /** Steps 4 and 5. */
  private isStill(cell: number, version: number): boolean {
    const { cells, fence } = this.memory;
    Atomics.add(cells, fence, 0);
    return Atomics.load(cells, cell + VERSION) === version;
  }
}
