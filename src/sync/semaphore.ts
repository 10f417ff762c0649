/**
 * Semaphore: at most so many permits at a time.
 *
 *   cell 0        1         16       32
 *   ┌─────────────┬─────────┬────────┬────────────────────────────────────┐
 *   │ TURN: lock  │ WANTED  │ EVENT  │ ledger: what each thread has taken │
 *   └─────────────┴─────────┴────────┴────────────────────────────────────┘
 *
 *   acquire   takes its turn (TURN), WANTED ← 1, waits for the EVENT until enough is free, enters it, ends its turn
 *   release   enters it, then, if WANTED: WANTED ← 0, EVENT + 1
 *
 * Only who has the turn takes permits, so what was free a moment ago still is. The others wait for their turn, in the
 * lock's order: who wants many is not overtaken for ever by those who want few (as in golang.org/x/sync/semaphore). A dead
 * thread's permits count no more, and its turn goes to the next.
 */
import { DeadlockError, NotOwnerError } from './errors.js';
import { GIVE_BACK, Hold } from './hold.js';
import { LEDGER_CELLS, Ledger } from './ledger.js';
import { lockSteps, NOT_TAKEN, release, take } from './lock.js';
import { checkWhole, FIRST_CELL, HEADER_CELLS, Primitive } from './primitive.js';
import { self } from './threads.js';
import { block, checkMayBlock, promise, type Steps, type WaitOptions } from './waiting.js';

const TURN = 0;
const WANTED = 1;
const EVENT = 16;
const LEDGER = 32;
export const SEMAPHORE_CELLS = LEDGER + LEDGER_CELLS;

/**
 * Like golang.org/x/sync/semaphore. Permits belong to the thread that acquired them.
 *
 * @example
 * const uploads = semaphore('uploads', 4);
 * using permit = await uploads.acquireAsync();
 */
export class Semaphore extends Primitive<'semaphore'> {
  /** All permits, taken or not. */
  readonly permits: number;
  private readonly base: number;
  private readonly ledger: Ledger;

  constructor(cells: Int32Array, at: number) {
    super('semaphore', cells, at);
    this.permits = cells[at + FIRST_CELL] as number;
    this.base = at + HEADER_CELLS;
    this.ledger = new Ledger(cells, this.base + LEDGER);
  }

  /**
   * Blocks the thread until it has n permits.
   *
   * Thread: workers.
   * @param n at most `permits` @default 1
   * @throws {MainThreadError} `ERR_THREADGATE_SYNC_MAIN_THREAD`
   * @throws {DeadlockError} `ERR_THREADGATE_SYNC_DEADLOCK` when the permits in the way are this thread's own
   * @throws {TimeoutError} `ERR_THREADGATE_SYNC_TIMEOUT`, or the signal's reason
   */
  acquire(n = 1, options?: WaitOptions): Hold {
    checkMayBlock('acquire');
    this.check(n);
    const now = this.tryAcquire(n);
    if (now !== undefined) return now;
    block(this.acquireSteps(n, true), options);
    return new Hold(this, n, undefined);
  }

  /**
   * Acquires n permits. The promise keeps the thread alive until it settles.
   *
   * Thread: any.
   * @param n at most `permits` @default 1
   * @throws {TimeoutError} `ERR_THREADGATE_SYNC_TIMEOUT`, or the signal's reason
   */
  async acquireAsync(n = 1, options?: WaitOptions): Promise<Hold> {
    this.check(n);
    const now = this.tryAcquire(n);
    if (now !== undefined) return now;
    await promise(this.acquireSteps(n, false), options);
    return new Hold(this, n, undefined);
  }

  /**
   * Acquires n permits if they are free and nobody waits for some. Never waits. Thread: any.
   * @throws {FullError} `ERR_THREADGATE_SYNC_FULL` when 256 other threads that live use it
   */
  tryAcquire(n = 1): Hold | undefined {
    this.check(n);
    const { cells, base } = this;
    // Before the turn is taken: it throws when there are too many threads.
    const account = this.ledger.account(self);
    if (take(cells, base + TURN) === NOT_TAKEN) return undefined;
    const enough = this.free >= n;
    if (enough) Atomics.add(cells, account, n);
    release(cells, base + TURN);
    return enough ? new Hold(this, n, undefined) : undefined;
  }

  private check(n: number): void {
    checkWhole('permits', n, 1, this.permits);
  }

  /** Permits that nobody has. Thread: any. */
  get free(): number {
    return this.permits - this.ledger.total();
  }

  private *acquireSteps(n: number, blocking: boolean): Steps<void> {
    const { cells, base } = this;
    const account = this.ledger.account(self);
    yield* lockSteps(cells, base + TURN, blocking);
    try {
      for (;;) {
        const value = Atomics.load(cells, base + EVENT);
        Atomics.store(cells, base + WANTED, 1);
        const free = this.free;
        if (free >= n) {
          Atomics.add(cells, account, n);
          return;
        }
        const own = Atomics.load(cells, account);
        if (blocking && this.permits - own < n) {
          throw new DeadlockError(
            `this thread holds ${own} of ${this.permits} permits and waits for ${n} more`,
          );
        }
        yield { cells, index: base + EVENT, value };
      }
    } finally {
      release(cells, base + TURN);
    }
  }

  /**
   * Gives permits back. Where you have the hold, use its `unlock`. Thread: the one that acquired; never waits.
   *
   * @param n @default 1
   * @throws {NotOwnerError} `ERR_THREADGATE_SYNC_NOT_OWNER` when this thread has fewer
   */
  release(n = 1): void {
    this.check(n);
    const { cells, base } = this;
    const account = this.ledger.account(self);
    const own = Atomics.load(cells, account);
    if (own < n) throw new NotOwnerError(`this thread holds ${own} permits and cannot give back ${n}`);
    Atomics.sub(cells, account, n);
    if (Atomics.load(cells, base + WANTED) === 0) return;
    Atomics.store(cells, base + WANTED, 0);
    Atomics.add(cells, base + EVENT, 1);
    Atomics.notify(cells, base + EVENT, 1);
  }

  [GIVE_BACK](n: number): void {
    this.release(n);
  }
}
