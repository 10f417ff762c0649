/**
 * The lane's read loop: takes records from the ring and runs the app's hooks.
 *
 * Invariant: one connection's hooks run one at a time and in order. While a hook's promise has not settled, what comes
 * for that connection queues behind it; other connections go on.
 */
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import type { HookError, Hooks, Log, PeerContext } from '../src/app.js';
import { HookFailure } from '../src/errors.js';
import type { Directory } from '../src/wire/directory.js';
import { ROOM } from '../src/wire/messages.js';
import { BINARY, EXTERNAL, Inbound, Outbound, RECORD_COST_BYTES, SUBSCRIBED } from '../src/wire/records.js';
import type { RingReader } from '../src/wire/ring.js';
import { topicOf } from '../src/wire/topics.js';
import type { HttpHandler } from './http.js';
import { LaneMessage } from './message.js';
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
/** While hooks are quick the clock is read only once in so many records: reading it costs as much as a quick hook. */
const CLOCK_EVERY_MOST = 16;
const QUICK_MS = 0.02;

export class Dispatcher {
  /** Connections whose hook has not settled. */
  unsettled = 0;
  private continuing = false;
  private clockEvery = 1;

  constructor(
    private readonly ring: RingReader,
    private readonly port: MessagePort,
    private readonly payloads: MessagePort,
    private readonly directory: Directory,
    private readonly outbox: Outbox,
    private readonly peers: Peers,
    private readonly hooks: Partial<Hooks>,
    private readonly http: HttpHandler,
    private readonly log: Log,
    /** Called whenever a drain has emptied the ring or a hook has settled after its drain. */
    private readonly progressed: () => void,
  ) {}

  /** The main thread says that there is something in the ring. */
  wake(): void {
    this.drain();
  }

  /** Reads until the ring is empty or the time is up. */
  private readonly drain = (): void => {
    this.continuing = false;
    const { ring, outbox } = this;
    outbox.beginDrain();
    const began = performance.now();
    let looked = began;
    let announced = began;
    let untilClock = this.clockEvery;
    let target = 0;
    do {
      while (ring.next()) {
        if (ring.target !== target) {
          target = ring.target;
          if (looked - announced > ANNOUNCE_MS || outbox.pending > ANNOUNCE_BYTES) {
            outbox.announce();
            announced = looked;
          }
        }
        this.take();
        outbox.commit();
        if (--untilClock > 0) continue;
        const now = performance.now();
        this.clockEvery = now - looked > QUICK_MS ? 1 : Math.min(this.clockEvery * 2, CLOCK_EVERY_MOST);
        untilClock = this.clockEvery;
        looked = now;
        if (now - announced > ANNOUNCE_LATEST_MS) {
          outbox.announce();
          announced = now;
        }
        if (now - began > DRAIN_MS) {
          this.pause();
          return;
        }
      }
      this.offerRoom();
    } while (!ring.sleep());
    outbox.endDrain();
    this.progressed();
  };

  /** Goes on in the next turn of the event loop. The producer still sees us awake. */
  private pause(): void {
    this.offerRoom();
    this.outbox.endDrain();
    if (this.continuing) return;
    this.continuing = true;
    setImmediate(this.drain);
  }

  private offerRoom(): void {
    if (this.ring.takeStarved()) this.port.postMessage(ROOM);
  }

  private take(): void {
    const { ring } = this;
    let { block, offset, length } = ring;
    if ((ring.flags & EXTERNAL) !== 0) {
      // It was posted before its record was published, so it is here; its memory is this thread's own now.
      const payload = receiveMessageOnPort(this.payloads)?.message as Uint8Array<ArrayBuffer>;
      block = Buffer.from(payload.buffer);
      offset = payload.byteOffset;
      length = payload.length;
    }
    switch (ring.type) {
      case Inbound.request:
        this.http.request(ring.target, block.subarray(offset, offset + length), ring.tag);
        break;
      case Inbound.upgrade:
        this.http.upgrade(ring.target, block.subarray(offset, offset + length));
        break;
      case Inbound.abort:
        this.http.abort(ring.target);
        break;
      case Inbound.writable:
        this.http.writable(ring.target, ring.tag);
        break;
      default:
        this.takeForPeer(this.peers.at(ring.target, ring.tag), block, offset, length);
    }
  }

  private takeForPeer(peer: LanePeer, block: Buffer, offset: number, length: number): void {
    const { type, flags, aux } = this.ring;
    if (peer.running) {
      const task: HookTask = { type, flags, aux, block, offset, length, next: undefined };
      if (peer.lastTask === undefined) peer.firstTask = task;
      else peer.lastTask.next = task;
      peer.lastTask = task;
      return;
    }
    const result = this.run(peer, type, flags, aux, block, offset, length);
    if (result === undefined) this.settle(peer, type, length);
    else this.wait(peer, result, type, length);
  }

  private wait(peer: LanePeer, result: Promise<void>, type: number, length: number): void {
    peer.running = true;
    this.unsettled++;
    result.then(() => this.resume(peer, type, length));
  }

  /** A hook has settled: runs what queued behind it, up to the next one that has to be waited for. */
  private resume(peer: LanePeer, settledType: number, settledLength: number): void {
    this.settle(peer, settledType, settledLength);
    for (let task = peer.firstTask; task !== undefined; task = peer.firstTask) {
      peer.firstTask = task.next;
      if (task.next === undefined) peer.lastTask = undefined;
      const { type, flags, aux, block, offset, length } = task;
      const result = this.run(peer, type, flags, aux, block, offset, length);
      if (result !== undefined) {
        result.then(() => this.resume(peer, type, length));
        return;
      }
      this.settle(peer, type, length);
    }
    peer.running = false;
    this.unsettled--;
    this.progressed();
  }

  /** Takes a message off the account, and lets go of a connection that is through. */
  private settle(peer: LanePeer, type: number, length: number): void {
    if (type === Inbound.message || type === Inbound.ping || type === Inbound.pong) {
      const bytes = length + RECORD_COST_BYTES;
      this.directory.settle(peer.slot, bytes);
      this.ring.settle(bytes);
    } else if (type === Inbound.close) {
      peer.closed();
      this.peers.forget(peer);
      this.outbox.record(Outbound.released, 0, 0, peer.slot, peer.tag);
    }
  }

  /** Runs one hook. @returns a promise that never rejects, or undefined when the hook is done */
  private run(
    peer: LanePeer,
    type: number,
    flags: number,
    aux: number,
    block: Buffer,
    offset: number,
    length: number,
  ): Promise<void> | undefined {
    const { hooks } = this;
    try {
      switch (type) {
        case Inbound.message: {
          const message = new LaneMessage(peer, block, offset, length, (flags & BINARY) !== 0);
          return this.guard(peer, 'message', hooks.message?.(peer, message));
        }
        case Inbound.open: {
          const context = this.http.takeContext(block.readInt32LE(offset));
          if (context !== undefined) peer.setContext(context as PeerContext);
          return this.guard(peer, 'open', hooks.open?.(peer));
        }
        case Inbound.close: {
          peer.closing();
          const reason = block.toString('utf8', offset, offset + length);
          return this.guard(peer, 'close', hooks.close?.(peer, { code: aux, reason }));
        }
        case Inbound.drain:
          return this.guard(peer, 'drain', hooks.drain?.(peer));
        case Inbound.ping:
          return this.guard(peer, 'ping', hooks.ping?.(peer, bytesAt(block, offset, length)));
        case Inbound.pong:
          return this.guard(peer, 'pong', hooks.pong?.(peer, bytesAt(block, offset, length)));
        case Inbound.topic:
          peer.noteTopic(topicOf(block.toString('utf8', offset, offset + length)), flags === SUBSCRIBED);
          return undefined;
        case Inbound.finish:
          this.outbox.record(Outbound.finished, 0, 0, peer.slot, peer.tag);
          return undefined;
        default:
          throw new Error(`a record of unknown type ${type}`);
      }
    } catch (error) {
      return this.failed(peer, nameOf(type), error);
    }
  }

  private guard(peer: LanePeer, hook: string, result: unknown): Promise<void> | undefined {
    if (result === undefined || result === null || typeof (result as Promise<void>).then !== 'function')
      return undefined;
    return Promise.resolve(result as Promise<void>).then(nothing, error => this.failed(peer, hook, error));
  }

  /**
   * Hands what a hook threw to the app's `error` hook, else to the log. The connection stays.
   * @returns a promise that never rejects, or undefined when there is nothing to wait for
   */
  failed(peer: LanePeer, hook: string, cause: unknown): Promise<void> | undefined {
    const { error: errorHook } = this.hooks;
    if (errorHook === undefined || hook === 'error') {
      this.report(peer, hook, cause);
      return undefined;
    }
    try {
      const result = errorHook.call(this.hooks, peer, new HookFailure(hook, cause) as HookError);
      return this.guard(peer, 'error', result);
    } catch (error) {
      this.report(peer, 'error', error);
      return undefined;
    }
  }

  private report(peer: LanePeer, hook: string, cause: unknown): void {
    this.log.error(`the ${hook} hook failed`, { connection: peer.id, hook, err: cause });
  }
}

function nothing(): void {}

function bytesAt(block: Buffer, offset: number, length: number): Uint8Array {
  return new Uint8Array(block.buffer, block.byteOffset + offset, length);
}

function nameOf(type: number): string {
  return Object.entries(Inbound).find(([, value]) => value === type)?.[0] ?? String(type);
}
