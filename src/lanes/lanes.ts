/** All lanes: starts and ends them, and places connections and requests on them. */
import { ownerDied } from '../sync/index.js';
import type { DirectoryMemory, DirectoryWriter } from '../wire/directory.js';
import { type KeeperEvents, type LaneFactory, LaneKeeper } from './keeper.js';
import { Lane, type LaneEvents, type LaneLimits } from './lane.js';
import { LaneThread } from './thread.js';

export interface LanesOptions extends LaneLimits {
  /** MiB of each lane's heap for what lives long. 0: Node's default. */
  laneHeapMiB: number;
}

export class Lanes {
  private readonly threads = new WeakMap<Lane, LaneThread>();
  private readonly keepers: LaneKeeper[];
  private started = false;
  private generation = 0;
  private reloading: Promise<void> = Promise.resolve();
  private nextForRequest = 0;

  constructor(
    count: number,
    app: string,
    memory: DirectoryMemory,
    directory: DirectoryWriter,
    options: LanesOptions,
    events: LaneEvents & KeeperEvents,
  ) {
    const { laneHeapMiB, hangTimeoutMs } = options;
    const make: LaneFactory = (index, run, before, attribute) => {
      const thread = new LaneThread(laneHeapMiB);
      const origin = { hooksBefore: before?.hooks ?? 0, attribute, generation: this.generation };
      const lane = new Lane(index, app, memory, directory, options, events, run(thread), origin);
      this.threads.set(lane, thread);
      // What it held of threadgate/sync goes to whoever asks next.
      lane.ended.then(() => ownerDied(thread.id));
      return lane;
    };
    this.keepers = Array.from(
      { length: count },
      (_, index) => new LaneKeeper(index, make, hangTimeoutMs, events),
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
    return this.threads.get(lane)?.utilisation ?? 0;
  }

  /** The same since the last call. */
  busyness(lane: Lane): number {
    return this.threads.get(lane)?.busyness() ?? 0;
  }

  /** Ends all lanes. @returns the number of hooks that did not settle in time */
  async stop(withinMs: number): Promise<number> {
    await Promise.all(this.keepers.map(keeper => keeper.stop(withinMs)));
    return this.keepers.reduce((sum, { lane }) => sum + lane.unsettled, 0);
  }
}
