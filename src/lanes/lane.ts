/**
 * One lane as the main thread sees it: its life, its port, the batches that it announces; and its inbox.
 *
 * Invariant: it has `ended` only once its thread is gone and everything that it had finished was delivered.
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
} from '../wire/messages.js';
import { createRingMemory, doneMark } from '../wire/ring.js';
import { RingWriter } from '../wire/ring-writer.js';
import { appError } from './app-error.js';
import { type InboxLimits, LaneInbox } from './inbox.js';

export interface LaneLimits extends InboxLimits {
  ringBytes: number;
  hangTimeoutMs: number;
  hookTimeoutMs: number;
  /** Ends when the gateway does. */
  ending: ContextHandle;
  /** The gateway's option `data`. */
  data?: unknown;
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

  /** What is on its way to it, or waits for it. */
  readonly inbox: LaneInbox;

  private readonly ring: RingWriter;
  private readonly port: MessagePort;
  private readonly payloads: MessagePort;
  private readonly batches = new Map<number, BatchReader>();
  private readonly started: Promise<void>;
  private settleStart: { resolve: () => void; reject: (error: AppError) => void } = {
    resolve() {},
    reject() {},
  };
  private settleHandOver: () => void = () => {};
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
    directory: DirectoryWriter,
    limits: LaneLimits,
    private readonly events: LaneEvents,
    run: (task: LaneTask) => Promise<void>,
    { hooksBefore, attribute, generation }: LaneOrigin = FIRST,
  ) {
    this.hooks = hooksBefore;
    this.generation = generation;
    const ring = createRingMemory(limits.ringBytes);
    this.ring = new RingWriter(ring);
    const main = new MessageChannel();
    const payloads = new MessageChannel();
    this.port = main.port1;
    this.payloads = payloads.port1;
    this.inbox = new LaneInbox(this, this.ring, this.port, this.payloads, directory, limits);
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
      data: limits.data,
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

  // ── outbound and control ──

  private receive(message: number | LaneMessage): void {
    if (typeof message === 'number') {
      this.inbox.progressed();
      if (message === ROOM) this.inbox.refill();
      else this.deliver(message);
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
        this.inbox.park.add(message.index, message.memory);
        break;
      case 'parkDropped':
        this.inbox.park.drop(message.index);
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
    this.inbox.publish();
    this.port.postMessage({ type: 'stop', withinMs } satisfies LaneCommand);
    return this.ended;
  }

  /** Asks the lane to read no more, so that another can go on; see `handedOver`. */
  handOver(): void {
    this.inbox.publish();
    this.port.postMessage({ type: 'handOver' } satisfies LaneCommand);
  }

  /** After what remained was taken over: the lane may finish the hooks and requests that it has begun, and then ends. */
  retire(withinMs: number): void {
    // The lane must not stand behind what it can see.
    this.inbox.publish();
    this.inbox.abandon();
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
   * The connection whose hook was running on the thread when that ended, and the type of its record: that was taken, and
   * is not done. To be called once the lane has ended.
   */
  get executing(): { type: number; slot: number; tag: number } | undefined {
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
    return { connections: this.connections, requests: this.requests, ...this.inbox.stats };
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error ?? 'its task returned');
}
