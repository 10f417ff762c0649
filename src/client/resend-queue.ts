/**
 * The guaranteed messages of this client: numbered, and kept until the gateway acknowledged them, over any number of
 * connections. Bounded in bytes. Entries stand in order of sending; those that were written once have their numbers, without
 * a gap, and go first.
 */
import { costOf, type Outgoing, snapshot } from './data.js';
import { type Delivery, forgive } from './delivery.js';
import {
  BufferFullError,
  type ClientError,
  ProtocolError,
  RefusedMessageError,
  TooLargeError,
} from './errors.js';
import { Fifo } from './fifo.js';
import { encodeMessage, MESSAGE_HEAD_BYTES } from './frames.js';
import type { Welcome } from './welcome.js';
import type { Source, Writer } from './writer.js';

interface Entry {
  data: Uint8Array<ArrayBuffer>;
  isBinary: boolean;
  /** When `send` was called. */
  sentAt: number;
  /** How often it was written. */
  attempts: number;
  /** The gateway lost the session after it was written: it may have been handled. */
  isDoubtful: boolean;
  /** Its promise is settled: it was refused, and stays until it counts as acknowledged. */
  isSettled: boolean;
  resolve(delivery: Delivery): void;
  reject(error: ClientError): void;
}

export class ResendQueue implements Source {
  readonly #maxGuaranteed: number;
  readonly #writer: Writer;
  readonly #dropped: (error: ClientError, data: Outgoing) => void;
  readonly #entries = new Fifo<Entry>();
  #bytes = 0;
  #acknowledged = 0;
  /** How many entries have a number: from `acknowledged + 1` on. */
  #numbered = 0;
  /** How many entries were written since the gateway last said go; undefined before it did. */
  #written: number | undefined;
  /** Bytes of their frames. */
  #onTheWay = 0;
  /** Of the connection that there is, or was. */
  #welcome: Welcome | undefined;

  /** @param dropped is told of each message that was given up */
  constructor(maxGuaranteed: number, writer: Writer, dropped: (error: ClientError, data: Outgoing) => void) {
    this.#maxGuaranteed = maxGuaranteed;
    this.#writer = writer;
    this.#dropped = dropped;
  }

  /** Bytes that are kept, with some 256 for each message. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The last number that the gateway acknowledged. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** How many messages were written and are not acknowledged. */
  get unacknowledged(): number {
    return this.#numbered;
  }

  get isWaiting(): boolean {
    return this.#sendable() !== undefined;
  }

  /** @throws {DataError} */
  send(given: Outgoing): Promise<Delivery> {
    const isBinary = typeof given !== 'string';
    const data = isBinary ? (snapshot(given) as Uint8Array<ArrayBuffer>) : new TextEncoder().encode(given);
    const largest = this.#welcome?.largest ?? Number.POSITIVE_INFINITY;
    if (data.length > largest) return this.#refuse(new TooLargeError(data.length, largest), given);
    const cost = costOf(data);
    if (this.#bytes + cost > this.#maxGuaranteed) {
      return this.#refuse(new BufferFullError(cost, this.#maxGuaranteed), given);
    }
    this.#bytes += cost;
    const delivery = new Promise<Delivery>((resolve, reject) => {
      const sentAt = performance.now();
      this.#entries.push({
        data,
        isBinary,
        sentAt,
        attempts: 0,
        isDoubtful: false,
        isSettled: false,
        resolve,
        reject,
      });
    });
    this.#writer.wake();
    return forgive(delivery);
  }

  /**
   * A connection begins. Nothing is written before the gateway says go.
   * @throws {TooLargeError} for a message that has its number and that this gateway cannot take any more
   */
  begin(welcome: Welcome): void {
    for (let place = 0; place < this.#numbered; place++) {
      const entry = this.#entries.at(place) as Entry;
      const { length } = entry.data;
      if (length > welcome.largest) throw new TooLargeError(length, welcome.largest);
      entry.isDoubtful ||= !welcome.resumed;
    }
    this.#welcome = welcome;
    const entries = this.#entries.clear();
    const isTooLarge = ({ data }: Entry): boolean => data.length > welcome.largest;
    for (const entry of entries) if (!isTooLarge(entry)) this.#entries.push(entry);
    for (const entry of entries.filter(isTooLarge)) {
      this.#giveUp(entry, new TooLargeError(entry.data.length, welcome.largest));
    }
  }

  /** The connection is over. */
  end(): void {
    this.#written = undefined;
    this.#onTheWay = 0;
  }

  /** Everything up to this number is through. */
  acknowledge(number: number): void {
    if (number > this.#acknowledged + this.#numbered) {
      throw new ProtocolError(`the server acknowledged ${number}, which was not sent`);
    }
    while (this.#acknowledged < number) this.#acknowledgeNext();
    this.#writer.wake();
  }

  /** Everything up to this number is through; the rest is to be sent, what was sent already again. */
  go(after: number): void {
    if (after < this.#acknowledged) {
      throw new ProtocolError(`the server asks for ${after + 1}, which it had acknowledged`);
    }
    this.#written = 0;
    this.#onTheWay = 0;
    this.acknowledge(after);
  }

  /** The gateway will not handle this message. It is kept, without a promise, until it counts as acknowledged. */
  refuse(number: number, reason: string): void {
    const place = number - this.#acknowledged - 1;
    const entry = place < this.#numbered ? this.#entries.at(place) : undefined;
    if (entry !== undefined) this.#reject(entry, new RefusedMessageError(number, reason));
  }

  /** Gives up all that is kept. */
  giveUp(error: ClientError): void {
    this.end();
    this.#numbered = 0;
    for (const entry of this.#entries.clear()) this.#giveUp(entry, error);
  }

  next(): Uint8Array<ArrayBuffer> | undefined {
    const entry = this.#sendable();
    if (entry === undefined || this.#welcome === undefined || this.#written === undefined) return undefined;
    this.#onTheWay += frameBytes(entry);
    this.#written += 1;
    this.#numbered = Math.max(this.#numbered, this.#written);
    const { data, isBinary, isDoubtful } = entry;
    entry.attempts += 1;
    const number = this.#acknowledged + this.#written;
    return encodeMessage(this.#welcome.mark, { number, isBinary, isDoubtful }, data);
  }

  /** The next entry, where the gateway said go and the window has room. One may always be on its way. */
  #sendable(): Entry | undefined {
    if (this.#written === undefined || this.#welcome === undefined) return undefined;
    const entry = this.#entries.at(this.#written);
    if (entry === undefined || this.#onTheWay === 0) return entry;
    return this.#onTheWay + frameBytes(entry) <= this.#welcome.window ? entry : undefined;
  }

  #acknowledgeNext(): void {
    const entry = this.#entries.shift() as Entry;
    this.#bytes -= costOf(entry.data);
    this.#acknowledged += 1;
    this.#numbered -= 1;
    if (this.#written !== undefined && this.#written > 0) {
      this.#written -= 1;
      this.#onTheWay -= frameBytes(entry);
    }
    const { sentAt, attempts } = entry;
    entry.resolve({
      outcome: 'acknowledged',
      waited: performance.now() - sentAt,
      number: this.#acknowledged,
      attempts,
    });
  }

  #refuse(error: ClientError, data: Outgoing): Promise<never> {
    this.#dropped(error, data);
    return forgive(Promise.reject(error));
  }

  #giveUp(entry: Entry, error: ClientError): void {
    this.#bytes -= costOf(entry.data);
    this.#reject(entry, error);
  }

  #reject(entry: Entry, error: ClientError): void {
    if (entry.isSettled) return;
    entry.isSettled = true;
    entry.reject(error);
    this.#dropped(error, entry.isBinary ? entry.data : new TextDecoder().decode(entry.data));
  }
}

function frameBytes({ data }: Entry): number {
  return MESSAGE_HEAD_BYTES + data.length;
}
