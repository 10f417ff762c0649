/**
 * SharedMap: strings to bytes, in memory that is given once.
 *
 *   cell 0          1       2      3      16               + buckets       + 8 per entry
 *   ┌───────────────┬───────┬──────┬──────┬────────────────┬───────────────┬──────────────────┐
 *   │ CHANGE: lock  │ FREE  │ SIZE │ROVER │ buckets: first │ entries       │ heap (heap.ts):  │
 *   │ STRUCTURE: 8  │ entry │      │      │ entry of each  │               │ keys and values  │
 *   └───────────────┴───────┴──────┴──────┴────────────────┴───────────────┴──────────────────┘
 *
 *   an entry, 8 cells                                      its block in the heap
 *   ┌───────┬─────────┬───────┬───────┬───────────┬───┐    ┌────────────┬─────────────┬────────────┬─────────┐
 *   │ LOCK  │ VERSION │ NEXT  │ HASH  │ BLOCK     │ – │    │ key units  │ value bytes │ key, UTF-16│ value   │
 *   └───────┴─────────┴───────┴───────┴───────────┴───┘    └────────────┴─────────────┴────────────┴─────────┘
 *     VERSION odd: the entry is not in the map              −1 value bytes: locked for a first value
 *
 * Readers take no lock and wait for nobody: a value is never changed where it stands. A writer writes a new block, then
 * stores BLOCK, then raises VERSION, then frees the old block. A reader reads VERSION, BLOCK and the bytes, and VERSION
 * again; when it is the same, the block had not been freed while it was read. The second time it is read with a
 * read-modify-write, so that the plain reads before it cannot be ordered after it: Boehm, "Can Seqlocks Get Along with
 * Programming Language Memory Models?" (2012), § 5, which holds for JavaScript's SeqCst and Unordered accesses alike.
 *
 * Not finding a key counts only if STRUCTURE, which everyone raises who adds or removes a key, is the same as before.
 *
 * Writers: LOCK, one per entry, is held while `update` runs its function, and for every other change of the entry. CHANGE,
 * one for the map, is held for the few microseconds in which something is allocated, linked or freed, never while a
 * function of the user runs. Entries are used again for other keys, so that who waited for a LOCK looks whether it is
 * still the same key's.
 *
 * A thread that dies under CHANGE leaves chains and heap walkable, as each step is one store. The next one takes stock:
 * what is on no chain is free, and blocks of no entry are too. A thread that dies under LOCK has stored its value or not.
 */

import { copyIn, copyOut } from './copies.js';
import { FullError, type OwnerDiedError, ValueError } from './errors.js';
import { checkNotHolding, type Held, runHolding } from './flow.js';
import { Heap } from './heap.js';
import { lockSteps, release } from './lock.js';
import { FIRST_CELL, HEADER_CELLS, Primitive, SECOND_CELL } from './primitive.js';
import { deathOf, isAlive, OWNER_MASK } from './threads.js';
import { block, checkMayBlock, promise, type Steps, type WaitOptions } from './waiting.js';

const CHANGE = 0;
const FREE = 1;
const SIZE = 2;
const ROVER = 3;
const STRUCTURE = 8;
const BUCKETS = 16;

const ENTRY_CELLS = 8;
const LOCK = 0;
const VERSION = 1;
const NEXT = 2;
const HASH = 3;
const BLOCK = 4;

const BLOCK_HEADER_BYTES = 8;
const NO_VALUE = -1;

/** Entries are numbered from 1; 0 is none. */
const NONE = 0;
const MISSING = -1;

function bucketCount(entries: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(16, entries)));
}

function heapCell(entries: number): number {
  return BUCKETS + bucketCount(entries) + entries * ENTRY_CELLS;
}

export function mapCells(bytes: number, entries: number): number {
  return ((heapCell(entries) + 15) & -16) + (((bytes + 15) & -16) >> 2);
}

/** A locked entry, and the owner that died with its lock: 0 for none. */
interface LockedEntry {
  cell: number;
  died: number;
}

/** What `update`'s function is given besides the value. */
export interface UpdateInfo {
  /** Set when a thread died while it updated this entry; the value is the last one that was stored as a whole. */
  ownerDied: OwnerDiedError | undefined;
}

/**
 * A map that all threads share: strings to bytes.
 *
 * @example
 * const sessions = sharedMap('sessions', { bytes: 2 ** 20, entries: 1000 });
 * await sessions.setAsync('a', bytes);                             // anywhere
 * sessions.update('a', old => increment(old));                     // on a worker, under the entry's lock
 * sessions.get('a');                                               // anywhere, never waits
 */
export class SharedMap extends Primitive<'sharedMap'> implements Iterable<[string, Uint8Array]> {
  /** Bytes for keys and values, each with some 16 to 32 bytes besides. */
  readonly bytes: number;
  /** Keys that it can hold. */
  readonly entries: number;
  private readonly base: number;
  private readonly first: number;
  private readonly mask: number;
  private readonly heap: Heap;
  private readonly units: Uint16Array;
  private readonly octets: Uint8Array;

  constructor(cells: Int32Array, at: number) {
    super('sharedMap', cells, at);
    this.bytes = cells[at + FIRST_CELL] as number;
    this.entries = cells[at + SECOND_CELL] as number;
    this.base = at + HEADER_CELLS;
    const buckets = bucketCount(this.entries);
    this.mask = buckets - 1;
    // Entry 1 stands here.
    this.first = this.base + BUCKETS + buckets - ENTRY_CELLS;
    const heapAt = (this.base + heapCell(this.entries) + 15) & -16;
    const heapBytes = (this.bytes + 15) & -16;
    this.heap = new Heap(cells, this.base + ROVER, heapAt * 4, heapBytes);
    this.units = new Uint16Array(cells.buffer);
    this.octets = new Uint8Array(cells.buffer);
  }

  /** Prepares fresh memory. Once, before anybody else can see it. */
  static format(cells: Int32Array, at: number): void {
    const map = new SharedMap(cells, at);
    map.heap.format();
    for (let entry = map.entries; entry > NONE; entry--) {
      const cell = map.cell(entry);
      cells[cell + VERSION] = 1;
      cells[cell + NEXT] = cells[map.base + FREE] as number;
      cells[map.base + FREE] = entry;
    }
  }

  private cell(entry: number): number {
    return this.first + entry * ENTRY_CELLS;
  }

  // ── reading ──

  /** A copy of the value, or undefined. Never waits. Thread: any. */
  get(key: string): Uint8Array<ArrayBuffer> | undefined {
    const { cells, base } = this;
    const hash = hashOf(key);
    for (;;) {
      const structure = Atomics.load(cells, base + STRUCTURE);
      let entry = Atomics.load(cells, base + BUCKETS + (hash & this.mask));
      // A chain that changes while it is followed may lead anywhere, even round and round.
      for (let left = this.entries; entry !== NONE && left > 0; left--) {
        const cell = this.cell(entry);
        const found = cells[cell + HASH] === hash ? this.read(cell, key) : undefined;
        if (found !== undefined) return found === MISSING ? undefined : found;
        entry = Atomics.load(cells, cell + NEXT);
      }
      if (Atomics.add(cells, base + STRUCTURE, 0) === structure) return undefined;
    }
  }

  /**
   * Reads an entry until nobody has changed it meanwhile.
   * @returns undefined when it is not this key's, MISSING when it has no value yet
   */
  private read(cell: number, key: string): Uint8Array<ArrayBuffer> | undefined | typeof MISSING {
    const { cells } = this;
    for (;;) {
      const version = Atomics.load(cells, cell + VERSION);
      if ((version & 1) === 1) return undefined;
      const at = Atomics.load(cells, cell + BLOCK);
      const same = this.keyIs(at, key);
      const length = cells[(at >> 2) + 1] as number;
      // Only what belongs together may be relied upon, for instance to take memory.
      if (Atomics.load(cells, cell + VERSION) !== version) continue;
      if (!same || length === NO_VALUE) {
        if (Atomics.add(cells, cell + VERSION, 0) === version) return same ? MISSING : undefined;
        continue;
      }
      const value = copyOut(cells, this.octets, valueAt(at, key.length), length);
      if (Atomics.add(cells, cell + VERSION, 0) === version) return value;
    }
  }

  private keyIs(at: number, key: string): boolean {
    const { length } = key;
    if (this.cells[at >> 2] !== length) return false;
    const from = (at + BLOCK_HEADER_BYTES) >> 1;
    for (let i = 0; i < length; i++) if (this.units[from + i] !== key.charCodeAt(i)) return false;
    return true;
  }

  /** Whether there is a value. Never waits. Thread: any. */
  has(key: string): boolean {
    return this.get(key) !== undefined;
  }

  /** Keys with values. Thread: any. */
  get size(): number {
    return Atomics.load(this.cells, this.base + SIZE);
  }

  /**
   * Keys and copies of values, in no order. Never waits. What is set or deleted meanwhile may be in it or not; each value is
   * whole. Thread: any.
   */
  *[Symbol.iterator](): Iterator<[string, Uint8Array<ArrayBuffer>]> {
    for (let entry = 1; entry <= this.entries; entry++) {
      const key = this.keyOf(this.cell(entry));
      if (key === undefined) continue;
      const value = this.get(key);
      if (value !== undefined) yield [key, value];
    }
  }

  /** The keys. As iterating. */
  *keys(): Generator<string> {
    for (const [key] of this) yield key;
  }

  private keyOf(cell: number): string | undefined {
    const { cells } = this;
    for (;;) {
      const version = Atomics.load(cells, cell + VERSION);
      if ((version & 1) === 1) return undefined;
      const at = Atomics.load(cells, cell + BLOCK);
      const length = cells[at >> 2] as number;
      if (Atomics.load(cells, cell + VERSION) !== version) continue;
      const from = (at + BLOCK_HEADER_BYTES) >> 1;
      const key = String.fromCharCode(...this.units.slice(from, from + length));
      if (Atomics.add(cells, cell + VERSION, 0) === version) return key;
    }
  }

  // ── writing ──

  /**
   * Sets a value; waits while somebody updates the same entry.
   *
   * Thread: workers.
   * @param value copied
   * @throws {FullError} `ERR_THREADGATE_SYNC_FULL` when there is no room; the old value stays
   * @throws {DeadlockError} `ERR_THREADGATE_SYNC_DEADLOCK` inside an update of the same entry
   * @throws {MainThreadError} `ERR_THREADGATE_SYNC_MAIN_THREAD`
   * @throws {TimeoutError} `ERR_THREADGATE_SYNC_TIMEOUT`, or the signal's reason
   */
  set(key: string, value: Uint8Array, options?: WaitOptions): void {
    checkMayBlock('set');
    block(this.setSteps(key, checkValue(value), true), options);
  }

  /** Sets a value. The promise keeps the thread alive until it settles. Thread: any. Rejects as `set` throws. */
  async setAsync(key: string, value: Uint8Array, options?: WaitOptions): Promise<void> {
    checkNotHolding(this.held(key), 'setAsync() inside an update of the same entry waits for itself');
    await promise(this.setSteps(key, checkValue(value), false), options);
  }

  private *setSteps(key: string, value: Uint8Array, blocking: boolean): Steps<void> {
    const locked = yield* this.lockEntry(key, blocking);
    yield* this.settle(key, locked.cell, value, blocking);
  }

  /** Removes a key. As `set`. Thread: workers. @returns whether it was there */
  delete(key: string, options?: WaitOptions): boolean {
    checkMayBlock('delete');
    return block(this.deleteSteps(key, true), options);
  }

  /** Removes a key. As `setAsync`. Thread: any. @returns whether it was there */
  async deleteAsync(key: string, options?: WaitOptions): Promise<boolean> {
    checkNotHolding(this.held(key), 'deleteAsync() inside an update of the same entry waits for itself');
    return await promise(this.deleteSteps(key, false), options);
  }

  private *deleteSteps(key: string, blocking: boolean): Steps<boolean> {
    const locked = yield* this.lockKnown(key, blocking);
    if (locked === undefined) return false;
    const existed = this.valueLength(locked.cell) !== NO_VALUE;
    yield* this.settle(key, locked.cell, undefined, blocking);
    return existed;
  }

  /**
   * Replaces a value by what `fn` makes of it, under the entry's lock: other changes of this entry wait, readers go on with
   * the old value, and other entries are not touched by it.
   *
   * Thread: workers.
   * @param fn is given a copy of the value, or undefined, and returns the new one, or undefined to remove the key. If it
   * throws, the entry stays as it is.
   * @returns the new value
   * @throws as `set`, or what `fn` throws
   */
  update(
    key: string,
    fn: (old: Uint8Array<ArrayBuffer> | undefined, info: UpdateInfo) => Uint8Array | undefined,
    options?: WaitOptions,
  ): Uint8Array | undefined {
    checkMayBlock('update');
    const { cell, died } = block(this.lockEntry(key, true), options);
    let value: Uint8Array | undefined;
    try {
      value = fn(this.get(key), { ownerDied: deathOf(died) });
      if (value !== undefined) checkValue(value);
    } catch (error) {
      block(this.restore(key, cell, true), undefined);
      throw error;
    }
    block(this.settle(key, cell, value, true), undefined);
    return value;
  }

  /** The same with a function that may be async. Thread: any. */
  async updateAsync(
    key: string,
    fn: (
      old: Uint8Array<ArrayBuffer> | undefined,
      info: UpdateInfo,
    ) => Uint8Array | undefined | Promise<Uint8Array | undefined>,
    options?: WaitOptions,
  ): Promise<Uint8Array | undefined> {
    const held = this.held(key);
    checkNotHolding(held, 'updateAsync() inside an update of the same entry waits for itself');
    const { cell, died } = await promise(this.lockEntry(key, false), options);
    let value: Uint8Array | undefined;
    try {
      value = await runHolding(held, () => fn(this.get(key), { ownerDied: deathOf(died) }));
      if (value !== undefined) checkValue(value);
    } catch (error) {
      await promise(this.restore(key, cell, false), undefined);
      throw error;
    }
    await promise(this.settle(key, cell, value, false), undefined);
    return value;
  }

  /** An entry's lock, for the flow of promises. */
  private held(key: string): Held {
    return { cells: this.cells, index: this.base, key };
  }

  // ── under the entry's LOCK ──

  /** Locks the entry of a key, and makes one first if there is none. */
  private *lockEntry(key: string, blocking: boolean): Steps<LockedEntry> {
    for (;;) {
      yield* this.beginChange(blocking);
      try {
        if (this.find(key) === NONE) this.add(key);
      } finally {
        this.endChange();
      }
      const locked = yield* this.lockKnown(key, blocking);
      if (locked !== undefined) return locked;
    }
  }

  /** Locks the entry of a key. @returns undefined when there is none */
  private *lockKnown(key: string, blocking: boolean): Steps<LockedEntry | undefined> {
    for (;;) {
      yield* this.beginChange(blocking);
      const entry = this.find(key);
      this.endChange();
      if (entry === NONE) return undefined;
      const cell = this.cell(entry);
      const died = yield* lockSteps(this.cells, cell + LOCK, blocking);
      // It may have been removed, and even be another key's by now.
      if (this.isKeys(cell, key)) return { cell, died };
      release(this.cells, cell + LOCK);
    }
  }

  /** Stores the value, or removes the key, and unlocks the entry. */
  private *settle(key: string, cell: number, value: Uint8Array | undefined, blocking: boolean): Steps<void> {
    try {
      yield* this.beginChange(blocking);
      try {
        if (value === undefined) this.remove(cell);
        else this.store(key, cell, value);
      } finally {
        this.endChange();
      }
    } finally {
      release(this.cells, cell + LOCK);
    }
  }

  /** Leaves the entry as it was before it was locked, and unlocks it. */
  private *restore(key: string, cell: number, blocking: boolean): Steps<void> {
    if (this.valueLength(cell) === NO_VALUE) yield* this.settle(key, cell, undefined, blocking);
    else release(this.cells, cell + LOCK);
  }

  /** Whether the entry belongs to that key. Under LOCK it stays so. */
  private isKeys(cell: number, key: string): boolean {
    const { cells } = this;
    const version = Atomics.load(cells, cell + VERSION);
    if ((version & 1) === 1) return false;
    const same = this.keyIs(Atomics.load(cells, cell + BLOCK), key);
    return same && Atomics.add(cells, cell + VERSION, 0) === version;
  }

  private valueLength(cell: number): number {
    return this.cells[(Atomics.load(this.cells, cell + BLOCK) >> 2) + 1] as number;
  }

  // ── under CHANGE ──

  private *beginChange(blocking: boolean): Steps<void> {
    const died = yield* lockSteps(this.cells, this.base + CHANGE, blocking);
    if (died !== 0) this.takeStock();
  }

  private endChange(): void {
    release(this.cells, this.base + CHANGE);
  }

  private find(key: string): number {
    const { cells, base } = this;
    const hash = hashOf(key);
    let entry = cells[base + BUCKETS + (hash & this.mask)] as number;
    while (entry !== NONE) {
      const cell = this.cell(entry);
      if (cells[cell + HASH] === hash && this.keyIs(cells[cell + BLOCK] as number, key)) return entry;
      entry = cells[cell + NEXT] as number;
    }
    return NONE;
  }

  /** Adds an entry without a value. */
  private add(key: string): number {
    const { cells, base } = this;
    const entry = (cells[base + FREE] as number) || this.reclaim();
    if (entry === NONE) throw new FullError(`the map has its ${this.entries} entries`);
    const cell = this.cell(entry);
    const at = this.allocate(key, undefined);
    Atomics.add(cells, base + STRUCTURE, 1);
    cells[base + FREE] = cells[cell + NEXT] as number;
    const hash = hashOf(key);
    const bucket = base + BUCKETS + (hash & this.mask);
    cells[cell + HASH] = hash;
    Atomics.store(cells, cell + BLOCK, at);
    Atomics.store(cells, cell + NEXT, cells[bucket] as number);
    Atomics.store(cells, bucket, entry);
    // Only now can it be found: what was read of the entry before is void.
    Atomics.add(cells, cell + VERSION, 1);
    return entry;
  }

  private store(key: string, cell: number, value: Uint8Array): void {
    const { cells, base } = this;
    const old = cells[cell + BLOCK] as number;
    const isNew = cells[(old >> 2) + 1] === NO_VALUE;
    let at: number;
    try {
      at = this.allocate(key, value);
    } catch (error) {
      if (isNew) this.remove(cell);
      throw error;
    }
    Atomics.store(cells, cell + BLOCK, at);
    Atomics.add(cells, cell + VERSION, 2);
    if (isNew) Atomics.add(cells, base + SIZE, 1);
    this.heap.free(old);
  }

  private remove(cell: number): void {
    const { cells, base } = this;
    const entry = (cell - this.first) / ENTRY_CELLS;
    const at = cells[cell + BLOCK] as number;
    if (cells[(at >> 2) + 1] !== NO_VALUE) Atomics.sub(cells, base + SIZE, 1);
    Atomics.add(cells, base + STRUCTURE, 1);
    Atomics.add(cells, cell + VERSION, 1);
    let link = base + BUCKETS + ((cells[cell + HASH] as number) & this.mask);
    while (cells[link] !== entry) link = this.cell(cells[link] as number) + NEXT;
    Atomics.store(cells, link, cells[cell + NEXT] as number);
    this.heap.free(at);
    cells[cell + NEXT] = cells[base + FREE] as number;
    cells[base + FREE] = entry;
  }

  /** A block with key and value. @throws {FullError} */
  private allocate(key: string, value: Uint8Array | undefined): number {
    const length = valueAt(0, key.length) + (value?.length ?? 0);
    const at = this.heap.allocate(length) || (this.reclaim() === NONE ? 0 : this.heap.allocate(length));
    if (at === 0)
      throw new FullError(`the map's ${this.bytes} bytes have no room for ${length} more in one piece`);
    const { cells, units } = this;
    cells[at >> 2] = key.length;
    cells[(at >> 2) + 1] = value?.length ?? NO_VALUE;
    const from = (at + BLOCK_HEADER_BYTES) >> 1;
    for (let i = 0; i < key.length; i++) units[from + i] = key.charCodeAt(i);
    if (value !== undefined) copyIn(value, cells, this.octets, valueAt(at, key.length));
    return at;
  }

  /** Frees entries that were made for a first value and are locked by nobody who lives. @returns a free entry, or NONE when there was none */
  private reclaim(): number {
    const { cells } = this;
    let freed = NONE;
    for (let entry = 1; entry <= this.entries; entry++) {
      const cell = this.cell(entry);
      if (((cells[cell + VERSION] as number) & 1) === 1 || this.valueLength(cell) !== NO_VALUE) continue;
      const owner = Atomics.load(cells, cell + LOCK) & OWNER_MASK;
      if (owner !== 0 && isAlive(owner)) continue;
      this.remove(cell);
      freed = entry;
    }
    return freed;
  }

  /** A thread died under CHANGE: keeps what is on the chains, and makes everything else free. */
  private takeStock(): void {
    const { cells, base } = this;
    Atomics.add(cells, base + STRUCTURE, 1);
    const linked = new Set<number>();
    const blocks = new Set<number>();
    let size = 0;
    for (let bucket = 0; bucket <= this.mask; bucket++) {
      let entry = cells[base + BUCKETS + bucket] as number;
      while (entry !== NONE) {
        const cell = this.cell(entry);
        linked.add(entry);
        blocks.add(cells[cell + BLOCK] as number);
        if (this.valueLength(cell) !== NO_VALUE) size++;
        entry = cells[cell + NEXT] as number;
      }
    }
    let free = NONE;
    for (let entry = this.entries; entry > NONE; entry--) {
      const cell = this.cell(entry);
      const version = cells[cell + VERSION] as number;
      // Always another one than before, for the heap below is about to change under the readers.
      const isLinked = linked.has(entry);
      Atomics.store(cells, cell + VERSION, isLinked ? (version + 2) & ~1 : version | 1);
      if (isLinked) continue;
      cells[cell + NEXT] = free;
      free = entry;
    }
    cells[base + FREE] = free;
    Atomics.store(cells, base + SIZE, size);
    this.heap.sweep(blocks);
  }
}

/** Where the value stands in a block: after the key, 8-byte aligned. */
function valueAt(block: number, keyUnits: number): number {
  return block + BLOCK_HEADER_BYTES + ((keyUnits * 2 + 7) & -8);
}

/** FNV-1a over UTF-16 code units. */
function hashOf(key: string): number {
  let hash = 0x811c9dc5 | 0;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  return hash ^ (hash >>> 15);
}

function checkValue(value: Uint8Array): Uint8Array {
  if (value instanceof Uint8Array) return value;
  throw new ValueError(`a map's values are Uint8Arrays, not ${typeof value}`);
}
