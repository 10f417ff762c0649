/**
 * Cond: waiting for something to be said about what a mutex protects.
 *
 *   cell 0
 *   ┌────────┐
 *   │ EVENT  │  how often something was signalled, modulo 2³²
 *   └────────┘
 *
 *   wait     remembers the EVENT, unlocks, waits for another EVENT, locks
 *   signal   EVENT + 1, wakes one that waits                    broadcast   EVENT + 1, wakes all
 *
 * A signal between the unlocking and the waiting has changed the EVENT, so it is not lost.
 */

import { NotOwnerError } from './errors.js';
import type { Mutex } from './mutex.js';
import { HEADER_CELLS, Primitive } from './primitive.js';
import { deathOf, deaths } from './threads.js';
import { block, checkMayBlock, promise, type Steps, type WaitOptions } from './waiting.js';

export const COND_CELLS = 1;

/**
 * Like Go's sync.Cond. As there, wait in a loop: a wait may also end when nobody has signalled (after the death of a
 * thread it always does, for that may have been the one to signal).
 *
 * @example
 * const hold = lock.lock();
 * while (queueIsEmpty()) changed.wait(lock);
 * hold.unlock();
 */
export class Cond extends Primitive<'cond'> {
  private readonly event: number;

  constructor(cells: Int32Array, at: number) {
    super('cond', cells, at);
    this.event = at + HEADER_CELLS;
  }

  /**
   * Unlocks the mutex, blocks the thread until there is a signal, and locks the mutex again, also before it throws.
   *
   * Thread: workers; the one that has the mutex.
   * @returns the death of the thread that had the mutex meanwhile, if it died with it
   * @throws {MainThreadError} `ERR_THREADGATE_SYNC_MAIN_THREAD`
   * @throws {NotOwnerError} `ERR_THREADGATE_SYNC_NOT_OWNER` when this thread does not have the mutex
   * @throws {TimeoutError} `ERR_THREADGATE_SYNC_TIMEOUT`, or the signal's reason
   */
  wait(mutex: Mutex, options?: WaitOptions): ReturnType<typeof deathOf> {
    checkMayBlock('wait');
    return deathOf(block(this.steps(mutex, true), options));
  }

  /** The same as a promise, which keeps the thread alive until it settles. Thread: any; the one that has the mutex. */
  async waitAsync(mutex: Mutex, options?: WaitOptions): Promise<ReturnType<typeof deathOf>> {
    return deathOf(await promise(this.steps(mutex, false), options));
  }

  private *steps(mutex: Mutex, blocking: boolean): Steps<number> {
    const { cells, event: index } = this;
    if (!mutex.isMine) throw new NotOwnerError('wait() needs a mutex that this thread has locked');
    const value = Atomics.load(cells, index);
    const died = deaths();
    mutex.unlock();
    let failure: { reason: unknown } | undefined;
    try {
      do yield { cells, index, value };
      while (Atomics.load(cells, index) === value && deaths() === died);
    } catch (reason) {
      failure = { reason };
    }
    const before = yield* mutex.steps(blocking);
    // Nobody else would be told of a death that this one was told of. As after any wait that nobody ended, the caller waits
    // again, and then comes to the failure.
    if (failure !== undefined && before === 0) throw failure.reason;
    return before;
  }

  /** Wakes one that waits, if any does; as a rule the one that has waited longest. Thread: any; never waits. */
  signal(): void {
    Atomics.add(this.cells, this.event, 1);
    Atomics.notify(this.cells, this.event, 1);
  }

  /** Wakes all that wait. Thread: any; never waits. */
  broadcast(): void {
    Atomics.add(this.cells, this.event, 1);
    Atomics.notify(this.cells, this.event);
  }
}
