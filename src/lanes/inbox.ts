/**
 * What is on its way to a lane, or waits for it: the producer's side of its ring, what finds no room there, and the account
 * of all that its hooks have not settled. Main thread.
 *
 * Invariant: records reach the lane in the order of `post`. What finds no room in the ring waits in the backlog, and
 * while anything waits there, everything new goes behind it.
 */
import type { MessagePort } from 'node:worker_threads';
import { copyInto } from '../wire/copy.js';
import type { DirectoryWriter } from '../wire/directory.js';
import { WAKE } from '../wire/messages.js';
import { ParkReader } from '../wire/park.js';
import { EXTERNAL, RECORD_COST_BYTES } from '../wire/records.js';
import { largestPayload, type WaitingRecord } from '../wire/ring.js';
import type { RingWriter } from '../wire/ring-writer.js';
import { Backlog } from './backlog.js';

/** A connection's side of the account: bytes taken in, and bytes known to be settled, both modulo 2³². */
export interface InboundAccount {
  readonly slot: number;
  accepted: number;
  settled: number;
}

/** Bytes that may wait. */
export interface InboxLimits {
  maxInboundPerConnection: number;
  maxInboundPerLane: number;
}

/**
 * Bytes of records after which they are made visible though the turn goes on, so that lane and main thread work side by
 * side; but only where the next record is of another connection, so that one connection's messages, and so its replies,
 * stay together.
 */
const PUBLISH_BYTES = 48 * 1024;

export class LaneInbox {
  /** What the lane has read and cannot handle yet; written by the lane. */
  readonly park = new ParkReader();

  private readonly backlog: Backlog;
  private readonly largest: number;
  /** Payloads of records in the ring that are too large for it, and where those records end. */
  private externals: { end: number; payload: Uint8Array }[] = [];
  private accepted = 0;
  private settled = 0;
  private turnScheduled = false;
  private lastTarget = 0;
  private abandoned = false;

  /**
   * @param owner the lane, by its connections
   * @param port to wake the lane by
   * @param payloads takes what is too large for the ring
   */
  constructor(
    private readonly owner: { readonly connections: number },
    private readonly ring: RingWriter,
    private readonly port: MessagePort,
    private readonly payloads: MessagePort,
    private readonly directory: DirectoryWriter,
    private readonly limits: InboxLimits,
  ) {
    this.largest = largestPayload(ring.capacity);
    this.backlog = new Backlog(this.largest);
  }

  /**
   * May this connection's message still be taken in? If so it is charged to the connection and the lane, until the
   * lane says that its hook has settled.
   *
   * Within its own bound a connection may always have one message waiting, however large. When the lane as a whole is
   * over its bound, only what stays within the connection's equal share of it is taken in, so that one flood cannot shut
   * out the others; what waits is therefore bounded by twice the lane's bound.
   */
  admit(account: InboundAccount, payloadLength: number): boolean {
    const bytes = payloadLength + RECORD_COST_BYTES;
    const { maxInboundPerConnection, maxInboundPerLane } = this.limits;
    let waiting = (account.accepted - account.settled) >>> 0;
    if (waiting + bytes > maxInboundPerConnection) {
      waiting = this.refresh(account);
      if (waiting > 0 && waiting + bytes > maxInboundPerConnection) return false;
    }
    if (this.waiting + bytes > maxInboundPerLane) {
      this.settled = this.ring.settled;
      waiting = this.refresh(account);
      const share = maxInboundPerLane / Math.max(1, this.owner.connections);
      if (this.waiting + bytes > maxInboundPerLane && waiting + bytes > share) return false;
    }
    account.accepted = (account.accepted + bytes) | 0;
    this.accepted = (this.accepted + bytes) | 0;
    return true;
  }

  /** Charges a request to the lane. @returns false when the lane is over its bound */
  admitRequest(bytes: number): boolean {
    const charged = bytes + RECORD_COST_BYTES;
    if (this.waiting + charged > this.limits.maxInboundPerLane) {
      this.settled = this.ring.settled;
      if (this.waiting + charged > this.limits.maxInboundPerLane) return false;
    }
    this.accepted = (this.accepted + charged) | 0;
    return true;
  }

  private refresh(account: InboundAccount): number {
    account.settled = this.directory.settled(account.slot);
    return (account.accepted - account.settled) >>> 0;
  }

  /** Inbound bytes whose hooks have not settled, as far as known. */
  private get waiting(): number {
    return (this.accepted - this.settled) >>> 0;
  }

  /** Sends one record to the lane; its payload is `first` and then `second`. */
  post(
    type: number,
    flags: number,
    aux: number,
    target: number,
    tag: number,
    first: Uint8Array,
    second?: Uint8Array,
  ): void {
    if (target !== this.lastTarget) {
      this.lastTarget = target;
      if (this.ring.unpublished > PUBLISH_BYTES) this.publish();
    }
    const length = second === undefined ? first.length : first.length + second.length;
    if (
      this.backlog.empty &&
      length <= this.largest &&
      this.ring.begin(type, flags, aux, target, tag, length)
    ) {
      const { bytes, offset } = this.ring;
      copyInto(bytes, offset, first);
      if (second !== undefined) copyInto(bytes, offset + first.length, second);
    } else {
      this.backlog.push(type, flags, aux, target, tag, first, second);
      this.makeUseOfRoom();
    }
    if (!this.turnScheduled) {
      this.turnScheduled = true;
      setImmediate(this.endTurn);
    }
  }

  /** Makes the records written so far visible, and wakes the lane if it sleeps. */
  publish(): void {
    if (this.ring.unpublished > 0 && this.ring.publish()) this.port.postMessage(WAKE);
  }

  /** Once per turn of the event loop. */
  private readonly endTurn = (): void => {
    this.turnScheduled = false;
    this.publish();
  };

  /** The lane has made room: moves what waits into the ring, as far as it goes. */
  refill(): void {
    this.makeUseOfRoom();
    this.publish();
  }

  private makeUseOfRoom(): void {
    this.moveBacklog();
    if (this.backlog.empty) return;
    // The lane may have made room before it could see that we starve, and then tells nobody: so look once more.
    this.ring.starve();
    this.moveBacklog();
  }

  private moveBacklog(): void {
    const { backlog, ring } = this;
    while (backlog.peek()) {
      const { type, flags, aux, target, tag, length } = backlog;
      const external = length > this.largest;
      if (!ring.begin(type, external ? flags | EXTERNAL : flags, aux, target, tag, external ? 0 : length))
        return;
      const { payload } = backlog;
      // Its block holds nothing else (see Backlog), and is shared: kept here for another lane, should this one end.
      if (external) {
        this.payloads.postMessage(payload);
        this.externals.push({ end: ring.end, payload });
      } else {
        copyInto(ring.bytes, ring.offset, payload);
      }
      backlog.shift();
    }
  }

  /** The lane has got on: drops what was only kept in case that it ends before. */
  progressed(): void {
    if (this.externals.length === 0) return;
    const { taken } = this.ring;
    while (this.externals.length > 0 && ((taken - (this.externals[0]?.end ?? 0)) | 0) >= 0)
      this.externals.shift();
  }

  /** The records that no hook has seen, oldest first. To be called once the lane has ended or reads no more. */
  *remains(): Generator<WaitingRecord> {
    if (this.abandoned) return;
    yield* this.park.records();
    const from = this.ring.takenOrParked(this.park.lastFilled);
    const externals = this.externals.filter(({ end }) => ((end - from) | 0) > 0);
    for (const record of this.ring.recordsFrom(from)) {
      if ((record.flags & EXTERNAL) !== 0) {
        record.flags &= ~EXTERNAL;
        record.payload = externals.shift()?.payload as Uint8Array;
      }
      yield record;
    }
    yield* this.backlog.records();
  }

  /** Takes off this account what will wait on another lane's. */
  discharge(bytes: number): void {
    this.accepted = (this.accepted - bytes) | 0;
  }

  /** Puts what was charged to a lane that has ended on this one's account, as far as it waits. */
  charge(account: InboundAccount | undefined, payloadLength: number): void {
    const bytes = payloadLength + RECORD_COST_BYTES;
    if (account !== undefined) account.accepted = (account.accepted + bytes) | 0;
    this.accepted = (this.accepted + bytes) | 0;
  }

  /** What remains is another lane's from here on. */
  abandon(): void {
    this.abandoned = true;
    this.externals = [];
  }

  get stats(): { ringFill: number; backlogBytes: number; waitingBytes: number } {
    this.settled = this.ring.settled;
    return {
      ringFill: this.ring.fill / this.ring.capacity,
      backlogBytes: this.backlog.bytes,
      waitingBytes: this.waiting,
    };
  }
}
