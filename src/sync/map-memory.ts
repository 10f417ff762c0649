/**
 * Where everything in a SharedMap stands.
 *
 *   cell 0          1       2      3       16             32                288              + buckets       + 8 per entry
 *   ┌───────────────┬───────┬──────┬───────┬──────────────┬─────────────────┬────────────────┬───────────────┬────────────┄
 *   │ CHANGE: lock  │ FREE  │ SIZE │ ROVER │ STRUCTURE    │ fences: 16, one │ buckets: first │ entries       │ heap
 *   │               │ entry │      │       │              │ on each line    │ entry of each  │               │ (heap.ts)
 *   └───────────────┴───────┴──────┴───────┴──────────────┴─────────────────┴────────────────┴───────────────┴────────────┄
 *     of writers, and what belongs to it     read by all    written by readers
 *
 *   an entry, 8 cells                                      its block in the heap
 *   ┌───────┬─────────┬───────┬───────┬───────────┬───┐    ┌────────────┬─────────────┬────────────┬─────────┐
 *   │ LOCK  │ VERSION │ NEXT  │ HASH  │ BLOCK     │ – │    │ key units  │ value bytes │ key, UTF-16│ value   │
 *   └───────┴─────────┴───────┴───────┴───────────┴───┘    └────────────┴─────────────┴────────────┴─────────┘
 *     VERSION odd: the entry is not in the map              −1 value bytes: locked for a first value
 *
 * How it is read without a lock: map-reader.ts. How it is changed: map-table.ts.
 */
import { FIRST_CELL, HEADER_CELLS, SECOND_CELL } from './primitive.js';
import { self } from './threads.js';

export const CHANGE = 0;
export const FREE = 1;
export const SIZE = 2;
export const ROVER = 3;
export const STRUCTURE = 16;
const FENCES = 32;
const FENCE_COUNT = 16;
const LINE_CELLS = 16;
const BUCKETS = FENCES + FENCE_COUNT * LINE_CELLS;

const ENTRY_CELLS = 8;
export const LOCK = 0;
export const VERSION = 1;
export const NEXT = 2;
export const HASH = 3;
export const BLOCK = 4;

const BLOCK_HEADER_BYTES = 8;
export const NO_VALUE = -1;

/** Entries are numbered from 1; 0 is none. */
export const NONE = 0;

function bucketCount(entries: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(16, entries)));
}

function heapCell(entries: number): number {
  return BUCKETS + bucketCount(entries) + entries * ENTRY_CELLS;
}

function heapBytes(bytes: number): number {
  return (bytes + 15) & -16;
}

export function mapCells(bytes: number, entries: number): number {
  return ((heapCell(entries) + 15) & -16) + (heapBytes(bytes) >> 2);
}

/** FNV-1a over UTF-16 code units. */
export function hashOf(key: string): number {
  let hash = 0x811c9dc5 | 0;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  return hash ^ (hash >>> 15);
}

/** Where the key stands in a block. */
export function keyAt(block: number): number {
  return block + BLOCK_HEADER_BYTES;
}

/** Where the value stands in a block: after the key, 8-byte aligned. */
export function valueAt(block: number, keyUnits: number): number {
  return block + BLOCK_HEADER_BYTES + ((keyUnits * 2 + 7) & -8);
}

/** Views on a map's memory, and the places of what is in it. */
export class MapMemory {
  /** Of keys and values. */
  readonly bytes: number;
  readonly entries: number;
  /** The first cell of the drawing above. */
  readonly base: number;
  readonly buckets: number;
  /** The fence of this thread: other threads' stand on other cache lines, unless there are more than 16. */
  readonly fence: number;
  readonly units: Uint16Array;
  readonly octets: Uint8Array;
  readonly heapAt: number;
  readonly heapBytes: number;
  /** Cell of an entry that would be numbered 0. */
  private readonly zeroth: number;

  constructor(
    readonly cells: Int32Array,
    at: number,
  ) {
    this.bytes = cells[at + FIRST_CELL] as number;
    this.entries = cells[at + SECOND_CELL] as number;
    this.base = at + HEADER_CELLS;
    this.buckets = bucketCount(this.entries);
    this.fence = this.base + FENCES + (self % FENCE_COUNT) * LINE_CELLS;
    this.zeroth = this.base + BUCKETS + this.buckets - ENTRY_CELLS;
    this.heapAt = ((this.base + heapCell(this.entries) + 15) & -16) * 4;
    this.heapBytes = heapBytes(this.bytes);
    this.units = new Uint16Array(cells.buffer);
    this.octets = new Uint8Array(cells.buffer);
  }

  /** The first cell of an entry. */
  entryCell(entry: number): number {
    return this.zeroth + entry * ENTRY_CELLS;
  }

  /** The number of the entry with this first cell. */
  entryAt(cell: number): number {
    return (cell - this.zeroth) / ENTRY_CELLS;
  }

  /** The cell with the first entry of those that have this hash. */
  bucketCell(hash: number): number {
    return this.base + BUCKETS + (hash & (this.buckets - 1));
  }

  /** Whether the block has this key. */
  hasKey(block: number, key: string): boolean {
    const { length } = key;
    if (this.cells[block >> 2] !== length) return false;
    const from = keyAt(block) >> 1;
    for (let i = 0; i < length; i++) if (this.units[from + i] !== key.charCodeAt(i)) return false;
    return true;
  }

  /** Bytes of the block's value, or NO_VALUE. */
  valueLength(block: number): number {
    return this.cells[(block >> 2) + 1] as number;
  }

  /** What a writer does before it uses a block for something else; see map-reader.ts. */
  passFences(): void {
    const end = this.base + BUCKETS;
    for (let cell = this.base + FENCES; cell < end; cell += LINE_CELLS) Atomics.add(this.cells, cell, 0);
  }
}
