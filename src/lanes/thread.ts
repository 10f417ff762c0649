/**
 * A thread for one lane: starting it and ending it is Piscina's business. A pool for each, because a pool would give the
 * thread of a lane that has ended to the next, and that needs a module graph of its own.
 */
import type { EventLoopUtilization } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Worker } from 'node:worker_threads';
import { Piscina } from 'piscina';
import type { LaneTask } from '../wire/messages.js';

const LANE_TASK_FILE = fileURLToPath(new URL('../../workers/entry.cjs', import.meta.url));

/**
 * MiB of a lane's young generation. Blocks of messages lie outside the heap and are freed when it is collected; with
 * Node's default of 48, some 70 MiB of dead blocks pile up between two collections on each lane.
 */
const LANE_YOUNG_GENERATION_MIB = 8;

export class LaneThread {
  private readonly pool: Piscina<LaneTask, void>;
  /** The thread's number in this process. */
  readonly id: number;
  private readonly gone = new AbortController();
  private looked: EventLoopUtilization | undefined;

  /** @param heapMiB for what lives long; 0: Node's default */
  constructor(heapMiB: number) {
    this.pool = new Piscina({
      filename: LANE_TASK_FILE,
      minThreads: 1,
      maxThreads: 1,
      concurrentTasksPerWorker: 1,
      // A lane's thread must sleep in its event loop, not in Atomics.wait.
      atomics: 'disabled',
      resourceLimits: {
        maxYoungGenerationSizeMb: LANE_YOUNG_GENERATION_MIB,
        ...(heapMiB > 0 && { maxOldGenerationSizeMb: heapMiB }),
      },
      workerHistogram: false,
      recordTiming: false,
    });
    this.id = (this.pool.threads[0] as Worker).threadId;
    // Piscina would replace a thread that dies; the lane has ended with it, and ends the pool.
    this.pool.on('error', () => {});
    // One that dies before it was given its task is told to nobody, and the task would wait for ever. Not at once: where
    // it had its task, that is about to fail with the thread's own error.
    this.pool.on('workerDestroy', () => queueMicrotask(() => this.gone.abort()));
  }

  /** Runs the lane's task after so many milliseconds, to its end or until `signal`. The thread is gone afterwards. */
  async run(task: LaneTask, afterMs: number, signal: AbortSignal): Promise<void> {
    try {
      if (afterMs > 0) await delay(afterMs, undefined, { signal });
      await this.pool.run(task, {
        transferList: [task.port, task.payloads],
        signal: AbortSignal.any([signal, this.gone.signal]),
      });
    } finally {
      await this.pool.destroy();
    }
  }

  /** Share of its time since it started that the thread was busy, 0 to 1. */
  get utilisation(): number {
    return this.pool.threads[0]?.performance.eventLoopUtilization().utilization ?? 0;
  }

  /** The same since the last call. */
  busyness(): number {
    const performance = this.pool.threads[0]?.performance;
    if (performance === undefined) return 0;
    const before = this.looked;
    this.looked = performance.eventLoopUtilization();
    return performance.eventLoopUtilization(this.looked, before).utilization;
  }
}
