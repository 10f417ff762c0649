/** What locking gives: the means to unlock, once. */
import type { OwnerDiedError } from './errors.js';

/** The method by which a hold gives back what it holds; `token` says what that was. */
export const GIVE_BACK = Symbol('give back');

export interface Lender {
  [GIVE_BACK](token: number): void;
}

/** Something locked or acquired. `using` and `await using` give it back at the end of their block. */
export class Hold implements Disposable, AsyncDisposable {
  /**
   * Set when a thread died with the lock in its hands: what the lock protects may be half changed, and it is for this
   * holder to repair it.
   */
  readonly ownerDied: OwnerDiedError | undefined;
  private lender: Lender | undefined;
  private readonly token: number;

  /** Not to be called: `lock`, `readLock`, `acquire` and the like return holds. */
  constructor(lender: Lender, token: number, ownerDied: OwnerDiedError | undefined) {
    this.lender = lender;
    this.token = token;
    this.ownerDied = ownerDied;
  }

  /** Gives it back. A second call does nothing. Thread: the one that locked. */
  unlock(): void {
    const { lender } = this;
    this.lender = undefined;
    lender?.[GIVE_BACK](this.token);
  }

  [Symbol.dispose](): void {
    this.unlock();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.unlock();
    return Promise.resolve();
  }
}
