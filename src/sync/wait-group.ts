/**
 * WaitGroup: waits until everything that was added is done.
 *
 *   cell 0    1          16
 *   ┌─────────┬──────────┬──────────────────────────────────────┐
 *   │ ZEROS   │ –        │ ledger: what each thread still owes  │
 *   └─────────┴──────────┴──────────────────────────────────────┘
 *
 *   counting (the total is above 0) ⇄ zero
 *
 *   done   takes one off, and if that makes zero: ZEROS + 1, wakes all
 *   wait   remembers ZEROS, then looks for zero, then waits for other ZEROS: a zero that was reached counts for all who
 *          waited then, also when something is added right after it
 *
 * The total cannot be read at once, and while it is read account by account an `add` to one that was read already and a
 * `done` on one that was not would make a zero that never was. Only adds can do that, so a zero counts only if no add
 * happened meanwhile: each thread's account says when it adds, before and after (the "double collect" of Afek et al.,
 * "Atomic Snapshots of Shared Memory", 1993). Where adds keep coming in between it is left open: each of them is followed by
 * a done, and the last of those sees a zero that stands still; or its thread died, and who waits is told of that.
 */
import { threadId, type Worker } from 'node:worker_threads';
import { NegativeError } from './errors.js';
import { LEDGER_CELLS, Ledger } from './ledger.js';
import { checkWhole, HEADER_CELLS, Primitive } from './primitive.js';
import { isAlive, ownerOf } from './threads.js';
import { block, checkMayBlock, promise, type Steps, type WaitOptions } from './waiting.js';

const ZEROS = 0;
const LEDGER = 16;
export const WAIT_GROUP_CELLS = LEDGER + LEDGER_CELLS;

/** Tries at reading a zero before it is left open. */
const TRIES = 8;

/**
 * Like Go's sync.WaitGroup; and it knows which thread owes what. What a thread still owes when it dies is taken off, as
 * if it had been done.
 *
 * @example
 * const jobs = waitGroup('jobs');
 * jobs.add(1, worker);   // by who starts the work: that worker owes it
 * jobs.done();           // by the worker
 * await jobs.waitAsync();
 */
export class WaitGroup extends Primitive<'waitGroup'> {
  private readonly zeros: number;
  private readonly ledger: Ledger;

  constructor(cells: Int32Array, at: number) {
    super('waitGroup', cells, at);
    this.zeros = at + HEADER_CELLS + ZEROS;
    this.ledger = new Ledger(cells, at + HEADER_CELLS + LEDGER);
  }

  /**
   * Adds to what is to be waited for. Thread: any; never waits.
   *
   * @param n from 1 @default 1
   * @param debtor the thread that will do it, as its Worker or threadId. If it dies first, that counts as done.
   * @default this thread
   */
  add(n = 1, debtor: Worker | number = threadId): void {
    checkWhole('what is added to a wait group', n, 1, 2 ** 30);
    const owner = ownerOf(typeof debtor === 'number' ? debtor : debtor.threadId);
    // A Worker that has ended has −1 for its id.
    if (owner === 0 || !isAlive(owner)) return;
    this.ledger.add(this.ledger.account(owner), n);
  }

  /**
   * One of them is done: one that this thread owes, or else one of any other's. Thread: any; never waits.
   *
   * @throws {NegativeError} `ERR_THREADGATE_SYNC_NEGATIVE` when there is nothing to be done
   */
  done(): void {
    if (!this.ledger.takeOne()) throw new NegativeError();
    if (!this.isZero()) return;
    Atomics.add(this.cells, this.zeros, 1);
    Atomics.notify(this.cells, this.zeros);
  }

  /** What is not done yet; of threads that live. While others add and finish it is not exact. Thread: any. */
  get count(): number {
    return this.ledger.total();
  }

  /** @returns false also where it is left open */
  private isZero(): boolean {
    const { ledger } = this;
    for (let i = 0; i < TRIES; i++) {
      const before = ledger.adds();
      if (ledger.total() > 0) return false;
      if (before !== undefined && ledger.adds() === before) return true;
    }
    return false;
  }

  /**
   * Blocks the thread until nothing is left to be done.
   *
   * Thread: workers.
   * @throws {MainThreadError} `ERR_THREADGATE_SYNC_MAIN_THREAD`
   * @throws {TimeoutError} `ERR_THREADGATE_SYNC_TIMEOUT`, or the signal's reason
   */
  wait(options?: WaitOptions): void {
    checkMayBlock('wait');
    block(this.waitSteps(), options);
  }

  /**
   * Resolves when nothing is left to be done. The promise keeps the thread alive until then. Thread: any.
   * @throws {TimeoutError} `ERR_THREADGATE_SYNC_TIMEOUT`, or the signal's reason
   */
  async waitAsync(options?: WaitOptions): Promise<void> {
    await promise(this.waitSteps(), options);
  }

  private *waitSteps(): Steps<void> {
    const { cells, zeros: index } = this;
    const value = Atomics.load(cells, index);
    while (!this.isZero()) {
      yield { cells, index, value };
      if (Atomics.load(cells, index) !== value) return;
    }
  }
}
