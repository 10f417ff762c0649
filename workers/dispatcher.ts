/**
 * The lane's read loop: takes records from the ring and has the app's hooks run.
 *
 * Invariants: one connection's hooks run one at a time and in order. While a hook's promise has not settled, what comes
 * for that connection waits in the park; other connections go on. Before a hook runs its record is taken, so that it
 * will not run twice wherever this thread may end; when it is through, one store makes that and what it sent known
 * (Outbox.commitDone). A hook whose promise has not settled is known by its connection's RUNNING cell.
 */
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import type { Log } from '../src/app.js';
import { copyInto } from '../src/wire/copy.js';
import type { Directory } from '../src/wire/directory.js';
import { ROOM } from '../src/wire/messages.js';
import { type ParkPlace, ParkWriter } from '../src/wire/park.js';
import { EXTERNAL, Inbound, Outbound, RECORD_COST_BYTES } from '../src/wire/records.js';
import { doneMark } from '../src/wire/ring.js';
import type { RingReader } from '../src/wire/ring-reader.js';
import { HookTimeouts } from './hook-timeouts.js';
import type { HookRunner } from './hooks.js';
import type { HttpHandler } from './http.js';
import type { Outbox } from './outbox.js';
import type { LanePeer } from './peer.js';
import type { Peers } from './peers.js';

/** A hook that waits for its turn: one record, and the next in the connection's queue. */
export interface HookTask {
  type: number;
  flags: number;
  aux: number;
  block: Buffer;
  offset: number;
  length: number;
  place: ParkPlace;
  next: HookTask | undefined;
}

/** Milliseconds of a drain after which the thread's other work (timers, sockets of its own) gets its turn. */
const DRAIN_MS = 10;
/**
 * What was sent is announced though the drain goes on: after so many milliseconds or bytes, as soon as the next record
 * is of another connection, for a connection's replies that stay together cost the main thread one system call instead
 * of several; and after so many more milliseconds whatever comes next.
 */
const ANNOUNCE_MS = 0.5;
const ANNOUNCE_LATEST_MS = 2;
const ANNOUNCE_BYTES = 64 * 1024;
/** Bytes of records after which a producer that waits for room is told of it though the drain goes on. */
const OFFER_ROOM_BYTES = 512 * 1024;
/** While hooks are quick the clock is read only once in so many records: reading it costs as much as a quick hook. */
const CLOCK_EVERY_MOST = 16;
const QUICK_MS = 0.02;
/** Turns of the microtask queue that a hook gets to settle before what comes behind it is parked. */
const YIELD_TURNS = 4;

export class Dispatcher {
  /** Connections whose hook has not settled. */
  unsettled = 0;

  private readonly park: ParkWriter;
  private readonly timeouts: HookTimeouts | undefined;
  private stopped = false;
  /** Whether connections are another lane's as soon as their hooks have settled. */
  private handedOver = false;
  /** Whether there may be more in the ring. */
  private reading = false;
  private continuing = false;
  /** Whether the record at hand is still to be handled. */
  private held = false;
  /** Whether the microtask queue has had its turns since the last hook returned a promise. */
  private yielded = false;
  // The drain under way: milliseconds of the clock, records until it is read again, and the record's connection before.
  private began = 0;
  private looked = 0;
  private announced = 0;
  private clockEvery = 1;
  private untilClock = 1;
  private target = 0;
  /** Where in the ring room was offered last. */
  private roomOffered = 0;
  // The payload of the record at hand.
  private block: Buffer = Buffer.alloc(0);
  private offset = 0;
  private length = 0;

  constructor(
    private readonly ring: RingReader,
    private readonly port: MessagePort,
    private readonly payloads: MessagePort,
    private readonly directory: Directory,
    private readonly outbox: Outbox,
    private readonly peers: Peers,
    private readonly hooks: HookRunner,
    private readonly http: HttpHandler,
    log: Log,
    hookTimeoutMs: number,
    /** Called whenever a drain has emptied the ring or a hook has settled after its drain. */
    private readonly progressed: () => void,
  ) {
    this.park = new ParkWriter({
      parkAdded: (index, memory) => port.postMessage({ type: 'park', index, memory }),
      parkDropped: index => port.postMessage({ type: 'parkDropped', index }),
    });
    this.timeouts = hookTimeoutMs > 0 ? new HookTimeouts(hookTimeoutMs, log) : undefined;
  }

  /** The main thread says that there is something in the ring. */
  wake(): void {
    this.beginDrain();
  }

  /** What is still to be done: hooks that have not settled, and 1 for a ring that is not read to its end. */
  get unfinished(): number {
    return this.unsettled + (this.reading ? 1 : 0);
  }

  /** Reads no more and starts no more hooks of connections; those that wait are another lane's. */
  stop(): void {
    this.stopped = true;
    this.handedOver = true;
  }

  /** The connections whose hooks have not settled. */
  get runningSlots(): number[] {
    return [...this.peers.all()].filter(({ running }) => running).map(({ slot }) => slot);
  }

  /** After `stop`, goes on with requests alone, from there on. */
  goOnFrom(position: number): void {
    this.ring.skipTo(position);
    this.held = false;
    this.stopped = false;
    this.wake();
  }

  /** Ends what would keep this dispatcher going. */
  end(): void {
    this.timeouts?.stop();
  }

  private readonly beginDrain = (): void => {
    this.continuing = false;
    this.reading = true;
    this.outbox.beginDrain();
    this.began = performance.now();
    this.looked = this.began;
    this.announced = this.began;
    this.untilClock = this.clockEvery;
    this.drain();
  };

  /** Reads until the ring is empty or the time is up. */
  private readonly drain = (): void => {
    const { ring, outbox } = this;
    do {
      while (!this.stopped && (this.held || ring.next())) {
        this.held = true;
        if (ring.target !== this.target && this.changesConnection()) return;
        if (!this.handle()) {
          this.yieldToMicrotasks(YIELD_TURNS);
          return;
        }
        this.held = false;
        outbox.commitDone(doneMark(ring.end));
        if (((ring.end - this.roomOffered) | 0) > OFFER_ROOM_BYTES) this.offerRoom();
        if (--this.untilClock === 0 && this.looksAtClock()) return;
      }
      this.offerRoom();
    } while (!this.stopped && !ring.sleep());
    this.reading = false;
    outbox.endDrain();
    this.progressed();
  };

  /** The record at hand is of another connection than the one before. @returns true when the drain pauses here */
  private changesConnection(): boolean {
    this.target = this.ring.target;
    if (this.looked - this.began > DRAIN_MS) {
      this.pause();
      return true;
    }
    if (this.looked - this.announced > ANNOUNCE_MS || this.outbox.pending > ANNOUNCE_BYTES) this.announce();
    return false;
  }

  /** @returns true when the drain pauses here */
  private looksAtClock(): boolean {
    const now = performance.now();
    this.clockEvery = now - this.looked > QUICK_MS ? 1 : Math.min(this.clockEvery * 2, CLOCK_EVERY_MOST);
    this.untilClock = this.clockEvery;
    this.looked = now;
    if (now - this.announced > ANNOUNCE_LATEST_MS) this.announce();
    if (now - this.began <= DRAIN_MS + ANNOUNCE_LATEST_MS) return false;
    this.pause();
    return true;
  }

  private announce(): void {
    this.outbox.announce();
    this.announced = this.looked;
  }

  /** Goes on in the next turn of the event loop. The producer still sees us awake. */
  private pause(): void {
    this.offerRoom();
    this.outbox.endDrain();
    if (this.continuing) return;
    this.continuing = true;
    setImmediate(this.beginDrain);
  }

  /** Hooks that only wait for what is there already settle now, and what comes behind them need not be parked. */
  private yieldToMicrotasks(turns: number): void {
    queueMicrotask(turns === 1 ? this.drain : () => this.yieldToMicrotasks(turns - 1));
  }

  private offerRoom(): void {
    this.roomOffered = this.ring.end;
    if (this.ring.takeStarved()) this.port.postMessage(ROOM);
  }

  /** Handles the record at hand. @returns false when hooks should get a chance to settle before */
  private handle(): boolean {
    const { ring } = this;
    switch (ring.type) {
      case Inbound.request:
        this.load();
        ring.take(0, 0);
        this.http.request(ring.target, this.payload, ring.tag);
        return true;
      case Inbound.upgrade:
        this.load();
        ring.take(0, 0);
        this.http.upgrade(ring.target, this.payload);
        return true;
      case Inbound.abort:
        ring.take(0, 0);
        this.http.abort(ring.target);
        return true;
      case Inbound.writable:
        ring.take(0, 0);
        this.http.writable(ring.target, ring.tag);
        return true;
      default:
        return this.handleForPeer(this.peers.at(ring.target, ring.tag));
    }
  }

  private handleForPeer(peer: LanePeer): boolean {
    const { ring } = this;
    if (peer.running) {
      if (!this.yielded) {
        this.yielded = true;
        return false;
      }
      this.load();
      this.queue(peer);
      return true;
    }
    this.load();
    ring.take(ring.target, ring.tag);
    const { type, flags, aux } = ring;
    const result = this.hooks.run(peer, type, flags, aux, this.block, this.offset, this.length);
    if (result === undefined) {
      if (type === Inbound.guaranteed) peer.endHandling();
      this.finish(peer, type, this.length);
    } else this.wait(peer, result, type, this.length);
    return true;
  }

  /** Finds the payload of the record at hand. */
  private load(): void {
    const { ring } = this;
    if ((ring.flags & EXTERNAL) === 0) {
      this.block = ring.block;
      this.offset = ring.offset;
      this.length = ring.length;
    } else {
      // It was posted before its record was published, so it is here. Handlers get memory that is this thread's own.
      const shared = receiveMessageOnPort(this.payloads)?.message as Uint8Array;
      this.block = Buffer.allocUnsafeSlow(shared.length);
      copyInto(this.block, 0, shared);
      this.offset = 0;
      this.length = shared.length;
    }
  }

  private get payload(): Buffer {
    return this.block.subarray(this.offset, this.offset + this.length);
  }

  /** Lets the record at hand wait until the connection's hook has settled. */
  private queue(peer: LanePeer): void {
    const { ring, block, offset, length } = this;
    const { type, aux } = ring;
    const flags = ring.flags & ~EXTERNAL;
    const place = this.park.park(ring, flags, this.payload);
    const task: HookTask = { type, flags, aux, block, offset, length, place, next: undefined };
    if (peer.lastTask === undefined) peer.firstTask = task;
    else peer.lastTask.next = task;
    peer.lastTask = task;
  }

  private wait(peer: LanePeer, result: Promise<void>, type: number, length: number): void {
    this.directory.setRunning(peer.slot, type);
    peer.running = true;
    this.unsettled++;
    this.await(peer, result, type, length);
  }

  private await(peer: LanePeer, result: Promise<void>, type: number, length: number): void {
    this.yielded = false;
    const settled = (): void => this.settled(peer, type, length);
    result.then(this.timeouts === undefined ? settled : this.timeouts.watch(peer, type, settled));
  }

  /** A hook has settled: runs what waited behind it, up to the next one that has to be waited for. */
  private settled(peer: LanePeer, settledType: number, settledLength: number): void {
    this.finishRunning(peer, settledType, settledLength);
    for (let task = peer.firstTask; task !== undefined && !this.handedOver; task = peer.firstTask) {
      peer.firstTask = task.next;
      if (task.next === undefined) peer.lastTask = undefined;
      const { type, flags, aux, block, offset, length } = task;
      this.directory.setRunning(peer.slot, type);
      this.park.begin(task.place);
      const result = this.hooks.run(peer, type, flags, aux, block, offset, length);
      if (result !== undefined) {
        this.await(peer, result, type, length);
        return;
      }
      this.finishRunning(peer, type, length);
    }
    peer.running = false;
    this.unsettled--;
    if (this.handedOver) this.leave(peer);
    this.progressed();
  }

  /** Nothing more of this connection is to be done here. */
  private leave(peer: LanePeer): void {
    this.peers.forget(peer);
    this.outbox.record(Outbound.left, 0, 0, peer.slot, peer.tag);
  }

  /** The same as `finish`, for a hook that the connection's RUNNING cell knows of. */
  private finishRunning(peer: LanePeer, type: number, length: number): void {
    // In this order: what it sent must not be lost without the cell telling. And after `finish` the slot may be another's.
    peer.endHandling();
    this.outbox.commit();
    this.directory.setRunning(peer.slot, 0);
    this.finish(peer, type, length);
  }

  /** Takes a message off the account, and lets go of a connection that is through. */
  private finish(peer: LanePeer, type: number, length: number): void {
    switch (type) {
      case Inbound.guaranteed:
      case Inbound.message:
      case Inbound.ping:
      case Inbound.pong: {
        const bytes = length + RECORD_COST_BYTES;
        this.directory.settle(peer.slot, bytes);
        this.ring.settle(bytes);
        break;
      }
      case Inbound.close:
        peer.closed();
        this.peers.forget(peer);
        this.outbox.record(Outbound.released, 0, 0, peer.slot, peer.tag);
        break;
      case Inbound.leave:
        this.leave(peer);
        break;
      case Inbound.finish:
        this.outbox.record(Outbound.finished, 0, 0, peer.slot, peer.tag);
        break;
    }
  }
}
