/**
 * How long to wait before the next attempt: exponential backoff with full jitter, any time from 0 to a ceiling that
 * doubles. See Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
 */
export class Backoff {
  readonly #minDelay: number;
  readonly #maxDelay: number;
  #failures = 0;

  constructor({ minDelay, maxDelay }: { minDelay: number; maxDelay: number }) {
    this.#minDelay = minDelay;
    this.#maxDelay = maxDelay;
  }

  /** Attempts that failed in a row. */
  get failures(): number {
    return this.#failures;
  }

  /** Milliseconds that the next wait may last. */
  get ceiling(): number {
    return Math.min(this.#maxDelay, this.#minDelay * 2 ** Math.max(0, this.#failures - 1));
  }

  failed(): void {
    this.#failures += 1;
  }

  /**
   * A connection lasted so many milliseconds. One that ends at once is a failure like any other: a server that takes
   * everybody and drops them must not be run down.
   */
  lasted(ms: number): void {
    if (ms >= this.ceiling) this.#failures = 0;
    else this.failed();
  }

  reset(): void {
    this.#failures = 0;
  }

  delay(): number {
    return Math.random() * this.ceiling;
  }
}
