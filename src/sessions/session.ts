/**
 * One session: what a client and the gateway guarantee each other, over as many connections as it takes.
 *
 * Inbound, `handled` ≤ `accepted`: numbers in between are with a lane, all of them with the hooks of one connection, the
 * `carrier`. A connection that comes after it may send nothing before they are through (`go`), so that messages keep
 * their order whatever lanes they are on.
 *
 * Outbound, frames stand in `queue` from when they are sent until the client has acknowledged them; the first
 * `next` − `first` of them are on their way over the present connection. When they are given up, because they outgrew
 * their bound, the session goes on for what is inbound; outbound it is `lost` until the client comes back, hears that it is
 * a new one, and numbers begin where it says that it stands.
 */
import { randomBytes } from 'node:crypto';
import { FrameKind, MARK_BYTES, messageFrame, numberFrame } from './frames.js';
import type { SessionOffer } from './offer.js';

/** What a session needs of a connection; see frontend/connections.ts. */
export interface SessionConnection {
  readonly slot: number;
  readonly tag: number;
  readonly ws: SessionSocket | undefined;
  /** Set once the gateway has ended it. */
  readonly cause: string | undefined;
}

interface SessionSocket {
  send(bytes: Uint8Array | string, isBinary?: boolean): number;
  cork(callback: () => void): unknown;
}

interface Frame {
  number: number;
  bytes: Buffer;
}

/** What of a session outlives the process, where sessions are kept in a file. */
export interface SessionState {
  name: Buffer;
  mark: Buffer;
  handled: number;
  lastNumber: number;
  frames: Frame[];
  /** Whether the process ended in good order, with no message of it half handled. */
  atRest?: boolean;
}

const KEPT_READ = 64;

export class Session {
  /** The name in hexadecimal: `peer.session`. */
  readonly id: string;
  readonly name: Buffer;
  /** Another one after each loss: so all know what belongs to before. */
  mark: Buffer;
  /** Nothing outbound is kept until the client comes back. */
  lost = false;
  /** Messages that were dropped since. */
  dropped = 0;
  /** Inbound: the last number that was taken, and the last whose hook is through. */
  accepted: number;
  handled: number;
  /** The number of a message whose hook was cut off by its lane's end; 0: none. */
  cutOff = 0;
  /** The number of a message that a process before this one may have begun to handle, for hooks run one at a time; 0: none. */
  doubtful = 0;
  /** What was refused and the client may not have heard of: a connection can break with the frame on its way. */
  refusals: readonly { number: number; reason: string }[] = [];
  /** See Takeover. */
  strikes: readonly { time: number; weight: number }[] = [];
  /** The open connection that it has now. */
  connection: SessionConnection | undefined;
  /** Keys of connections that it has and had; see Sessions. Those that lanes are through with stand in `pastKeys` too. */
  readonly keys = new Set<number>();
  readonly pastKeys: number[] = [];
  /** Whether it is over: nothing more is kept for it. */
  ended = false;
  /** Bytes of what hooks have sent to it that are not through. */
  heldBytes = 0;
  /** Bytes that wait for the client's acknowledgement, sent or not. */
  waitingBytes = 0;

  private lastNumber: number;
  private queue: Frame[] = [];
  private first = 0;
  private next = 0;
  /** Bytes on their way: sent over this connection and not acknowledged. */
  private onTheWay = 0;
  private carrier: SessionConnection | undefined;
  /** Whether the client was told to send, on this connection. */
  private going = false;
  private acknowledgedTo: number;

  constructor(
    state: SessionState,
    /** Bytes that may be on their way. */
    private readonly window: number,
  ) {
    this.name = state.name;
    this.id = state.name.toString('hex');
    this.mark = state.mark;
    this.accepted = state.handled;
    this.handled = state.handled;
    this.acknowledgedTo = state.handled;
    this.lastNumber = state.lastNumber;
    this.doubtful = state.atRest === false ? state.handled + 1 : 0;
    this.queue = state.frames;
    for (const { bytes } of state.frames) this.waitingBytes += bytes.length;
  }

  /** Whether no message was begun that is not handled. */
  get atRest(): boolean {
    return this.accepted === this.handled && this.cutOff === 0 && this.doubtful <= this.handled;
  }

  get state(): SessionState {
    const { name, mark, handled, lastNumber } = this;
    return { name, mark, handled, lastNumber, frames: this.queue.slice(this.first) };
  }

  /** Whether a message of the client is a frame of the protocol. */
  owns(message: ArrayBuffer): boolean {
    if (message.byteLength <= MARK_BYTES) return false;
    const bytes = new Uint8Array(message, 0, MARK_BYTES);
    return this.mark.equals(bytes);
  }

  // ── connections ──

  /**
   * It goes on over this connection.
   * @returns whether it is the one that the client knows. Not after a loss; and not where the client knows of more than we
   * do, because the disk forgot some of it
   */
  attach(connection: SessionConnection, { received, acknowledged }: SessionOffer): boolean {
    const isKnown = !this.lost && received <= this.lastNumber && acknowledged <= this.handled;
    if (isKnown) this.acknowledge(received);
    else this.beginAnew(received, acknowledged);
    this.connection = connection;
    this.next = this.first;
    this.onTheWay = 0;
    this.going = false;
    return isKnown;
  }

  private beginAnew(received: number, acknowledged: number): void {
    if (!this.lost) this.lose();
    this.lost = false;
    this.lastNumber = received;
    this.settle(acknowledged);
  }

  /** Gives up what waits for the client. @returns how many messages that was */
  lose(): number {
    const count = this.queue.length - this.first;
    this.mark = randomBytes(MARK_BYTES);
    this.lost = true;
    // Also the next process, which finds this in its file, is behind what the client knows.
    this.lastNumber = 0;
    this.queue = [];
    this.first = 0;
    this.next = 0;
    this.onTheWay = 0;
    this.waitingBytes = 0;
    this.heldBytes = 0;
    return count;
  }

  detach(connection: SessionConnection): void {
    if (this.connection === connection) this.connection = undefined;
  }

  /** Whether what the client sends over this connection is taken: there it was told to go, and the gateway has not ended it. */
  listensTo(connection: SessionConnection): boolean {
    return this.going && this.connection === connection && connection.cause === undefined;
  }

  // ── inbound ──

  /** The next message goes to the hooks of this connection. */
  accept(carrier: SessionConnection): void {
    this.accepted++;
    this.carrier = carrier;
  }

  /** The hook of this message is through. */
  settle(number: number): void {
    if (number <= this.handled) return;
    this.handled = number;
    this.accepted = Math.max(this.accepted, number);
    if (this.cutOff <= number) this.cutOff = 0;
  }

  /** What was accepted and is not handled never will be: it has to come again. */
  rewind(): void {
    this.accepted = this.handled;
    this.carrier = undefined;
    this.going = false;
  }

  /** A lane is through with this closed connection: what it was to handle and did not, it never will. */
  released(connection: SessionConnection): void {
    if (this.carrier === connection && this.accepted !== this.handled) this.rewind();
  }

  /** @returns the number to acknowledge, and whether by `go`; undefined when there is nothing new to tell */
  acknowledgement(): Buffer | undefined {
    if (!this.going) {
      const inFlight = this.accepted !== this.handled && this.carrier !== this.connection;
      if (inFlight) return undefined;
      this.going = true;
      this.acknowledgedTo = this.handled;
      return numberFrame(this.mark, FrameKind.go, this.handled);
    }
    if (this.acknowledgedTo === this.handled) return undefined;
    this.acknowledgedTo = this.handled;
    return numberFrame(this.mark, FrameKind.acknowledged, this.handled);
  }

  // ── outbound ──

  /** Puts a message into the queue. @returns its frame */
  push(data: Uint8Array, binary: boolean): Frame {
    const number = ++this.lastNumber;
    const frame = { number, bytes: messageFrame(this.mark, number, binary, data) };
    this.queue.push(frame);
    this.waitingBytes += frame.bytes.length;
    return frame;
  }

  /** The last number that the client is known to have. */
  get received(): number {
    return this.lastNumber - (this.queue.length - this.first);
  }

  /** The client has everything up to this number, or says so. @returns whether that is news */
  acknowledge(number: number): boolean {
    const before = this.received;
    for (;;) {
      const frame = this.queue[this.first];
      if (frame === undefined || frame.number > number) break;
      this.waitingBytes -= frame.bytes.length;
      if (this.first < this.next) this.onTheWay -= frame.bytes.length;
      else this.next++;
      this.first++;
    }
    if (this.first > KEPT_READ && 2 * this.first > this.queue.length) {
      this.queue = this.queue.slice(this.first);
      this.next -= this.first;
      this.first = 0;
    }
    return this.received > before;
  }

  /** Frames to send now, as far as the window goes. Each counts as sent. */
  *due(): Generator<Buffer> {
    for (let frame = this.queue[this.next]; frame !== undefined; frame = this.queue[this.next]) {
      const { length } = frame.bytes;
      if (this.onTheWay > 0 && this.onTheWay + length > this.window) return;
      this.next++;
      this.onTheWay += length;
      yield frame.bytes;
    }
  }
}
