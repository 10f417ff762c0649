/**
 * The arena: the one piece of shared memory that all threads of a process have in common. In it stand the record of dead
 * threads, the table of names, and what the names stand for.
 *
 *   byte 0        64        128                     2 MiB + 128         + 64 KiB              + 16 KiB
 *   ┌─────────────┬─────────┬───────────────────────┬───────────────────┬─────────────────────┬──────────────────────────┄
 *   │ next deaths │ select  │ dead: a bit per owner │ names: a cell per │ kin: parent, child, │ blocks, one after another
 *   │ relook … id │         │                       │ name, its block   │ see threads.ts      │
 *   └─────────────┴─────────┴───────────────────────┴───────────────────┴─────────────────────┴──────────────────────────┄
 *
 * The main thread makes it when this module is first imported there, and leaves it where every worker started later
 * finds it (Node's environment data). Nothing is ever freed; pages that nobody touches cost nothing.
 */
import { randomFillSync } from 'node:crypto';
import { getEnvironmentData, isMainThread, setEnvironmentData } from 'node:worker_threads';
import { ArgumentError, SetupError } from './errors.js';

/** Where the heap's next block begins, in cells. */
export const NEXT_CELL = 0;
/** Threads that have been reported dead. Waiting threads watch it. */
export const DEATHS_CELL = 1;
/** Milliseconds after which who waits looks again by itself; see waiting.ts. Tests change it. */
export const RELOOK_CELL = 2;
/** Milliseconds after which a promise that waits for its own thread is suspicious; see suspicion.ts. Tests change it. */
export const SUSPECT_CELL = 3;
/** Two random cells: a thread that is given this memory twice gets two objects, which only this tells from two memories. */
const ID_CELL = 4;
/** Raised when a channel that some `select` waits for has changed. */
export const SELECT_CELL = 16;

/** Owners are numbered up to this: a process may start so many threads in its life. */
export const MOST_OWNERS = 1 << 24;
export const DEAD_CELL = 32;
export const NAMES_CELL = DEAD_CELL + MOST_OWNERS / 32;
export const MOST_NAMES = 1 << 14;
export const KIN_CELL = NAMES_CELL + MOST_NAMES;
/** Workers of workers that are registered at the same time. */
export const MOST_KIN = 2048;
const HEAP_CELL = KIN_CELL + 2 * MOST_KIN;

const DEFAULT_BYTES = 64 * 1024 * 1024;
const DEFAULT_RELOOK_MS = 50;
const DEFAULT_SUSPECT_MS = 10_000;
const KEY = 'threadgate/sync arena 1';

let cells: Int32Array | undefined;

/** The arena's cells. @throws {SetupError} on a worker that was started before the main thread had one */
export function arena(): Int32Array {
  if (cells === undefined) {
    const memory = getEnvironmentData(KEY);
    if (!(memory instanceof SharedArrayBuffer)) {
      throw new SetupError(
        'this worker shares no memory with the others: import threadgate/sync on the main thread before ' +
          'starting it, or give it arenaMemory() of the main thread and call useArena() with that',
      );
    }
    cells = new Int32Array(memory);
  }
  return cells;
}

function create(): SharedArrayBuffer {
  const asked = process.env.THREADGATE_SYNC_BYTES;
  const bytes = asked === undefined ? DEFAULT_BYTES : Number(asked);
  if (!Number.isInteger(bytes) || bytes < 4 * 1024 * 1024 || bytes > 2 ** 31) {
    throw new ArgumentError(`THREADGATE_SYNC_BYTES must be from 4 MiB to 2 GiB in bytes, not '${asked}'`);
  }
  const memory = new SharedArrayBuffer(bytes & ~63);
  const header = new Int32Array(memory);
  header[NEXT_CELL] = HEAP_CELL;
  header[RELOOK_CELL] = DEFAULT_RELOOK_MS;
  header[SUSPECT_CELL] = DEFAULT_SUSPECT_MS;
  randomFillSync(header.subarray(ID_CELL, ID_CELL + 2));
  return memory;
}

if (isMainThread && getEnvironmentData(KEY) === undefined) setEnvironmentData(KEY, create());

/**
 * The memory that all threads share, to be handed to a thread that would not find it by itself.
 *
 * Thread: any.
 */
export function arenaMemory(): SharedArrayBuffer {
  return arena().buffer as SharedArrayBuffer;
}

/**
 * Makes this thread use the memory that another thread's `arenaMemory()` returned. Only needed on workers that were
 * started before the main thread imported threadgate/sync. To be called before anything else.
 *
 * Thread: any.
 * @throws {SetupError} `ERR_THREADGATE_SYNC_SETUP` when this thread already uses another one
 */
export function useArena(memory: SharedArrayBuffer): void {
  const known = cells?.buffer ?? getEnvironmentData(KEY);
  if (known instanceof SharedArrayBuffer) {
    if (!isSame(known, memory)) throw new SetupError('this thread already uses another memory');
    return;
  }
  cells = new Int32Array(memory);
  setEnvironmentData(KEY, memory);
}

/** Whether this is the arena's memory. */
export function isArena(memory: SharedArrayBuffer): boolean {
  return isSame(arenaMemory(), memory);
}

function isSame(one: SharedArrayBuffer, other: SharedArrayBuffer): boolean {
  if (one.byteLength !== other.byteLength) return false;
  const [a, b] = [new Int32Array(one), new Int32Array(other)];
  return a[ID_CELL] === b[ID_CELL] && a[ID_CELL + 1] === b[ID_CELL + 1];
}
