/**
 * Where a primitive stands: a block of shared memory, either in the arena under a name, or alone in memory of its own
 * that goes when nobody holds it any more.
 *
 *   cell 0      1        2        3       4             16
 *   ┌───────────┬────────┬────────┬───────┬──────┬──────┬───────────────────────────┬───────────────┐
 *   │ kind      │ first  │ second │ name: │ name:│  –   │ body: drawn in the kind's │ name, UTF-8   │
 *   │           │ parameter       │ bytes │ at   │      │ own file                  │               │
 *   └───────────┴────────┴────────┴───────┴──────┴──────┴───────────────────────────┴───────────────┘
 *
 * The header is written before the block can be found, and never again.
 */
import { ArgumentError } from './errors.js';

export const HEADER_CELLS = 16;
export const KIND_CELL = 0;
export const FIRST_CELL = 1;
export const SECOND_CELL = 2;
export const NAME_BYTES_CELL = 3;
/** Byte offset of the name: behind the body, whose size only its kind knows. */
export const NAME_AT_CELL = 4;

export const Kind = {
  mutex: 1,
  rwMutex: 2,
  waitGroup: 3,
  semaphore: 4,
  once: 5,
  cond: 6,
  counter: 7,
  channel: 8,
  context: 9,
  sharedMap: 10,
} as const;

export type KindName = keyof typeof Kind;

/** How to name a primitive to another thread: survives postMessage and `workerData`. Made into the primitive by `open`. */
export interface Handle<K extends KindName = KindName> {
  readonly kind: K;
  readonly memory: SharedArrayBuffer;
  /** The block's first cell. */
  readonly at: number;
}

/** The base of everything that has a block. */
export abstract class Primitive<K extends KindName> {
  /** For other threads: post it, or put it into `workerData`; there `open(handle)` gives the same primitive. */
  readonly handle: Handle<K>;

  protected constructor(
    kind: K,
    protected readonly cells: Int32Array,
    at: number,
  ) {
    this.handle = { kind, memory: cells.buffer as SharedArrayBuffer, at };
  }
}

/** @throws {ArgumentError} */
export function checkWhole(what: string, value: number, least: number, most: number): number {
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new ArgumentError(`${what} must be a whole number from ${least} to ${most}, not ${String(value)}`);
  }
  return value;
}
