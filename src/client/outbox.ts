/** Messages that may be lost: a bounded buffer in order of sending. None is written after its deadline. */
import { costOf, type Outgoing, snapshot } from './data.js';
import { type Delivery, forgive } from './delivery.js';
import { BufferFullError, type ClientError, type ClosedError, ExpiredError } from './errors.js';
import type { Source, Writer } from './writer.js';

interface Entry {
  data: string | Uint8Array<ArrayBuffer>;
  cost: number;
  sentAt: number;
  within: number;
  resolve(delivery: Delivery): void;
  reject(error: ClientError): void;
}

const LONGEST_TIMER_MS = 2 ** 31 - 1;

export class Outbox implements Source {
  readonly #maxBuffered: number;
  readonly #writer: Writer;
  readonly #dropped: (error: ClientError, data: Outgoing) => void;
  /** A set keeps its order, and gives up one in the middle at no cost. */
  readonly #entries = new Set<Entry>();
  #buffered = 0;
  #closed: ClosedError | undefined;
  #expiry: ReturnType<typeof setTimeout> | undefined;
  #expiryAt = Number.POSITIVE_INFINITY;

  /** @param dropped is told of each message that was given up */
  constructor(maxBuffered: number, writer: Writer, dropped: (error: ClientError, data: Outgoing) => void) {
    this.#maxBuffered = maxBuffered;
    this.#writer = writer;
    this.#dropped = dropped;
    writer.add(this);
  }

  /** Bytes that wait. */
  get buffered(): number {
    return this.#buffered;
  }

  get isWaiting(): boolean {
    return this.#entries.size > 0;
  }

  /** @throws {DataError} */
  send(given: Outgoing, within: number): Promise<Delivery> {
    const data = snapshot(given);
    if (this.#closed !== undefined) return this.#refuse(this.#closed, data);
    this.#writer.wake(); // others that wait go first
    if (!this.isWaiting && this.#writer.hasRoom) {
      this.#writer.write(data);
      return Promise.resolve({ outcome: 'written', waited: 0 });
    }
    if (within === 0) return this.#refuse(new ExpiredError(within), data);
    const cost = costOf(data);
    if (this.#buffered + cost > this.#maxBuffered) {
      return this.#refuse(new BufferFullError(cost, this.#maxBuffered), data);
    }
    const result = new Promise<Delivery>((resolve, reject) => {
      const entry = { data, cost, sentAt: performance.now(), within, resolve, reject };
      this.#entries.add(entry);
      this.#buffered += cost;
      this.#expireAt(entry.sentAt + within);
    });
    this.#writer.wake();
    return forgive(result);
  }

  /** Gives up all that waits, and whatever is sent from now on. */
  close(error: ClosedError): void {
    this.#closed = error;
    for (const entry of this.#entries) this.#giveUp(entry, error);
    clearTimeout(this.#expiry);
  }

  next(): string | Uint8Array<ArrayBuffer> | undefined {
    for (const entry of this.#entries) {
      const now = performance.now();
      if (now >= entry.sentAt + entry.within) {
        this.#giveUp(entry, new ExpiredError(entry.within));
        continue;
      }
      this.#remove(entry);
      entry.resolve({ outcome: 'written', waited: now - entry.sentAt });
      return entry.data;
    }
    return undefined;
  }

  /** Makes sure that somebody looks at this time. One timer, for the earliest, serves all. */
  #expireAt(time: number): void {
    if (time >= this.#expiryAt) return;
    clearTimeout(this.#expiry);
    this.#expiryAt = time;
    const ms = Math.ceil(Math.max(1, time - performance.now()));
    this.#expiry = setTimeout(() => this.#expire(), Math.min(ms, LONGEST_TIMER_MS));
  }

  #expire(): void {
    const now = performance.now();
    let next = Number.POSITIVE_INFINITY;
    for (const entry of this.#entries) {
      const deadline = entry.sentAt + entry.within;
      if (now >= deadline) this.#giveUp(entry, new ExpiredError(entry.within));
      else next = Math.min(next, deadline);
    }
    this.#expiryAt = Number.POSITIVE_INFINITY;
    this.#expireAt(next);
  }

  #remove(entry: Entry): void {
    if (!this.#entries.delete(entry)) return;
    this.#buffered -= entry.cost;
    if (this.#entries.size > 0) return;
    clearTimeout(this.#expiry);
    this.#expiryAt = Number.POSITIVE_INFINITY;
  }

  #giveUp(entry: Entry, error: ClientError): void {
    this.#remove(entry);
    entry.reject(error);
    this.#dropped(error, entry.data);
  }

  #refuse(error: ClientError, data: Outgoing): Promise<never> {
    this.#dropped(error, data);
    return forgive(Promise.reject(error));
  }
}
