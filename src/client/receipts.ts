/**
 * The guaranteed messages of the gateway: which have come, and telling it so. Acknowledgements are for all up to a number, and
 * wait a moment for more; the gateway keeps at most a window of its own on the way.
 */
import { ProtocolError } from './errors.js';
import { encodeAcknowledged, type Mark } from './frames.js';
import type { Source, Writer } from './writer.js';

/** Milliseconds from a message to its acknowledgement, at most, unless the timers of a hidden page are slowed down. */
const PAUSE_MS = 1;
/** Bytes of messages after which it does not wait: so those timers do not slow the gateway down. */
const ENOUGH_BYTES = 2 ** 16;

export class Receipts implements Source {
  readonly #writer: Writer;
  #received = 0;
  #mark: Mark | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #bytes = 0;
  isWaiting = false;

  constructor(writer: Writer) {
    this.#writer = writer;
  }

  /** The last number that was handed to the app. */
  get received(): number {
    return this.#received;
  }

  /** A connection begins. */
  begin(mark: Mark): void {
    this.#mark = mark;
  }

  /** The connection is over. */
  end(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#bytes = 0;
    this.isWaiting = false;
    this.#mark = undefined;
  }

  /**
   * Whether this number is the next one; else it has come before.
   * @throws {ProtocolError} where one before it is missing
   */
  isNew(number: number): boolean {
    if (number > this.#received + 1) {
      throw new ProtocolError(`the server sent ${number} where ${this.#received + 1} was next`);
    }
    return number > this.#received;
  }

  /** A message of so many bytes was handed to the app, now or before. */
  handedOver(number: number, bytes: number): void {
    this.#received = Math.max(this.#received, number);
    if (this.#mark === undefined) return; // its connection is over, and the next begins with what was received
    this.#bytes += bytes;
    if (this.#bytes >= ENOUGH_BYTES) this.#acknowledge();
    else this.#timer ??= setTimeout(() => this.#acknowledge(), PAUSE_MS);
  }

  next(): Uint8Array<ArrayBuffer> | undefined {
    if (!this.isWaiting || this.#mark === undefined) return undefined;
    this.isWaiting = false;
    return encodeAcknowledged(this.#mark, this.#received);
  }

  #acknowledge(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#bytes = 0;
    this.isWaiting = true;
    this.#writer.wake();
  }
}
