/**
 * The way out: a bounded buffer in order of sending, and its one writer, which alone calls the WebSocket's `send`. No
 * message is handed to the WebSocket after its deadline.
 */
import { costOf, type Outgoing, snapshot } from './data.js';
import { BufferFullError, type ClientError, type ClosedError, ExpiredError } from './errors.js';
import { OPEN, type WebSocketLike } from './websocket.js';

/** What became of a message that was sent. */
export interface Delivery {
  /** It was handed to the WebSocket, in time. Whether it arrived only the other side knows. */
  outcome: 'written';
  /** Milliseconds that it waited in the buffer. */
  waited: number;
}

export interface OutboxOptions {
  maxBuffered: number;
  maxInSocket: number;
}

interface Entry {
  data: string | Uint8Array<ArrayBuffer>;
  cost: number;
  sentAt: number;
  within: number;
  resolve(delivery: Delivery): void;
  reject(error: ClientError): void;
}

/** Nothing tells when a full WebSocket has room again, so it is asked: after so many milliseconds, doubling. */
const FIRST_LOOK_MS = 1;
const LONGEST_LOOK_MS = 16;
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export class Outbox {
  readonly #options: OutboxOptions;
  readonly #dropped: (error: ClientError, data: Outgoing) => void;
  /** A set keeps its order, and gives up one in the middle at no cost. */
  readonly #entries = new Set<Entry>();
  #buffered = 0;
  #socket: WebSocketLike | undefined;
  #closed: ClosedError | undefined;
  #look: ReturnType<typeof setTimeout> | undefined;
  #lookMs = FIRST_LOOK_MS;
  #expiry: ReturnType<typeof setTimeout> | undefined;
  #expiryAt = Number.POSITIVE_INFINITY;

  /** @param dropped is told of each message that was given up */
  constructor(options: OutboxOptions, dropped: (error: ClientError, data: Outgoing) => void) {
    this.#options = options;
    this.#dropped = dropped;
  }

  /** Bytes that wait. */
  get buffered(): number {
    return this.#buffered;
  }

  /** @throws {DataError} */
  send(given: Outgoing, within: number): Promise<Delivery> {
    const data = snapshot(given);
    if (this.#closed !== undefined) return this.#refuse(this.#closed, data);
    if (this.#entries.size === 0 && this.#hasRoom()) {
      this.#socket?.send(data);
      return Promise.resolve({ outcome: 'written', waited: 0 });
    }
    if (within === 0) return this.#refuse(new ExpiredError(within), data);
    const cost = costOf(data);
    if (this.#buffered + cost > this.#options.maxBuffered) {
      return this.#refuse(new BufferFullError(cost, this.#options.maxBuffered), data);
    }
    const result = new Promise<Delivery>((resolve, reject) => {
      const entry = { data, cost, sentAt: performance.now(), within, resolve, reject };
      this.#entries.add(entry);
      this.#buffered += cost;
      this.#expireAt(entry.sentAt + within);
    });
    forgive(result);
    this.#lookLater();
    return result;
  }

  /** From here on writes go to this WebSocket. */
  attach(socket: WebSocketLike): void {
    this.#socket = socket;
    this.#write();
  }

  /** There is no WebSocket: messages wait, as long as they may. */
  detach(): void {
    this.#socket = undefined;
    clearTimeout(this.#look);
    this.#look = undefined;
  }

  /** Gives up all that waits, and whatever is sent from now on. */
  close(error: ClosedError): void {
    this.detach();
    this.#closed = error;
    for (const entry of this.#entries) this.#giveUp(entry, error);
    clearTimeout(this.#expiry);
  }

  #hasRoom(): boolean {
    const socket = this.#socket;
    return socket?.readyState === OPEN && socket.bufferedAmount < this.#options.maxInSocket;
  }

  #write(): void {
    for (const entry of this.#entries) {
      const now = performance.now();
      if (now >= entry.sentAt + entry.within) {
        this.#giveUp(entry, new ExpiredError(entry.within));
        continue;
      }
      if (!this.#hasRoom()) break;
      this.#remove(entry);
      this.#lookMs = FIRST_LOOK_MS;
      this.#socket?.send(entry.data);
      entry.resolve({ outcome: 'written', waited: now - entry.sentAt });
    }
    this.#lookLater();
  }

  #lookLater(): void {
    if (this.#entries.size === 0 || this.#socket === undefined || this.#look !== undefined) return;
    this.#look = setTimeout(() => {
      this.#look = undefined;
      this.#lookMs = Math.min(2 * this.#lookMs, LONGEST_LOOK_MS);
      this.#write();
    }, this.#lookMs);
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

/** Messages may be lost, and nobody has to wait for what becomes of one: a rejection alone does not end the process. */
function forgive<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}
