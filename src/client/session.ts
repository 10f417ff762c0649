/**
 * What outlives connections: this client's name with the gateway, and how far each direction got. The client makes it up; the
 * gateway may forget it. See docs/protocol.md.
 */
import type { Incoming, Outgoing } from './data.js';
import type { Delivery } from './delivery.js';
import type { ClientError } from './errors.js';
import { decode, encodeSign, KIND, type Mark } from './frames.js';
import { makeSecret, offer } from './offer.js';
import { Receipts } from './receipts.js';
import { ResendQueue } from './resend-queue.js';
import type { Welcome } from './welcome.js';
import type { Writer } from './writer.js';

/**
 * The gateway lost the session: it was away for longer than its `sessionTtlMs`, or its process ended. What it had sent with
 * guarantee after `received` will not come.
 */
export interface Gap {
  /** The number of the last guaranteed message that came; so many came in all. */
  readonly received: number;
  /** How many guaranteed messages of ours are sent again, with `message.redelivered`: the gateway may have handled them. */
  readonly resent: number;
}

export class Session {
  readonly #secret = makeSecret();
  readonly #queue: ResendQueue;
  readonly #receipts: Receipts;
  /** Its frames' mark while there is a connection with it. */
  #mark: Mark | undefined;
  /** The mark of the last connection: the gateway's memory of the session, so to speak. */
  #lastMark: Mark | undefined;

  constructor(maxGuaranteed: number, writer: Writer, dropped: (error: ClientError, data: Outgoing) => void) {
    this.#queue = new ResendQueue(maxGuaranteed, writer, dropped);
    this.#receipts = new Receipts(writer);
    writer.add(this.#receipts);
    writer.add(this.#queue);
  }

  /** Whether a gateway ever took it up. */
  get wasHad(): boolean {
    return this.#lastMark !== undefined;
  }

  /** Bytes of guaranteed messages that are not acknowledged. */
  get unacknowledged(): number {
    return this.#queue.bytes;
  }

  /** The subprotocols to offer for those of the app. */
  offer(protocols: string[]): string[] {
    const { received } = this.#receipts;
    return offer(protocols, { secret: this.#secret, received, acknowledged: this.#queue.acknowledged });
  }

  /**
   * A connection with it begins.
   * @returns what is lost, if something is
   * @throws {TooLargeError}
   */
  begin(welcome: Welcome): Gap | undefined {
    const { mark } = welcome;
    // Not by `resumed` alone: that the session is new may have been said on a connection that ended before we heard it.
    const resumed = welcome.resumed && (this.#lastMark?.every((byte, at) => byte === mark[at]) ?? true);
    this.#queue.begin({ ...welcome, resumed });
    this.#receipts.begin(mark);
    const isLost = this.wasHad && !resumed;
    this.#mark = mark;
    this.#lastMark = mark;
    return isLost ? { received: this.#receipts.received, resent: this.#queue.unacknowledged } : undefined;
  }

  /** The connection is over. */
  end(): void {
    this.#mark = undefined;
    this.#queue.end();
    this.#receipts.end();
  }

  /** @throws {DataError} */
  send(data: Outgoing): Promise<Delivery> {
    return this.#queue.send(data);
  }

  /**
   * Takes what came, and hands on what is the app's.
   * @throws {ProtocolError}
   */
  receive(data: Incoming, hand: (data: Incoming) => void): void {
    const mark = this.#mark;
    const frame = mark === undefined || typeof data === 'string' ? undefined : decode(mark, data);
    switch (frame?.kind) {
      case undefined:
        hand(data);
        break;
      case KIND.message:
        if (this.#receipts.isNew(frame.number)) hand(frame.data);
        this.#receipts.handedOver(frame.number, (data as ArrayBuffer).byteLength);
        break;
      case KIND.acknowledged:
        this.#queue.acknowledge(frame.number);
        break;
      case KIND.go:
        this.#queue.go(frame.number);
        break;
      case KIND.refused:
        this.#queue.refuse(frame.number, frame.reason);
        break;
      case KIND.pong: // that something came is all that it says
    }
  }

  /** A frame that asks for a sign of life. */
  get ping(): Uint8Array<ArrayBuffer> | undefined {
    return this.#mark && encodeSign(this.#mark, KIND.ping);
  }

  /** The frame that ends the session. */
  get bye(): Uint8Array<ArrayBuffer> | undefined {
    return this.#mark && encodeSign(this.#mark, KIND.bye);
  }

  /** Gives up all messages that are not acknowledged. */
  giveUp(error: ClientError): void {
    this.#queue.giveUp(error);
  }
}
