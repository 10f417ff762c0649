/**
 * All lanes: runs them on Piscina's threads, and places connections and requests on them.
 *
 * Piscina runs one long-lived task on each of its threads: starting a thread, and ending it, are its business. A thread
 * serves one lane and no other, so that each lane has a module graph of its own.
 */
import type { EventLoopUtilization } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import type { DirectoryMemory, DirectoryWriter } from '../wire/directory.js';
import type { LaneTask } from '../wire/messages.js';
import { GRACE_MS, type KeeperEvents, type LaneFactory, LaneKeeper } from './keeper.js';
import { Lane, type LaneEvents, type LaneLimits } from './lane.js';

const LANE_TASK_FILE = fileURLToPath(new URL('../../workers/entry.cjs', import.meta.url));

/**
 * MiB of a lane's young generation. Blocks of messages lie outside the heap and are freed when it is collected; with
 * Node's default of 48, some 70 MiB of dead blocks pile up between two collections on each lane.
 */
const LANE_YOUNG_GENERATION_MIB = 8;

export interface LanesOptions extends LaneLimits {
  /** MiB of each lane's heap for what lives long. 0: Node's default. */
  laneHeapMiB: number;
}

export class Lanes {
  private readonly pool: Piscina<LaneTask, void>;
  private readonly keepers: LaneKeeper[];
  private started = false;
  private generation = 0;
  private reloading: Promise<void> = Promise.resolve();
  private nextForRequest = 0;
  private readonly utilisations = new WeakMap<Lane, EventLoopUtilization>();

  constructor(
    count: number,
    app: string,
    memory: DirectoryMemory,
    directory: DirectoryWriter,
    options: LanesOptions,
    events: LaneEvents & KeeperEvents,
  ) {
    const { laneHeapMiB, hangTimeoutMs } = options;
    this.pool = new Piscina({
      filename: LANE_TASK_FILE,
      // A thread goes when its lane has ended. While lanes are replaced there are two for each index.
      minThreads: 0,
      maxThreads: 2 * count + 1,
      idleTimeout: 0,
      concurrentTasksPerWorker: 1,
      // A lane's thread must sleep in its event loop, not in Atomics.wait.
      atomics: 'disabled',
      resourceLimits: {
        maxYoungGenerationSizeMb: LANE_YOUNG_GENERATION_MIB,
        ...(laneHeapMiB > 0 && { maxOldGenerationSizeMb: laneHeapMiB }),
      },
      workerHistogram: false,
      recordTiming: false,
    });
    // A thread that dies between two tasks: its lane has ended already.
    this.pool.on('error', () => {});
    const make: LaneFactory = (index, run, before, attribute) =>
      new Lane(index, app, memory, directory, options, events, run, {
        hooksBefore: before?.hooks ?? 0,
        attribute,
        generation: this.generation,
      });
    const run = (task: LaneTask, signal: AbortSignal): Promise<void> =>
      this.pool.run(task, { transferList: [task.port, task.payloads], signal });
    this.keepers = Array.from(
      { length: count },
      (_, index) => new LaneKeeper(index, make, run, hangTimeoutMs, events),
    );
  }

  /** The lanes that take records, by their index; none before all have started. */
  get list(): Lane[] {
    return this.started ? this.keepers.map(({ lane }) => lane) : [];
  }

  /** The lane at that index. */
  at(index: number): Lane {
    return (this.keepers[index] as LaneKeeper).lane;
  }

  /** Starts all lanes. @throws {AppError} when one cannot start; then all are ended again */
  async start(): Promise<void> {
    try {
      await Promise.all(this.keepers.map(keeper => keeper.start()));
      this.started = true;
    } catch (error) {
      await this.stop(0);
      throw error;
    }
  }

  /**
   * Replaces every lane by one with fresh code, one after the other, so that most handlers run at any time. Called again
   * meanwhile, it begins anew afterwards.
   * @throws {AppError} when a new lane cannot start: then that index and those after it keep the old code
   */
  reload(withinMs: number): Promise<void> {
    const reload = async (): Promise<void> => {
      this.generation++;
      for (const keeper of this.keepers) await keeper.replace(withinMs);
    };
    const reloading = this.reloading.then(reload);
    this.reloading = reloading.catch(() => {});
    return reloading;
  }

  /** The lane with the fewest connections: a ready one if there is any, else one that is starting. */
  forConnection(): Lane | undefined {
    let best: Lane | undefined;
    if (!this.started) return best;
    for (const { lane } of this.keepers) {
      if (lane.gone) continue;
      if (
        best === undefined ||
        (lane.ready === best.ready ? lane.connections < best.connections : lane.ready)
      )
        best = lane;
    }
    return best;
  }

  /** The same with the fewest requests under way; in turn among equals. */
  forRequest(): Lane | undefined {
    let best: Lane | undefined;
    if (!this.started) return best;
    const { length } = this.keepers;
    for (let i = 0; i < length; i++) {
      const { lane } = this.keepers[(this.nextForRequest + i) % length] as LaneKeeper;
      if (lane.gone) continue;
      if (best === undefined || (lane.ready === best.ready ? lane.requests < best.requests : lane.ready))
        best = lane;
    }
    this.nextForRequest = (this.nextForRequest + 1) % length;
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

  /** The same since the last call. */
  busyness(lane: Lane): number {
    const thread = this.pool.threads.find(({ threadId }) => threadId === lane.threadId);
    if (thread === undefined) return 0;
    const now = thread.performance.eventLoopUtilization();
    const before = this.utilisations.get(lane);
    this.utilisations.set(lane, now);
    return before === undefined
      ? now.utilization
      : thread.performance.eventLoopUtilization(now, before).utilization;
  }

  /** Ends all lanes. @returns the number of hooks that did not settle in time */
  async stop(withinMs: number): Promise<number> {
    const ended = Promise.all(this.keepers.map(keeper => keeper.stop(withinMs)));
    // A hook that blocks its thread cannot be asked to end: the pool then ends the thread.
    const deadline = new AbortController();
    const grace = delay(withinMs + GRACE_MS, undefined, { signal: deadline.signal }).catch(() => {});
    await Promise.race([ended, grace]);
    deadline.abort();
    await this.pool.destroy();
    await ended;
    return this.keepers.reduce((sum, { lane }) => sum + lane.unsettled, 0);
  }
}
