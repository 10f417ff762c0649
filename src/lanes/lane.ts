/**
 * One lane as the main thread sees it: the producer's side of its ring, its port, and the account of what waits for it.
 *
 * Invariant: records reach the lane in the order of `post`. What finds no room in the ring waits in the backlog, and
 * while anything waits there, everything new goes behind it.
 */
import { once } from 'node:events';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { AppError } from '../errors.js';
import type { JobModule, JobOwner } from '../jobs/jobs.js';
import { arenaMemory, type ContextHandle } from '../sync/index.js';
import { BatchReader } from '../wire/batch.js';
import type { DirectoryMemory, DirectoryWriter } from '../wire/directory.js';
import {
  type JobFailure,
  type JobRequest,
  type LaneCommand,
  type LaneMessage,
  type LaneTask,
  ROOM,
  WAKE,
  type WireError,
} from '../wire/messages.js';
import { ParkReader } from '../wire/park.js';
import { EXTERNAL, RECORD_COST_BYTES } from '../wire/records.js';
import { createRingMemory, doneMark, largestPayload, RingWriter, type WaitingRecord } from '../wire/ring.js';
import { Backlog } from './backlog.js';

/** A connection's side of the account: bytes taken in, and bytes known to be settled, both modulo 2³². */
export interface InboundAccount {
  readonly slot: number;
  accepted: number;
  settled: number;
}

export interface LaneLimits {
  ringBytes: number;
  hangTimeoutMs: number;
  hookTimeoutMs: number;
  /** Ends when the gateway does. */
  ending: ContextHandle;
  maxInboundPerConnection: number;
  maxInboundPerLane: number;
}

export interface LaneEvents {
  /** The lane announced a batch; it is handed back when this returns. */
  batch(lane: Lane, batch: BatchReader): void;
  /** A batch could not be carried out to its end. */
  batchFailed(lane: Lane, error: unknown): void;
  log(lane: Lane, message: Extract<LaneMessage, { type: 'log' }>): void;
  job(lane: Lane, request: JobRequest): void;
  jobAborted(lane: Lane, id: number): void;
}

/** Beats of a lane's heartbeat within `hangTimeoutMs`. */
export const BEATS_PER_TIMEOUT = 4;

/** What a lane comes after. */
export interface LaneOrigin {
  /** Bits of HookBit of the lane before it: taken for its own until it is ready. */
  hooksBefore: number;
  /** See LaneTask. */
  attribute: boolean;
  /** How often the app was reloaded. */
  generation: number;
}

const FIRST: LaneOrigin = { hooksBefore: 0, attribute: false, generation: 0 };

/** How a lane ended. `error` is undefined when it had been asked to. */
export interface LaneEnd {
  error: unknown;
}

/**
 * Bytes of records after which they are made visible though the turn goes on, so that lane and main thread work side by
 * side; but only where the next record is of another connection, so that one connection's messages, and so its replies,
 * stay together.
 */
const PUBLISH_BYTES = 48 * 1024;

export class Lane implements JobOwner {
  /** Connections that live here. Kept by the frontend. */
  connections = 0;
  /** HTTP requests and upgrades that wait for this lane's answer. Kept by the frontend. */
  requests = 0;
  /** Bits of HookBit: what the app has. */
  hooks: number;
  threadId = 0;
  /** Where its app's jobs are; undefined until ready, and where it names none. */
  jobs: JobModule | undefined;
  /** Whether the lane has imported its app, and has not ended. Before, records wait in its ring. */
  ready = false;
  /** When it became ready, in milliseconds of `performance.now()`; undefined where it never did. */
  readySince: number | undefined;
  /** Whether its thread is gone: nothing more can be posted. */
  gone = false;
  /** Resolves once the lane's task has ended and all that it had finished was delivered. */
  readonly ended: Promise<LaneEnd>;
  /** Resolves once the lane reads no more, after `handOver`, or has ended. */
  readonly handedOver: Promise<void>;
  /** Slots of connections that are this lane's until their hooks have settled, after it has handed over the others. */
  staying: ReadonlySet<number> = new Set();
  /** Hooks that had not settled when the lane was asked to stop and its time ran out. */
  unsettled = 0;

  private readonly ring: RingWriter;
  private readonly port: MessagePort;
  private readonly payloads: MessagePort;
  private readonly batches = new Map<number, BatchReader>();
  private readonly park = new ParkReader();
  /** Payloads of records in the ring that are too large for it, and where those records end. */
  private externals: { end: number; payload: Uint8Array }[] = [];
  private readonly backlog: Backlog;
  private readonly largest: number;
  private accepted = 0;
  private settled = 0;
  private turnScheduled = false;
  private lastTarget = 0;
  private readonly started: Promise<void>;
  private settleStart: { resolve: () => void; reject: (error: AppError) => void } = {
    resolve() {},
    reject() {},
  };
  private settleHandOver: () => void = () => {};
  /** Whether what remained has been taken over. */
  private leftBehind = false;
  private readonly generation: number;
  private heartbeat = 0;
  private missedBeats = 0;

  /**
   * @param run starts the lane's task on a worker thread; settles when that ends
   */
  constructor(
    readonly index: number,
    app: string,
    memory: DirectoryMemory,
    private readonly directory: DirectoryWriter,
    private readonly limits: LaneLimits,
    private readonly events: LaneEvents,
    run: (task: LaneTask) => Promise<void>,
    { hooksBefore, attribute, generation }: LaneOrigin = FIRST,
  ) {
    this.hooks = hooksBefore;
    this.generation = generation;
    const ring = createRingMemory(limits.ringBytes);
    this.ring = new RingWriter(ring);
    this.largest = largestPayload(limits.ringBytes);
    this.backlog = new Backlog(this.largest);
    const main = new MessageChannel();
    const payloads = new MessageChannel();
    this.port = main.port1;
    this.payloads = payloads.port1;
    this.port.on('message', (message: number | LaneMessage) => this.receive(message));
    // The other end closes when its thread has ended, and not before: only then is what it wrote its last word.
    const closed = once(this.port, 'close');
    this.started = new Promise((resolve, reject) => {
      this.settleStart = { resolve, reject };
    });
    // Whoever waits for the start has a handler of his own.
    this.started.catch(() => {});
    this.handedOver = new Promise(resolve => {
      this.settleHandOver = resolve;
    });
    const task = {
      lane: index,
      app,
      ring,
      directory: memory,
      port: main.port2,
      payloads: payloads.port2,
      heartbeatMs: limits.hangTimeoutMs / BEATS_PER_TIMEOUT,
      hookTimeoutMs: limits.hookTimeoutMs,
      attribute,
      arena: arenaMemory(),
      ending: limits.ending,
    };
    this.ended = run(task)
      .then(
        () => undefined,
        error => error,
      )
      .then(async error => {
        // Where the task never ran the other end is still here.
        main.port2.close();
        await closed;
        return this.finish(error);
      });
  }

  /** Resolves when the lane is ready. @throws {AppError} when the app cannot be used */
  start(): Promise<void> {
    return this.started;
  }

  /** @param bit one of HookBit */
  has(bit: number): boolean {
    return (this.hooks & bit) !== 0;
  }

  // ── inbound ──

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
      const share = maxInboundPerLane / Math.max(1, this.connections);
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
      bytes.set(first, offset);
      if (second !== undefined) bytes.set(second, offset + first.length);
    } else {
      this.backlog.push(type, flags, aux, target, tag, first, second);
      this.refill();
    }
    if (!this.turnScheduled) {
      this.turnScheduled = true;
      setImmediate(this.endTurn);
    }
  }

  /** Makes the records written so far visible, and wakes the lane if it sleeps. */
  private publish(): void {
    if (this.ring.unpublished > 0 && this.ring.publish()) this.port.postMessage(WAKE);
  }

  /** Once per turn of the event loop. */
  private readonly endTurn = (): void => {
    this.turnScheduled = false;
    this.publish();
  };

  /** Moves what waits into the ring, as far as there is room. */
  private refill(): void {
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
      backlog.shift();
      // Its block holds nothing else (see Backlog), and is shared: kept here for another lane, should this one end.
      if (external) {
        this.payloads.postMessage(payload);
        this.externals.push({ end: ring.end, payload });
      } else {
        ring.bytes.set(payload, ring.offset);
      }
    }
  }

  private dropTakenExternals(): void {
    const { taken } = this.ring;
    while (this.externals.length > 0 && ((taken - (this.externals[0]?.end ?? 0)) | 0) >= 0)
      this.externals.shift();
  }

  // ── outbound and control ──

  private receive(message: number | LaneMessage): void {
    if (typeof message === 'number') {
      if (this.externals.length > 0) this.dropTakenExternals();
      if (message !== ROOM) this.deliver(message);
      else {
        this.refill();
        this.endTurn();
      }
      return;
    }
    switch (message.type) {
      case 'batch':
        this.batches.set(message.index, new BatchReader(message.index, message.memory));
        break;
      case 'batchDropped':
        this.batches.delete(message.index);
        break;
      case 'park':
        this.park.add(message.index, message.memory);
        break;
      case 'parkDropped':
        this.park.drop(message.index);
        break;
      case 'log':
        this.events.log(this, message);
        break;
      case 'ready':
        this.hooks = message.hooks;
        this.threadId = message.threadId;
        this.jobs = message.jobs === undefined ? undefined : { url: message.jobs, version: this.generation };
        this.ready = true;
        this.readySince = performance.now();
        this.settleStart.resolve();
        break;
      case 'failed':
        this.settleStart.reject(appError(message));
        break;
      case 'handedOver':
        this.staying = new Set(message.running);
        this.settleHandOver();
        break;
      case 'job':
        this.events.job(this, message.request);
        break;
      case 'jobAborted':
        this.events.jobAborted(this, message.id);
        break;
      case 'stopped':
        this.unsettled = message.unsettled;
        break;
    }
  }

  private deliver(index: number): void {
    const batch = this.batches.get(index);
    if (batch === undefined)
      throw new Error(`lane ${this.index} announced batch ${index}, which it never added`);
    try {
      this.events.batch(this, batch);
    } catch (error) {
      // Whatever a handler made a lane write, it must not end the gateway.
      this.events.batchFailed(this, error);
    } finally {
      batch.free();
    }
  }

  jobEnded(id: number, failure: JobFailure | undefined): void {
    this.port.postMessage({ type: 'jobEnded', id, failure } satisfies LaneCommand);
  }

  /** Asks the lane to end. @returns how it ended */
  stop(withinMs: number): Promise<LaneEnd> {
    this.endTurn();
    this.port.postMessage({ type: 'stop', withinMs } satisfies LaneCommand);
    return this.ended;
  }

  /** Asks the lane to read no more, so that another can go on; see `handedOver`. */
  handOver(): void {
    this.endTurn();
    this.port.postMessage({ type: 'handOver' } satisfies LaneCommand);
  }

  /** After `remains` were taken over: the lane may finish the hooks and requests that it has begun, and then ends. */
  retire(withinMs: number): void {
    this.externals = [];
    this.leftBehind = true;
    // The lane must not stand behind what it can see.
    this.publish();
    this.port.postMessage({ type: 'retire', from: this.ring.end, withinMs } satisfies LaneCommand);
  }

  /** To be called once in a beat's time. @returns true when the thread has not turned its event loop for too long */
  hangs(): boolean {
    const { heartbeat } = this.ring;
    // Beats missed are counted, not milliseconds: while the whole process stands still, nobody hangs. Nor does a thread
    // that has not begun.
    this.missedBeats = heartbeat === this.heartbeat && heartbeat !== 0 ? this.missedBeats + 1 : 0;
    this.heartbeat = heartbeat;
    return this.missedBeats >= BEATS_PER_TIMEOUT;
  }

  // ── what it leaves ──

  /**
   * The connection whose hook was running on the thread when that ended: its record was taken, and is not done.
   * To be called once the lane has ended.
   */
  get executing(): { slot: number; tag: number } | undefined {
    let last: BatchReader | undefined;
    for (const batch of this.batches.values()) {
      if (last === undefined || ((batch.sequence - last.sequence) | 0) > 0) last = batch;
    }
    const done = last?.doneMark ?? 0;
    const { current, taken } = this.ring;
    return done === doneMark(taken) || current.tag === 0 ? undefined : current;
  }

  /** The connection that ended the thread, as far as is known. To be called once the lane has ended. */
  get blamed(): { slot: number; tag: number } | undefined {
    const { executing } = this;
    if (executing !== undefined) return executing;
    const { blamed } = this.ring;
    return blamed.tag === 0 ? undefined : blamed;
  }

  /** The records that no hook has seen, oldest first. To be called once the lane has ended or handed over. */
  *remains(): Generator<WaitingRecord> {
    if (this.leftBehind) return;
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

  /**
   * The lane's thread is gone or its task has returned, and its port is read to the end. Delivers what stands committed
   * in batches that it had no time to announce.
   */
  private finish(error: unknown): LaneEnd {
    const rest = [...this.batches.values()].filter(batch => batch.taken);
    for (const batch of rest.sort((a, b) => (a.sequence - b.sequence) | 0)) this.deliver(batch.index);
    this.ready = false;
    this.gone = true;
    this.settleHandOver();
    this.payloads.close();
    this.settleStart.reject(
      new AppError(`lane ${this.index} ended before it was ready: ${messageOf(error)}`),
    );
    return { error };
  }

  // ── statistics ──

  get stats(): {
    connections: number;
    requests: number;
    ringFill: number;
    backlogBytes: number;
    waitingBytes: number;
  } {
    this.settled = this.ring.settled;
    return {
      connections: this.connections,
      requests: this.requests,
      ringFill: this.ring.fill / this.ring.capacity,
      backlogBytes: this.backlog.bytes,
      waitingBytes: this.waiting,
    };
  }
}

function appError(message: Extract<LaneMessage, { type: 'failed' }>): AppError {
  const cause = new Error(message.error.message);
  cause.name = message.error.name;
  if (message.error.stack !== undefined) cause.stack = message.error.stack;
  return new AppError(
    message.reason === 'import'
      ? `the app failed while it was imported: ${message.error.name}: ${inOneLine(message.error)}`
      : message.error.message,
    { cause },
  );
}

/** The message's first line, and where it came from. The rest is in the cause. */
function inOneLine({ message, stack = '' }: WireError): string {
  const first = message.split('\n', 1)[0] as string;
  const place = /\(?(file:\/\/[^\s)]+:\d+(?::\d+)?)/.exec(stack.replace(message, ''))?.[1];
  return place === undefined ? first : `${first} (${place.replace('file://', '')})`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error ?? 'its task returned');
}
