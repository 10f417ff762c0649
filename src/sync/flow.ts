/**
 * Which locks the code that runs now already holds, across its awaits: so that a function under a lock which asks for the
 * same lock again is told so instead of waiting for itself. Known for what runs inside `run…` only.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { ArgumentError, DeadlockError } from './errors.js';
import type { Hold } from './hold.js';

/** What is held: the cell of a lock, wherever it was opened; in a map, the key of an entry. */
export interface Held {
  cells: Int32Array;
  index: number;
  key?: string;
}

interface Flow extends Held {
  outer: Flow | undefined;
}

const flow = new AsyncLocalStorage<Flow>();

/** Runs `fn`, and everything that it awaits, as the holder of a lock. */
export function runHolding<T>(held: Held, fn: () => T): T {
  return flow.run({ ...held, outer: flow.getStore() }, fn);
}

/** @throws {DeadlockError} `ERR_THREADGATE_SYNC_DEADLOCK` when the running code holds that */
export function checkNotHolding({ cells, index, key }: Held, message: string): void {
  for (let held = flow.getStore(); held !== undefined; held = held.outer) {
    if (held.cells.buffer === cells.buffer && held.index === index && held.key === key) {
      throw new DeadlockError(message);
    }
  }
}

/**
 * Runs `fn` and gives the hold back.
 * @throws {ArgumentError} `ERR_THREADGATE_SYNC_ARGUMENT` when `fn` returns a promise: it would go on without the lock
 */
export function runUnder<T>(hold: Hold, fn: (hold: Hold) => T, instead: string): T {
  try {
    return checkIsDone(fn(hold), instead);
  } finally {
    hold.unlock();
  }
}

/** @throws {ArgumentError} `ERR_THREADGATE_SYNC_ARGUMENT` for a promise */
export function checkIsDone<T>(result: T, instead: string): T {
  if (!(result instanceof Promise)) return result;
  throw new ArgumentError(
    `the function must be done when it returns, not give a promise: await ${instead}()`,
  );
}

/** Runs `fn` as the holder of `held`, awaits it, and gives the hold back. */
export async function runUnderAsync<T>(
  held: Held,
  hold: Hold,
  fn: (hold: Hold) => T | Promise<T>,
): Promise<T> {
  try {
    return await runHolding(held, () => fn(hold));
  } finally {
    hold.unlock();
  }
}
