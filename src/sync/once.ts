/**
 * Once: does something exactly once over all threads.
 *
 *   cell 0       1         2                   514
 *   ┌────────────┬─────────┬───────────────────┐
 *   │ STATE      │ LENGTH  │ message of the    │
 *   │            │ of it   │ failure, UTF-8    │
 *   └────────────┴─────────┴───────────────────┘
 *
 *   STATE   0 new  ·  1 owner: that thread does it  ·  2 DONE  ·  3 FAILED, and remembered
 *
 *   0 → 1 the first one comes · 1 → 2 it is done · 1 → 3 it failed · 1 → 0 it failed and may be tried again
 *   1 with a dead owner → 1 with the next
 */
import { DeadlockError, OnceFailedError, type OwnerDiedError } from './errors.js';
import { checkIsDone, checkNotHolding, runHolding } from './flow.js';
import { HEADER_CELLS, Primitive } from './primitive.js';
import { deathOf, isAlive, self } from './threads.js';
import { block, checkMayBlock, promise, type Steps, type WaitOptions } from './waiting.js';

const STATE = 0;
const LENGTH = 1;
const MESSAGE = 2;
const MESSAGE_BYTES = 2048;
export const ONCE_CELLS = MESSAGE + MESSAGE_BYTES / 4;

const NEW = 0;
const DONE = 1 << 24;
const FAILED = 1 << 25;

/** What `steps` found: it is done, or this thread is to do it, after that owner died with it (0: nobody did). */
const ALREADY_DONE = -1;

export interface OnceOptions extends WaitOptions {
  /**
   * When what is to be done fails: 'remember' it and throw it at everybody who comes, or let the next who comes 'retry'.
   * @default 'remember'
   */
  onFailure?: 'remember' | 'retry';
}

/**
 * Like Go's sync.Once. What is done returns nothing to the others: let it leave its result in shared memory.
 *
 * @example await once('migrate').doAsync(() => migrate());
 */
export class Once extends Primitive<'once'> {
  private readonly base: number;

  constructor(cells: Int32Array, at: number) {
    super('once', cells, at);
    this.base = at + HEADER_CELLS;
  }

  /** Whether it is done. Thread: any. */
  get isDone(): boolean {
    return Atomics.load(this.cells, this.base + STATE) === DONE;
  }

  /**
   * Does it, unless it is done; while another thread is doing it, blocks until that is through.
   *
   * Thread: workers.
   * @param fn must return when it is done, not a promise. It is given the death of the thread that had begun, if any.
   * @throws {ArgumentError} `ERR_THREADGATE_SYNC_ARGUMENT` when `fn` returns a promise; that counts as a failure
   * @throws what `fn` throws; elsewhere, where that is remembered, {OnceFailedError} `ERR_THREADGATE_SYNC_ONCE_FAILED`
   * @throws {MainThreadError} `ERR_THREADGATE_SYNC_MAIN_THREAD`
   * @throws {DeadlockError} `ERR_THREADGATE_SYNC_DEADLOCK` inside `fn`
   * @throws {TimeoutError} `ERR_THREADGATE_SYNC_TIMEOUT`, or the signal's reason
   */
  do(fn: (ownerDied: OwnerDiedError | undefined) => void, options?: OnceOptions): void {
    checkMayBlock('do');
    if (this.isDone) return;
    const before = block(this.steps(true), options);
    if (before === ALREADY_DONE) return;
    try {
      checkIsDone(fn(deathOf(before)), 'doAsync');
    } catch (error) {
      this.fail(error, options);
      throw error;
    }
    this.settle(DONE);
  }

  /**
   * Does it, unless it is done; while somebody else is doing it, waits until that is through. Thread: any.
   *
   * @param fn awaited. It is given the death of the thread that had begun, if any.
   * @throws as `do`
   */
  async doAsync(
    fn: (ownerDied: OwnerDiedError | undefined) => void | Promise<void>,
    options?: OnceOptions,
  ): Promise<void> {
    if (this.isDone) return;
    checkNotHolding(
      { cells: this.cells, index: this.base },
      'doAsync() inside what the same once does waits for itself',
    );
    const before = await promise(this.steps(false), options);
    if (before === ALREADY_DONE) return;
    try {
      await runHolding({ cells: this.cells, index: this.base }, () => fn(deathOf(before)));
    } catch (error) {
      this.fail(error, options);
      throw error;
    }
    this.settle(DONE);
  }

  private *steps(blocking: boolean): Steps<number> {
    const { cells, base } = this;
    for (;;) {
      const state = Atomics.load(cells, base + STATE);
      if (state === DONE) return ALREADY_DONE;
      if (state === FAILED) throw new OnceFailedError(this.message());
      if (state === NEW || !isAlive(state)) {
        if (Atomics.compareExchange(cells, base + STATE, state, self) === state) return state;
        continue;
      }
      if (blocking && state === self) throw new DeadlockError('this thread is doing it already');
      yield { cells, index: base + STATE, value: state };
    }
  }

  private settle(state: number): void {
    Atomics.store(this.cells, this.base + STATE, state);
    Atomics.notify(this.cells, this.base + STATE);
  }

  private fail(error: unknown, options: OnceOptions | undefined): void {
    if (options?.onFailure === 'retry') {
      this.settle(NEW);
      return;
    }
    const { cells, base } = this;
    const text = Buffer.from(error instanceof Error ? `${error.name}: ${error.message}` : String(error));
    const kept = text.subarray(0, MESSAGE_BYTES);
    Buffer.from(cells.buffer).set(kept, (base + MESSAGE) * 4);
    cells[base + LENGTH] = kept.length;
    this.settle(FAILED);
  }

  private message(): string {
    const from = (this.base + MESSAGE) * 4;
    const length = this.cells[this.base + LENGTH] as number;
    return Buffer.from(this.cells.buffer).toString('utf8', from, from + length);
  }
}
