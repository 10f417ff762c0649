/**
 * Counter: 64 bits that all threads count in.
 *
 *   cell 0     1
 *   ┌──────────┴─────────┐
 *   │ VALUE, 64 bits     │  one atomic operation each, so there is nothing in between
 *   └────────────────────┘
 */
import { HEADER_CELLS, Primitive } from './primitive.js';

export const COUNTER_CELLS = 2;

/**
 * Like Go's atomic.Int64: from −2⁶³ to 2⁶³ − 1, and round again. Thread: any; nothing waits.
 *
 * @example counter('requests').add(1n);
 */
export class Counter extends Primitive<'counter'> {
  private readonly value: BigInt64Array;

  constructor(cells: Int32Array, at: number) {
    super('counter', cells, at);
    this.value = new BigInt64Array(cells.buffer, (at + HEADER_CELLS) * 4, 1);
  }

  /** @returns the sum */
  add(n: bigint): bigint {
    return BigInt.asIntN(64, Atomics.add(this.value, 0, n) + n);
  }

  get(): bigint {
    return Atomics.load(this.value, 0);
  }

  /** @returns what it was before */
  set(n: bigint): bigint {
    return Atomics.exchange(this.value, 0, n);
  }

  /** Sets it to `to` if it is `from`. @returns whether it was */
  compareAndSet(from: bigint, to: bigint): boolean {
    return Atomics.compareExchange(this.value, 0, BigInt.asIntN(64, from), to) === BigInt.asIntN(64, from);
  }
}
