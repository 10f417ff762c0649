/**
 * Mutex: one at a time. Its body is one cell, drawn in lock.ts.
 */
import { checkNotHolding, runUnder, runUnderAsync } from './flow.js';
import { GIVE_BACK, Hold } from './hold.js';
import { isMine, lockSteps, NOT_TAKEN, release, take } from './lock.js';
import { type Handle, HEADER_CELLS } from './primitive.js';
import { deathOf, self } from './threads.js';
import { block, checkMayBlock, promise, type Steps, type WaitOptions } from './waiting.js';

/**
 * Like Go's sync.Mutex, with an owner: a thread. A promise that holds it holds it for its thread, and other promises of
 * that thread wait like everybody else.
 *
 * @example
 * const orders = mutex('orders');
 * using hold = orders.lock();               // on a worker
 * using hold = await orders.lockAsync();    // anywhere
 */
export class Mutex {
  /**
   * A mutex in any cell of shared memory that is 0 at first.
   *
   * @param cells of a SharedArrayBuffer
   * @param index of the one cell that the mutex takes up
   * @param handle for other threads, where the cell stands in a block
   */
  constructor(
    readonly cells: Int32Array,
    readonly index: number,
    private readonly named?: Handle<'mutex'>,
  ) {}

  static at(cells: Int32Array, at: number): Mutex {
    const memory = cells.buffer as SharedArrayBuffer;
    return new Mutex(cells, at + HEADER_CELLS, { kind: 'mutex', memory, at });
  }

  /** For other threads: post it, or put it into `workerData`; there `open(handle)` gives the same mutex. */
  get handle(): Handle<'mutex'> {
    if (this.named === undefined) throw new TypeError('a mutex in a cell of other memory has no handle');
    return this.named;
  }

  /**
   * Locks, and blocks the thread until it has the lock.
   *
   * Thread: workers.
   * @throws {MainThreadError} `ERR_THREADGATE_SYNC_MAIN_THREAD`
   * @throws {DeadlockError} `ERR_THREADGATE_SYNC_DEADLOCK` when this thread already has the lock
   * @throws {TimeoutError} `ERR_THREADGATE_SYNC_TIMEOUT`, or the signal's reason
   */
  lock(options?: WaitOptions): Hold {
    checkMayBlock('lock');
    if (Atomics.compareExchange(this.cells, this.index, 0, self) === 0) return new Hold(this, 0, undefined);
    return new Hold(this, 0, deathOf(block(this.steps(true), options)));
  }

  /**
   * Locks. The promise keeps the thread alive until it settles.
   *
   * Thread: any.
   * @throws {DeadlockError} `ERR_THREADGATE_SYNC_DEADLOCK` inside this mutex' own `runExclusiveAsync`
   * @throws {TimeoutError} `ERR_THREADGATE_SYNC_TIMEOUT`, or the signal's reason
   */
  async lockAsync(options?: WaitOptions): Promise<Hold> {
    if (Atomics.compareExchange(this.cells, this.index, 0, self) === 0) return new Hold(this, 0, undefined);
    checkNotHolding(this, 'lockAsync() inside runExclusiveAsync() of the same mutex waits for itself');
    return new Hold(this, 0, deathOf(await promise(this.steps(false), options)));
  }

  /** Locks if nobody has the lock. Never waits. Thread: any. @returns undefined when somebody has it */
  tryLock(): Hold | undefined {
    const died = take(this.cells, this.index);
    return died === NOT_TAKEN ? undefined : new Hold(this, 0, deathOf(died));
  }

  /**
   * Unlocks. Thread: the one that locked.
   *
   * @throws {NotOwnerError} `ERR_THREADGATE_SYNC_NOT_OWNER` when this thread does not have the lock
   */
  unlock(): void {
    release(this.cells, this.index);
  }

  /** Locking as steps, for what is built on it. */
  steps(blocking: boolean): Steps<number> {
    return lockSteps(this.cells, this.index, blocking, 'the mutex');
  }

  [GIVE_BACK](): void {
    release(this.cells, this.index);
  }

  /** Whether this thread has the lock. */
  get isMine(): boolean {
    return isMine(this.cells, this.index);
  }

  /**
   * Runs `fn` under the lock. Thread: workers. Throws as `lock` does, or what `fn` throws.
   * @throws {ArgumentError} `ERR_THREADGATE_SYNC_ARGUMENT` when `fn` returns a promise
   */
  runExclusive<T>(fn: (hold: Hold) => T, options?: WaitOptions): T {
    return runUnder(this.lock(options), fn, 'runExclusiveAsync');
  }

  /** Runs `fn` under the lock and awaits it. Thread: any. Rejects as `lockAsync` does, or with what `fn` throws. */
  async runExclusiveAsync<T>(fn: (hold: Hold) => T | Promise<T>, options?: WaitOptions): Promise<T> {
    return await runUnderAsync(this, await this.lockAsync(options), fn);
  }
}
