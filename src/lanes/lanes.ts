/**
 * All lanes: starts them on Piscina's threads, places connections and requests, starts a new one where one died.
 *
 * Piscina runs one long-lived task on each of its threads: thread start-up, and a fresh thread for one that died, are
 * its business. A lane itself is never started twice: the new one at the same index is another Lane.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import type { DirectoryMemory, DirectoryWriter } from '../wire/directory.js';
import type { LaneTask } from '../wire/messages.js';
import { Lane, type LaneEvents, type LaneLimits } from './lane.js';

const LANE_TASK_FILE = fileURLToPath(new URL('../../workers/entry.cjs', import.meta.url));

/** Milliseconds before a lane that died is started again: doubles while it keeps failing to become ready. */
const RESTART_FIRST_MS = 50;
const RESTART_LONGEST_MS = 10_000;

/**
 * MiB of a lane's young generation. Blocks of messages lie outside the heap and are freed when it is collected; with
 * Node's default of 48, some 70 MiB of dead blocks pile up between two collections on each lane.
 */
const LANE_YOUNG_GENERATION_MIB = 8;

/** Milliseconds that a lane gets beyond the time that its hooks have, before its thread is ended. */
const STOP_GRACE_MS = 250;

export interface LanesEvents extends LaneEvents {
  /** The lane's thread is gone, though nobody asked it to end. What it had finished has been delivered. */
  died(lane: Lane, error: unknown): void;
  /** A lane stands at the index of one that died. */
  replaced(lane: Lane): void;
  /** The lane that was to replace one that died could not start either, and will be tried again. */
  restartFailed(index: number, error: unknown, nextTryMs: number): void;
}

export class Lanes {
  readonly list: Lane[] = [];
  private readonly pool: Piscina<LaneTask, void>;
  private readonly restarts = new Set<NodeJS.Timeout>();
  private stopping = false;
  private nextForRequest = 0;

  constructor(
    private readonly count: number,
    private readonly app: string,
    private readonly memory: DirectoryMemory,
    private readonly directory: DirectoryWriter,
    private readonly limits: LaneLimits,
    private readonly events: LanesEvents,
  ) {
    this.pool = new Piscina({
      filename: LANE_TASK_FILE,
      minThreads: count,
      maxThreads: count,
      concurrentTasksPerWorker: 1,
      // A lane's thread must sleep in its event loop, not in Atomics.wait.
      atomics: 'disabled',
      resourceLimits: { maxYoungGenerationSizeMb: LANE_YOUNG_GENERATION_MIB },
      workerHistogram: false,
      recordTiming: false,
    });
    // A thread that dies between two tasks: its lane has ended already, and Piscina replaces it.
    this.pool.on('error', () => {});
  }

  /** Starts all lanes. @throws {AppError} when one cannot start; then all are ended again */
  async start(): Promise<void> {
    const starting = Array.from({ length: this.count }, (_, index) => this.create(index));
    try {
      await Promise.all(starting.map(lane => lane.start()));
    } catch (error) {
      await this.stop(0);
      throw error;
    }
    this.list.push(...starting);
    for (const lane of starting) this.watch(lane);
  }

  private create(index: number): Lane {
    const { app, memory, directory, limits, events } = this;
    return new Lane(index, app, memory, directory, limits, events, task =>
      this.pool.run(task, { transferList: [task.port, task.payloads] }),
    );
  }

  private watch(lane: Lane): void {
    lane.ended.then(({ error }) => {
      if (this.stopping) return;
      this.events.died(lane, error ?? new Error('its task returned'));
      this.restart(lane.index, RESTART_FIRST_MS);
    });
  }

  private restart(index: number, pauseMs: number): void {
    const timer = setTimeout(async () => {
      this.restarts.delete(timer);
      const lane = this.create(index);
      try {
        await lane.start();
      } catch (error) {
        if (this.stopping) return;
        const nextTryMs = Math.min(pauseMs * 2, RESTART_LONGEST_MS);
        this.events.restartFailed(index, error, nextTryMs);
        this.restart(index, nextTryMs);
        return;
      }
      if (this.stopping) {
        await lane.stop(0);
        return;
      }
      this.list[index] = lane;
      this.watch(lane);
      this.events.replaced(lane);
    }, pauseMs);
    this.restarts.add(timer);
  }

  /** The ready lane with the fewest connections, or undefined when none is ready. */
  forConnection(): Lane | undefined {
    let best: Lane | undefined;
    for (const lane of this.list) {
      if (lane.ready && (best === undefined || lane.connections < best.connections)) best = lane;
    }
    return best;
  }

  /** The ready lane with the fewest requests under way; in turn among equals. */
  forRequest(): Lane | undefined {
    let best: Lane | undefined;
    const { length } = this.list;
    for (let i = 0; i < length; i++) {
      const lane = this.list[(this.nextForRequest + i) % length] as Lane;
      if (lane.ready && (best === undefined || lane.requests < best.requests)) best = lane;
    }
    this.nextForRequest = (this.nextForRequest + 1) % Math.max(1, length);
    return best;
  }

  get readyCount(): number {
    return this.list.filter(lane => lane.ready).length;
  }

  /** Share of its time that the lane's thread was busy since it started, 0 to 1. */
  utilisation(lane: Lane): number {
    const thread = this.pool.threads.find(({ threadId }) => threadId === lane.threadId);
    return thread?.performance.eventLoopUtilization().utilization ?? 0;
  }

  /** Ends all lanes. @returns the number of hooks that did not settle in time */
  async stop(withinMs: number): Promise<number> {
    this.stopping = true;
    for (const timer of this.restarts) clearTimeout(timer);
    const ended = Promise.all(this.list.map(lane => (lane.ready ? lane.stop(withinMs) : lane.ended)));
    // A hook that blocks its thread cannot be asked to end: the pool then ends the thread.
    const deadline = new AbortController();
    const grace = delay(withinMs + STOP_GRACE_MS, undefined, { signal: deadline.signal }).catch(() => {});
    await Promise.race([ended, grace]);
    deadline.abort();
    await this.pool.destroy();
    await ended;
    return this.list.reduce((sum, lane) => sum + lane.unsettled, 0);
  }
}
