/**
 * SharedMap: strings to bytes, in memory that is given once. Where it all stands: map-memory.ts.
 *
 * Readers take no lock and wait for nobody: map-reader.ts.
 *
 * Writers take two. LOCK, one per entry, is held while `update` runs its function, and for every other change of the entry.
 * CHANGE, one for the map, is held for the few microseconds in which something is allocated, linked or freed: map-table.ts.
 * Entries are used again for other keys, so that who waited for a LOCK looks whether it is still the same key's.
 *
 * A thread that dies under LOCK has stored its value or not.
 */
import { ArgumentError, type OwnerDiedError, ValueError } from './errors.js';
import { checkNotHolding, type Held, runHolding } from './flow.js';
import { lockSteps, release } from './lock.js';
import { BLOCK, CHANGE, hashOf, LOCK, MapMemory, NO_VALUE, NONE, SIZE } from './map-memory.js';
import { MapReader } from './map-reader.js';
import { MapTable } from './map-table.js';
import { Primitive } from './primitive.js';
import { deathOf } from './threads.js';
import { block, checkMayBlock, promise, type Steps, type WaitOptions } from './waiting.js';

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
  private readonly memory: MapMemory;
  private readonly reader: MapReader;
  private readonly table: MapTable;

  constructor(cells: Int32Array, at: number) {
    super('sharedMap', cells, at);
    this.memory = new MapMemory(cells, at);
    this.bytes = this.memory.bytes;
    this.entries = this.memory.entries;
    this.reader = new MapReader(this.memory);
    this.table = new MapTable(this.memory);
  }

  /** Prepares fresh memory. Once, before anybody else can see it. */
  static format(cells: Int32Array, at: number): void {
    new MapTable(new MapMemory(cells, at)).format();
  }

  // ── reading ──

  /** A copy of the value, or undefined. Never waits. Thread: any. @throws {ArgumentError} for a key that is no string */
  get(key: string): Uint8Array<ArrayBuffer> | undefined {
    return this.reader.get(checkKey(key), hashOf(key));
  }

  /** Whether there is a value. As `get`. */
  has(key: string): boolean {
    return this.get(key) !== undefined;
  }

  /** Keys with values. Thread: any. */
  get size(): number {
    return Atomics.load(this.cells, this.memory.base + SIZE);
  }

  /**
   * Keys and copies of values, in no order. Never waits. What is set or deleted meanwhile may be in it or not; each value is
   * whole. Thread: any.
   */
  *[Symbol.iterator](): Iterator<[string, Uint8Array<ArrayBuffer>]> {
    for (let entry = 1; entry <= this.entries; entry++) {
      const key = this.reader.keyOf(entry);
      const value = key === undefined ? undefined : this.get(key);
      if (value !== undefined) yield [key as string, value];
    }
  }

  /** The keys. As iterating. */
  *keys(): Generator<string> {
    for (const [key] of this) yield key;
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
    const existed = !this.isEmpty(locked.cell);
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
    return { cells: this.cells, index: this.memory.base, key };
  }

  // ── under the entry's LOCK ──

  /** Locks the entry of a key, and makes one first if there is none. */
  private *lockEntry(key: string, blocking: boolean): Steps<LockedEntry> {
    checkKey(key);
    for (;;) {
      yield* this.beginChange(blocking);
      try {
        if (this.table.find(key) === NONE) this.table.add(key);
      } finally {
        this.endChange();
      }
      const locked = yield* this.lockKnown(key, blocking);
      if (locked !== undefined) return locked;
    }
  }

  /** Locks the entry of a key. @returns undefined when there is none */
  private *lockKnown(key: string, blocking: boolean): Steps<LockedEntry | undefined> {
    checkKey(key);
    for (;;) {
      yield* this.beginChange(blocking);
      const entry = this.table.find(key);
      this.endChange();
      if (entry === NONE) return undefined;
      const cell = this.memory.entryCell(entry);
      const died = yield* lockSteps(this.cells, cell + LOCK, blocking, 'the entry');
      // It may have been removed, and even be another key's by now.
      if (this.reader.isKeys(cell, key)) return { cell, died };
      release(this.cells, cell + LOCK);
    }
  }

  /** Stores the value, or removes the key, and unlocks the entry. */
  private *settle(key: string, cell: number, value: Uint8Array | undefined, blocking: boolean): Steps<void> {
    try {
      yield* this.beginChange(blocking);
      try {
        if (value === undefined) this.table.remove(cell);
        else this.table.store(key, cell, value);
      } finally {
        this.endChange();
      }
    } finally {
      release(this.cells, cell + LOCK);
    }
  }

  /** Leaves the entry as it was before it was locked, and unlocks it. */
  private *restore(key: string, cell: number, blocking: boolean): Steps<void> {
    if (this.isEmpty(cell)) yield* this.settle(key, cell, undefined, blocking);
    else release(this.cells, cell + LOCK);
  }

  /** Whether an entry that this thread has locked is still without a first value. */
  private isEmpty(cell: number): boolean {
    return this.memory.valueLength(Atomics.load(this.cells, cell + BLOCK)) === NO_VALUE;
  }

  // ── under CHANGE ──

  private *beginChange(blocking: boolean): Steps<void> {
    const died = yield* lockSteps(this.cells, this.memory.base + CHANGE, blocking);
    if (died !== 0) this.table.takeStock();
  }

  private endChange(): void {
    release(this.cells, this.memory.base + CHANGE);
  }
}

function checkKey(key: string): string {
  if (typeof key === 'string') return key;
  throw new ArgumentError(`a map's keys are strings, not ${typeof key}`);
}

function checkValue(value: Uint8Array): Uint8Array {
  if (value instanceof Uint8Array) return value;
  throw new ValueError(`a map's values are Uint8Arrays, not ${typeof value}`);
}
