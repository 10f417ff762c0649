/**
 * What is in a SharedMap: the entries on their chains, the free ones, and their blocks.
 *
 * Contract: all calls under the map's CHANGE, which is held for a few microseconds, never while a function of the user runs;
 * those that change an entry under its LOCK, too. Readers come at any time and without a lock: map-reader.ts says which order
 * of the steps here they rely on.
 *
 * A thread that dies in here leaves chains and heap walkable, as each step is one store. The next one takes stock: what is on
 * no chain is free, and so are blocks of no entry.
 */
import { copyIn } from './copies.js';
import { FullError } from './errors.js';
import { Heap } from './heap.js';
import { NOT_TAKEN, release, take } from './lock.js';
import {
  BLOCK,
  FREE,
  HASH,
  hashOf,
  keyAt,
  LOCK,
  type MapMemory,
  NEXT,
  NO_VALUE,
  NONE,
  ROVER,
  SIZE,
  STRUCTURE,
  VERSION,
  valueAt,
} from './map-memory.js';

export class MapTable {
  private readonly heap: Heap;

  constructor(private readonly memory: MapMemory) {
    const { cells, base, heapAt, heapBytes } = memory;
    this.heap = new Heap(cells, base + ROVER, heapAt, heapBytes);
  }

  /** Prepares fresh memory. Once, before anybody else can see it. */
  format(): void {
    const { memory } = this;
    this.heap.format();
    for (let entry = memory.entries; entry > NONE; entry--) {
      memory.cells[memory.entryCell(entry) + VERSION] = 1;
      this.pushFree(entry);
    }
  }

  private pushFree(entry: number): void {
    const { cells, base } = this.memory;
    const next = this.memory.entryCell(entry) + NEXT;
    Atomics.store(cells, next, cells[base + FREE] as number);
    cells[base + FREE] = entry;
  }

  /** @returns the entry, or NONE */
  find(key: string): number {
    const { memory } = this;
    const { cells } = memory;
    const hash = hashOf(key);
    let entry = cells[memory.bucketCell(hash)] as number;
    while (entry !== NONE) {
      const cell = memory.entryCell(entry);
      if (cells[cell + HASH] === hash && memory.hasKey(cells[cell + BLOCK] as number, key)) return entry;
      entry = cells[cell + NEXT] as number;
    }
    return NONE;
  }

  /** Adds an entry without a value. @throws {FullError} */
  add(key: string): void {
    const { memory } = this;
    const { cells, base } = memory;
    // First the block: looking for room may change which entries are free.
    const block = this.allocate(key, undefined);
    const entry = (cells[base + FREE] as number) || this.reclaim();
    if (entry === NONE) {
      this.heap.free(block);
      throw new FullError(`the map has its ${memory.entries} entries`);
    }
    const cell = memory.entryCell(entry);
    const hash = hashOf(key);
    const bucket = memory.bucketCell(hash);
    cells[base + FREE] = cells[cell + NEXT] as number;
    Atomics.store(cells, cell + HASH, hash);
    Atomics.store(cells, cell + BLOCK, block);
    Atomics.store(cells, cell + NEXT, cells[bucket] as number);
    Atomics.store(cells, bucket, entry);
    // Only now it can be found: what was read of the entry before is void.
    Atomics.add(cells, cell + VERSION, 1);
  }

  /** Gives the entry a value. @throws {FullError} and leaves what was there; an entry without a value is removed */
  store(key: string, cell: number, value: Uint8Array): void {
    const { memory } = this;
    const { cells, base } = memory;
    const old = cells[cell + BLOCK] as number;
    const isNew = memory.valueLength(old) === NO_VALUE;
    let block: number;
    try {
      block = this.allocate(key, value);
    } catch (error) {
      if (isNew) this.remove(cell);
      throw error;
    }
    Atomics.store(cells, cell + BLOCK, block);
    Atomics.add(cells, cell + VERSION, 2);
    if (isNew) Atomics.add(cells, base + SIZE, 1);
    memory.passFences();
    this.heap.free(old);
  }

  /** Removes an entry. */
  remove(cell: number): void {
    const { memory } = this;
    const { cells, base } = memory;
    const entry = memory.entryAt(cell);
    const block = cells[cell + BLOCK] as number;
    if (memory.valueLength(block) !== NO_VALUE) Atomics.sub(cells, base + SIZE, 1);
    Atomics.add(cells, cell + VERSION, 1);
    let link = memory.bucketCell(cells[cell + HASH] as number);
    while (cells[link] !== entry) link = memory.entryCell(cells[link] as number) + NEXT;
    Atomics.store(cells, link, cells[cell + NEXT] as number);
    // After the unlinking and before NEXT is used again: a reader that stands here comes to the end of the chain, or learns
    // that it may have lost its way.
    Atomics.add(cells, base + STRUCTURE, 1);
    memory.passFences();
    this.heap.free(block);
    this.pushFree(entry);
  }

  /** A block with key and value. @throws {FullError} */
  private allocate(key: string, value: Uint8Array | undefined): number {
    const { memory, heap } = this;
    const { cells, units } = memory;
    const length = valueAt(0, key.length) + (value?.length ?? 0);
    const block = heap.allocate(length) || (this.reclaim() === NONE ? 0 : heap.allocate(length));
    if (block === 0) {
      throw new FullError(`the map's ${memory.bytes} bytes have no room for ${length} more in one piece`);
    }
    cells[block >> 2] = key.length;
    cells[(block >> 2) + 1] = value?.length ?? NO_VALUE;
    const from = keyAt(block) >> 1;
    for (let i = 0; i < key.length; i++) units[from + i] = key.charCodeAt(i);
    if (value !== undefined) copyIn(value, cells, memory.octets, valueAt(block, key.length));
    return block;
  }

  /**
   * Frees entries that were made for a first value and are locked by nobody who lives.
   * @returns one that is free now, or NONE when there was none
   */
  private reclaim(): number {
    const { memory } = this;
    const { cells } = memory;
    let freed = NONE;
    for (let entry = 1; entry <= memory.entries; entry++) {
      const cell = memory.entryCell(entry);
      if (((cells[cell + VERSION] as number) & 1) === 1) continue;
      if (memory.valueLength(cells[cell + BLOCK] as number) !== NO_VALUE) continue;
      // Who waits for it finds another key's entry, or none; who would have it now must not.
      if (take(cells, cell + LOCK) === NOT_TAKEN) continue;
      this.remove(cell);
      release(cells, cell + LOCK);
      freed = entry;
    }
    return freed;
  }

  /** A thread died under CHANGE: keeps what is on the chains, and makes everything else free. */
  takeStock(): void {
    const { memory } = this;
    const { cells, base } = memory;
    const linked = new Set<number>();
    const blocks = new Set<number>();
    let size = 0;
    for (let bucket = 0; bucket < memory.buckets; bucket++) {
      let entry = cells[memory.bucketCell(bucket)] as number;
      while (entry !== NONE) {
        const block = cells[memory.entryCell(entry) + BLOCK] as number;
        linked.add(entry);
        blocks.add(block);
        if (memory.valueLength(block) !== NO_VALUE) size++;
        entry = cells[memory.entryCell(entry) + NEXT] as number;
      }
    }
    // As after every removal: it may be what the dead one did not come to.
    Atomics.add(cells, base + STRUCTURE, 1);
    cells[base + FREE] = NONE;
    for (let entry = memory.entries; entry > NONE; entry--) {
      const cell = memory.entryCell(entry);
      const version = cells[cell + VERSION] as number;
      // Always another one than before, for the heap below is about to change under the readers.
      const isLinked = linked.has(entry);
      Atomics.store(cells, cell + VERSION, isLinked ? (version + 2) & ~1 : version | 1);
      if (!isLinked) this.pushFree(entry);
    }
    Atomics.store(cells, base + SIZE, size);
    memory.passFences();
    this.heap.sweep(blocks);
  }
}
