/**
 * A ledger: what each thread has taken or owes, so that what a dead one had can be given back.
 *
 *   an account, of 256:
 *   cell 0     1         2          3
 *   ┌──────────┬─────────┬──────────┬───┐
 *   │ owner    │ amount  │ adding   │ – │    adding: odd while the owner adds to some account (see WaitGroup)
 *   └──────────┴─────────┴──────────┴───┘
 *
 *   owner:   0 free  ·  1 thread OPENING: being cleared by that thread, does not count  ·  2 thread
 *            0 → 1 → 2; 1 or 2 of a dead thread → 1 of a living one
 *
 * An amount is the truth, and there is no sum beside it that could disagree: the total is the sum over the accounts of
 * threads that live. So there is no moment at which a thread could die and leave the books wrong.
 */
import { FullError } from './errors.js';
import { isAlive, OWNER_MASK, self } from './threads.js';

const OWNER = 0;
const AMOUNT = 1;
const ADDING = 2;
const ACCOUNT_CELLS = 4;
const MOST_ACCOUNTS = 256;
const OPENING = 1 << 24;
/** How often all accounts are gone through while others add to them. */
const TRIES = 100;

export const LEDGER_CELLS = ACCOUNT_CELLS * MOST_ACCOUNTS;

export class Ledger {
  /** This thread's account, once it has one. */
  private mine = -1;
  private readonly end: number;

  constructor(
    private readonly cells: Int32Array,
    private readonly base: number,
  ) {
    this.end = base + LEDGER_CELLS;
  }

  /**
   * The account of an owner, as the cell of its amount; opened if need be.
   * @throws {FullError} when 256 living threads have one
   */
  account(owner: number): number {
    if (owner === self && this.mine !== -1) return this.mine;
    const found = this.find(owner);
    const account = found === -1 ? this.open(owner) : found;
    if (owner === self) this.mine = account;
    return account;
  }

  private find(owner: number): number {
    for (let at = this.base; at < this.end; at += ACCOUNT_CELLS) {
      const seen = Atomics.load(this.cells, at + OWNER);
      if (seen === owner) return at + AMOUNT;
      // Accounts are opened in order and never closed.
      if (seen === 0) return -1;
    }
    return -1;
  }

  /** Two threads may both open one for the same third thread: it then has two, and sums count both. */
  private open(owner: number): number {
    const { cells } = this;
    for (let at = this.base; at < this.end; at += ACCOUNT_CELLS) {
      const seen = Atomics.load(cells, at + OWNER);
      if (seen !== 0 && isAlive(seen & OWNER_MASK)) continue;
      if (Atomics.compareExchange(cells, at + OWNER, seen, self | OPENING) !== seen) continue;
      Atomics.store(cells, at + AMOUNT, 0);
      Atomics.store(cells, at + ADDING, 0);
      Atomics.store(cells, at + OWNER, owner);
      return at + AMOUNT;
    }
    throw new FullError(`${MOST_ACCOUNTS} threads at the same time are the most`);
  }

  /** What all living threads have together, read one after the other. */
  total(): number {
    const { cells } = this;
    let total = 0;
    for (let at = this.base; at < this.end; at += ACCOUNT_CELLS) {
      const owner = Atomics.load(cells, at + OWNER);
      if (owner === 0) break;
      const amount = Atomics.load(cells, at + AMOUNT);
      if (amount !== 0 && counts(owner)) total += amount;
    }
    return total;
  }

  /** Takes one from this thread's account, or else from any other. @returns false when all are empty */
  takeOne(): boolean {
    const own = this.find(self);
    if (own !== -1 && this.takeFrom(own)) return true;
    for (let i = 0; i < TRIES; i++) {
      // Without an add in between accounts only become emptier, so what was seen empty was so all the time.
      const before = this.adds();
      if (this.takeAny()) return true;
      if (before !== undefined && this.adds() === before) return false;
    }
    return false;
  }

  private takeAny(): boolean {
    for (let at = this.base; at < this.end; at += ACCOUNT_CELLS) {
      const owner = Atomics.load(this.cells, at + OWNER);
      if (owner === 0) return false;
      if (counts(owner) && this.takeFrom(at + AMOUNT)) return true;
    }
    return false;
  }

  private takeFrom(account: number): boolean {
    for (;;) {
      const amount = Atomics.load(this.cells, account);
      if (amount <= 0) return false;
      if (Atomics.compareExchange(this.cells, account, amount, amount - 1) === amount) return true;
    }
  }

  /** Adds to an account so that `adds` tells of it, before and after. */
  add(account: number, amount: number): void {
    const adding = this.account(self) - AMOUNT + ADDING;
    Atomics.add(this.cells, adding, 1);
    Atomics.add(this.cells, account, amount);
    Atomics.add(this.cells, adding, 1);
  }

  /** A number that differs whenever an `add` lay in between. @returns undefined while one is under way */
  adds(): number | undefined {
    const { cells } = this;
    let sum = 0;
    for (let at = this.base; at < this.end; at += ACCOUNT_CELLS) {
      const owner = Atomics.load(cells, at + OWNER);
      if (owner === 0) break;
      const adding = Atomics.load(cells, at + ADDING);
      if (!counts(owner)) continue;
      if ((adding & 1) === 1) return undefined;
      sum = (sum + adding) | 0;
    }
    return sum;
  }
}

function counts(owner: number): boolean {
  return (owner & OPENING) === 0 && isAlive(owner);
}
