/**
 * threadgate/sync: what Go's `sync` and channels give to goroutines, for worker threads. Works in any Node program; see
 * docs/sync.md.
 */
import { arena, isArena } from './arena.js';
import { Channel, channelCells } from './channel.js';
import { COND_CELLS, Cond } from './cond.js';
import { CONTEXT_CELLS, Context, type ContextHandle, deadlineCell } from './context.js';
import { COUNTER_CELLS, Counter } from './counter.js';
import { ArgumentError } from './errors.js';
import { mapCells } from './map-memory.js';
import { Mutex } from './mutex.js';
import { ONCE_CELLS, Once } from './once.js';
import { checkWhole, FIRST_CELL, type Handle, type KindName } from './primitive.js';
import { anonymous, type Block, type Blueprint, named } from './registry.js';
import { RW_MUTEX_CELLS, RWMutex } from './rw-mutex.js';
import { SEMAPHORE_CELLS, Semaphore } from './semaphore.js';
import { SharedMap } from './shared-map.js';
import { WAIT_GROUP_CELLS, WaitGroup } from './wait-group.js';

export { arenaMemory, useArena } from './arena.js';
export * from './errors.js';
export type { Hold } from './hold.js';
export type { OnceOptions } from './once.js';
export { type Case, type Selected, select, selectAsync, trySelect } from './select.js';
export type { UpdateInfo } from './shared-map.js';
export { ownerDied, register } from './threads.js';
export type { WaitOptions } from './waiting.js';
export type { ContextHandle, Handle, KindName };
export { Channel, Cond, Context, Counter, Mutex, Once, RWMutex, Semaphore, SharedMap, WaitGroup };

function blockOf(name: string | undefined, blueprint: Blueprint): Block {
  return name === undefined ? anonymous(blueprint) : named(name, blueprint);
}

/*
 * With a name, each of these gives the same primitive on every thread, and makes it on first use; a name belongs to one
 * kind. Without one it makes a new one, for other threads by its `handle`. All: thread any, never wait, and throw
 * NameError `ERR_THREADGATE_SYNC_NAME`, FullError `ERR_THREADGATE_SYNC_FULL`, SetupError `ERR_THREADGATE_SYNC_SETUP`.
 */

/** Mutual exclusion: see {@link Mutex}. */
export function mutex(name?: string): Mutex {
  const { cells, at } = blockOf(name, { kind: 'mutex', cells: 1 });
  return Mutex.at(cells, at);
}

/** Many readers or one writer: see {@link RWMutex}. */
export function rwMutex(name?: string): RWMutex {
  const { cells, at } = blockOf(name, { kind: 'rwMutex', cells: RW_MUTEX_CELLS });
  return new RWMutex(cells, at);
}

/** Waiting for others to be done: see {@link WaitGroup}. */
export function waitGroup(name?: string): WaitGroup {
  const { cells, at } = blockOf(name, { kind: 'waitGroup', cells: WAIT_GROUP_CELLS });
  return new WaitGroup(cells, at);
}

/**
 * At most so many at a time: see {@link Semaphore}.
 * @param permits from 1 to 2³⁰; the same for all who use the name
 */
export function semaphore(permits: number): Semaphore;
export function semaphore(name: string, permits: number): Semaphore;
export function semaphore(...args: [number] | [string, number]): Semaphore {
  const [name, permits] = args.length === 1 ? [undefined, args[0]] : args;
  const first = checkWhole('permits', permits, 1, 2 ** 30);
  const { cells, at } = blockOf(name, { kind: 'semaphore', cells: SEMAPHORE_CELLS, first, checked: true });
  return new Semaphore(cells, at);
}

/** Exactly once over all threads: see {@link Once}. */
export function once(name?: string): Once {
  const { cells, at } = blockOf(name, { kind: 'once', cells: ONCE_CELLS });
  return new Once(cells, at);
}

/** Waiting for a change under a mutex: see {@link Cond}. */
export function cond(name?: string): Cond {
  const { cells, at } = blockOf(name, { kind: 'cond', cells: COND_CELLS });
  return new Cond(cells, at);
}

/** A number of 64 bits: see {@link Counter}. */
export function counter(name?: string): Counter {
  const { cells, at } = blockOf(name, { kind: 'counter', cells: COUNTER_CELLS });
  return new Counter(cells, at);
}

export interface ChannelOptions {
  /** Values that fit in; from 1 to 2²⁰. @default 64 */
  capacity?: number;
  /** Bytes of the largest value; from 0 to 2²⁶. Memory is reserved for `capacity` of them. @default 1024 */
  maxBytes?: number;
}

const DEFAULT_CAPACITY = 64;
const DEFAULT_MAX_BYTES = 1024;

/**
 * A bounded queue between threads: see {@link Channel}.
 * @param options the same for all who use the name; who gives none takes it as it is
 */
export function channel<T = unknown>(options?: ChannelOptions): Channel<T>;
export function channel<T = unknown>(name: string, options?: ChannelOptions): Channel<T>;
export function channel<T>(first?: string | ChannelOptions, second?: ChannelOptions): Channel<T> {
  const [name, options] = typeof first === 'string' ? [first, second] : [undefined, first];
  const capacity = checkWhole('capacity', options?.capacity ?? DEFAULT_CAPACITY, 1, 2 ** 20);
  const maxBytes = checkWhole('maxBytes', options?.maxBytes ?? DEFAULT_MAX_BYTES, 0, 2 ** 26);
  const { cells, at } = blockOf(name, {
    kind: 'channel',
    cells: channelCells(capacity, maxBytes),
    first: capacity,
    second: maxBytes,
    checked: options !== undefined,
  });
  return new Channel<T>(cells, at);
}

export interface ContextOptions {
  /** Milliseconds from now after which it ends; none: only by `cancel` or its parent. */
  timeout?: number;
  /** Ends this one when it ends. A context with a name needs a parent with a name. */
  parent?: Context;
}

const LONGEST_TIMEOUT_MS = 2 ** 43;

/**
 * One end for many threads: see {@link Context}.
 * @param options count where it is made; who finds it made takes it as it is
 */
export function context(options?: ContextOptions): Context;
export function context(name: string, options?: ContextOptions): Context;
export function context(first?: string | ContextOptions, second?: ContextOptions): Context {
  const [name, options] = typeof first === 'string' ? [first, second] : [undefined, first];
  const timeout = options?.timeout;
  if (timeout !== undefined && !(timeout >= 0 && timeout <= LONGEST_TIMEOUT_MS)) {
    throw new ArgumentError(`a timeout must be a number of milliseconds from 0, not ${String(timeout)}`);
  }
  const parent = options?.parent;
  const block = blockOf(name, {
    kind: 'context',
    cells: CONTEXT_CELLS,
    first: name === undefined || parent === undefined ? 0 : parentBlock(parent),
    format: (cells, at) => {
      if (timeout === undefined) return;
      const deadline = process.hrtime.bigint() + BigInt(Math.round(timeout * 1e6));
      deadlineCell(cells, at)[0] = deadline;
    },
  });
  return name === undefined ? new Context(block.cells, block.at, parent) : namedContext(block);
}

function parentBlock({ handle }: Context): number {
  if (!isArena(handle.memory)) {
    throw new ArgumentError('a context with a name needs a parent with a name');
  }
  return handle.at;
}

function namedContext({ cells, at }: Block): Context {
  const parent = cells[at + FIRST_CELL] as number;
  return new Context(cells, at, parent === 0 ? undefined : namedContext({ cells, at: parent }));
}

export interface SharedMapOptions {
  /** Bytes for keys and values, with some 16 to 32 bytes for each entry besides; from 1,024 to 2³⁰. */
  bytes: number;
  /** Keys at most; from 1 to 2²⁴. */
  entries: number;
}

/**
 * A map that threads share: see {@link SharedMap}.
 * @param options the same for all who use the name
 */
export function sharedMap(options: SharedMapOptions): SharedMap;
export function sharedMap(name: string, options: SharedMapOptions): SharedMap;
export function sharedMap(...args: [SharedMapOptions] | [string, SharedMapOptions]): SharedMap {
  const [name, options] = args.length === 1 ? [undefined, args[0]] : args;
  const bytes = checkWhole('bytes', options?.bytes, 1024, 2 ** 30);
  const entries = checkWhole('entries', options?.entries, 1, 2 ** 24);
  const { cells, at } = blockOf(name, {
    kind: 'sharedMap',
    cells: mapCells(bytes, entries),
    first: bytes,
    second: entries,
    checked: true,
    format: SharedMap.format,
  });
  return new SharedMap(cells, at);
}

/** What each kind of handle opens to. */
export interface Opened {
  mutex: Mutex;
  rwMutex: RWMutex;
  waitGroup: WaitGroup;
  semaphore: Semaphore;
  once: Once;
  cond: Cond;
  counter: Counter;
  channel: Channel;
  context: Context;
  sharedMap: SharedMap;
}

type Openers = { [K in KindName]: (cells: Int32Array, at: number, handle: Handle<K>) => Opened[K] };

const openers: Openers = {
  mutex: (cells, at) => Mutex.at(cells, at),
  rwMutex: (cells, at) => new RWMutex(cells, at),
  waitGroup: (cells, at) => new WaitGroup(cells, at),
  semaphore: (cells, at) => new Semaphore(cells, at),
  once: (cells, at) => new Once(cells, at),
  cond: (cells, at) => new Cond(cells, at),
  counter: (cells, at) => new Counter(cells, at),
  channel: (cells, at) => new Channel(cells, at),
  context: (cells, at, { parent }: ContextHandle) =>
    new Context(cells, at, parent === undefined ? undefined : open(parent)),
  sharedMap: (cells, at) => new SharedMap(cells, at),
};

/**
 * The primitive that another thread has given by its `handle`.
 *
 * Thread: any.
 * @throws {ArgumentError} `ERR_THREADGATE_SYNC_ARGUMENT` for anything that is no handle
 * @example
 * new Worker('./work.js', { workerData: { lock: mutex().handle } });   // here
 * const lock = open(workerData.lock);                                 // there
 */
export function open<K extends KindName>(handle: Handle<K>): Opened[K] {
  if (!(handle?.memory instanceof SharedArrayBuffer) || !Object.hasOwn(openers, handle.kind)) {
    throw new ArgumentError('open() takes the handle of a primitive');
  }
  const cells = isArena(handle.memory) ? arena() : new Int32Array(handle.memory);
  return openers[handle.kind](cells, handle.at, handle);
}
