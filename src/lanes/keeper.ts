/**
 * Keeps a lane alive at one index: starts it, puts another in its place when it ends or hangs, and replaces it by one with
 * newer code.
 *
 * Invariant: `lane` is where the index's connections belong, and it takes records: also while its thread is only
 * starting. What a lane leaves is taken over by its successor in the same turn in which that becomes `lane`.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { ClosedError } from '../errors.js';
import type { LaneTask } from '../wire/messages.js';
import { BEATS_PER_TIMEOUT, type Lane } from './lane.js';
import type { LaneThread } from './thread.js';

/** Milliseconds before another lane is started where one could not start: doubles each time. */
const RESTART_FIRST_MS = 50;
const RESTART_LONGEST_MS = 10_000;
/** The same where a lane ended within STABLE_MS of its start. One that ran for longer is replaced at once. */
const UNSTABLE_FIRST_MS = 10;
const UNSTABLE_LONGEST_MS = 250;
const STABLE_MS = 1_000;

/** Milliseconds for which lanes attribute what happens to connections, after one ended nobody knows why. */
const ATTRIBUTE_MS = 60_000;

/** Milliseconds that a lane gets to answer, beyond the time that its hooks have, before its thread is ended. */
const GRACE_MS = 250;

export interface KeeperEvents {
  /** The lane's thread has ended, though nobody asked it to. What it had finished has been delivered. */
  died(lane: Lane, error: unknown): void;
  /** The lane's thread has not turned its event loop for `hangTimeoutMs`, and is ended for it. */
  hangs(lane: Lane): void;
  /**
   * `to` comes after `from`, which has ended or reads no more: its connections and what waited for them are `to`'s. Told
   * again when one that only read no more has ended too, for what was still its.
   */
  takeOver(from: Lane, to: Lane): void;
  /** The lane that came after one that died is ready. */
  replaced(lane: Lane): void;
  /** The lane that was to come after one that died could not start either, and will be tried again. */
  restartFailed(index: number, error: unknown, nextTryMs: number): void;
}

/**
 * Makes a lane.
 * @param run runs the lane's task on its thread
 * @param before the lane that it comes after
 * @param attribute see LaneTask
 */
export type LaneFactory = (
  index: number,
  run: (thread: LaneThread) => (task: LaneTask) => Promise<void>,
  before: Lane | undefined,
  attribute: boolean,
) => Lane;

export class LaneKeeper {
  lane: Lane;
  /** The lane that is to replace the present one, while it starts and the present one hands over. */
  private incoming: Lane | undefined;
  /** What ends a lane's thread. */
  private readonly ends = new WeakMap<Lane, AbortController>();
  /** Lanes that have a thread and are not `lane`: one that is to be, those that were and retire. */
  private readonly others = new Set<Lane>();
  private readonly heartbeats: NodeJS.Timeout | undefined;
  private pauseMs = 0;
  private attributeUntil = 0;
  private stopping = false;

  constructor(
    readonly index: number,
    private readonly make: LaneFactory,
    hangTimeoutMs: number,
    private readonly events: KeeperEvents,
  ) {
    this.lane = this.create(undefined, 0);
    if (hangTimeoutMs > 0)
      this.heartbeats = setInterval(() => this.checkHeartbeat(), hangTimeoutMs / BEATS_PER_TIMEOUT).unref();
  }

  private create(before: Lane | undefined, afterMs: number): Lane {
    const end = new AbortController();
    const lane = this.make(
      this.index,
      thread => task => thread.run(task, afterMs, end.signal),
      before,
      performance.now() < this.attributeUntil,
    );
    this.ends.set(lane, end);
    return lane;
  }

  /** Ends the lane's thread, wherever it is. */
  private terminate(lane: Lane): void {
    this.ends.get(lane)?.abort();
  }

  /** Starts the first lane. @throws {AppError} when it cannot start */
  async start(): Promise<void> {
    await this.lane.start();
    this.watch(this.lane);
  }

  private async watch(lane: Lane): Promise<void> {
    const { error } = await lane.ended;
    this.others.delete(lane);
    if (this.stopping) return;
    if (lane === this.lane) this.succeed(lane, error);
    else if (lane !== this.incoming) this.events.takeOver(lane, this.lane);
  }

  /** The lane has ended: another goes on at once with what it left. */
  private succeed(lane: Lane, error: unknown): void {
    this.pauseMs = nextPause(lane, this.pauseMs);
    if (lane.readySince === undefined) this.events.restartFailed(this.index, error, this.pauseMs);
    else this.events.died(lane, error ?? new Error('its task returned'));
    if (lane.readySince !== undefined && lane.blamed === undefined)
      this.attributeUntil = performance.now() + ATTRIBUTE_MS;
    const starting = this.incoming;
    this.incoming = undefined;
    const next = starting ?? this.create(lane, this.pauseMs);
    this.others.delete(next);
    this.lane = next;
    this.events.takeOver(lane, next);
    // Where it is a replacement that was starting already, it is watched.
    if (starting === undefined) this.watch(next);
    next.start().then(
      () => this.events.replaced(next),
      () => {}, // watched
    );
  }

  private checkHeartbeat(): void {
    for (const lane of [this.lane, this.incoming]) {
      if (lane === undefined || lane.gone || !lane.hangs()) continue;
      this.events.hangs(lane);
      this.terminate(lane);
    }
  }

  /**
   * Puts a lane with a fresh module graph in the place of the present one, which reads no more once that is ready, and
   * keeps only the connections whose hooks run and the requests that it has begun, until they are through.
   * @param withinMs for those; what has not settled then is cut off
   * @throws {AppError} when the new one cannot start: then the present one goes on
   * @throws {ClosedError} once this keeper is stopping
   */
  async replace(withinMs: number): Promise<void> {
    this.checkRuns();
    const next = this.create(this.lane, 0);
    this.incoming = next;
    this.others.add(next);
    this.watch(next);
    try {
      await next.start();
    } catch (error) {
      if (this.incoming === next) this.incoming = undefined;
      throw error;
    }
    this.checkRuns();
    // The present lane may have died meanwhile: then the new one has its place already.
    if (this.incoming !== next) return;
    const old = this.lane;
    if (await this.handsOver(old, withinMs)) {
      this.checkRuns();
      if (this.incoming !== next) return;
      this.incoming = undefined;
      this.lane = next;
      this.others.delete(next);
      this.others.add(old);
      this.events.takeOver(old, next);
      old.retire(withinMs);
      delay(withinMs + GRACE_MS, undefined, { ref: false }).then(() => this.terminate(old));
    } else {
      this.terminate(old);
      await old.ended;
    }
  }

  /** @throws {ClosedError} when nothing is to be started or replaced any more: it would outlive `stop` */
  private checkRuns(): void {
    if (this.stopping) throw new ClosedError();
  }

  /** @returns whether the lane reads no more, so that another can go on; not where its thread is blocked */
  private async handsOver(lane: Lane, withinMs: number): Promise<boolean> {
    if (!lane.ready) return false;
    lane.handOver();
    const late = new AbortController();
    const inTime = await Promise.race([
      lane.handedOver.then(() => true),
      delay(withinMs, false, { signal: late.signal }),
    ]);
    late.abort();
    return inTime && !lane.gone;
  }

  /** Ends all that runs here: a lane that is ready once its hooks have settled, within the time. */
  async stop(withinMs: number): Promise<void> {
    this.stopping = true;
    clearInterval(this.heartbeats);
    const { lane } = this;
    for (const other of this.others) this.terminate(other);
    if (lane.ready) lane.stop(withinMs);
    else this.terminate(lane);
    // A hook that blocks its thread cannot be asked to end.
    const late = new AbortController();
    delay(withinMs + GRACE_MS, undefined, { signal: late.signal }).then(
      () => this.terminate(lane),
      () => {}, // it has ended
    );
    await Promise.all([lane.ended, ...[...this.others].map(other => other.ended)]);
    late.abort();
  }
}

/** Milliseconds to wait before a lane is started in the place of one that has ended. */
function nextPause(ended: Lane, before: number): number {
  if (ended.readySince === undefined)
    return Math.min(Math.max(RESTART_FIRST_MS, before * 2), RESTART_LONGEST_MS);
  if (performance.now() - ended.readySince > STABLE_MS) return 0;
  return Math.min(Math.max(UNSTABLE_FIRST_MS, before * 2), UNSTABLE_LONGEST_MS);
}
