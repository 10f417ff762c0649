/**
 * Jobs: work that callers hand to a second Piscina pool. Main thread.
 *
 * Piscina is never given more tasks than it has threads; what waits, waits here. Its own queue takes no notice of its
 * bound for tasks that can be aborted, and where the pool may shrink to nothing it does not go on with what waits after
 * a thread was ended.
 *
 * Every job that was taken on ends once, in `end`: it is then neither waiting nor running, its timer is cleared and its
 * port closed. The thread of one that was stopped may take a moment more.
 */
import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import type { JobStats } from '../stats.js';
import { register } from '../sync/index.js';
import { type JobFailure, type JobRequest, type JobTask, toWireError } from '../wire/messages.js';

const JOB_TASK_FILE = fileURLToPath(new URL('../../workers/job-entry.cjs', import.meta.url));

/** Milliseconds after which a thread that has no job is ended. */
const IDLE_MS = 30_000;

/**
 * How much lower than the rest the kernel ranks threads for jobs (see nice(2)): where there are more busy threads than
 * cores, a lane still gets one at once. Two spinning jobs on two cores: 99 % of echoes took up to 0.14 ms with it, 3.3 ms
 * without. Linux only: elsewhere the call would reach the whole process.
 */
const NICE = process.platform === 'linux' ? 10 : 0;

/** The module that jobs come from. */
export interface JobModule {
  /** As a file: URL. */
  url: string;
  /** Grows with every reload: the same URL then stands for newer code, which needs threads that do not know the older. */
  version: number;
}

/** Who asks for jobs: a lane, or the main thread. */
export interface JobOwner {
  /** Undefined where the app names none. */
  readonly jobs: JobModule | undefined;
  /** Once it has ended its jobs are aborted. */
  readonly ended: Promise<unknown>;
  /** A job of its has ended: with an outcome that its port holds, or without one, and why. */
  jobEnded(id: number, failure: JobFailure | undefined): void;
}

export interface JobLimits {
  jobThreads: number;
  maxQueuedJobs: number;
}

interface Job {
  readonly owner: JobOwner;
  readonly request: JobRequest;
  readonly module: JobModule;
  readonly controller: AbortController;
  timer: NodeJS.Timeout | undefined;
}

interface Pool {
  readonly piscina: Piscina<JobTask, string | undefined>;
  running: number;
}

export class Jobs {
  /** Jobs that were aborted because their owner ended, or the gateway closed. */
  cutOff = 0;
  private readonly byOwner = new Map<JobOwner, Map<number, Job>>();
  /** First come, first served. */
  private readonly waiting = new Set<Job>();
  private readonly running = new Set<Job>();
  /** By the version of their module. */
  private readonly pools = new Map<number, Pool>();
  /** Threads of pools that were given up, until they are gone. */
  private readonly ending = new Set<Promise<void>>();
  private readonly failedByCode = new Map<string, number>();
  private completed = 0;
  private newest = 0;
  private closed = false;

  constructor(private readonly limits: JobLimits) {}

  request(owner: JobOwner, request: JobRequest): void {
    const { jobThreads, maxQueuedJobs } = this.limits;
    const module = owner.jobs;
    if (this.closed) {
      this.refuse(owner, request, { code: 'ERR_THREADGATE_CLOSED', message: '' });
    } else if (module === undefined) {
      const message = `there is no job '${request.name}': the app names no module by 'jobs'`;
      this.refuse(owner, request, { code: 'ERR_THREADGATE_JOB_UNKNOWN', message });
    } else if (this.running.size >= jobThreads && this.waiting.size >= maxQueuedJobs) {
      const message = `the job '${request.name}' found no room: ${this.running.size} run, ${this.waiting.size} wait`;
      this.refuse(owner, request, { code: 'ERR_THREADGATE_JOB_QUEUE_FULL', message });
    } else {
      this.take({ owner, request, module, controller: new AbortController(), timer: undefined });
    }
  }

  private refuse(owner: JobOwner, { id, port }: JobRequest, failure: JobFailure): void {
    port.close();
    this.count(failure.code);
    owner.jobEnded(id, failure);
  }

  private take(job: Job): void {
    const { id, name, timeoutMs } = job.request;
    this.jobsOf(job.owner).set(id, job);
    if (timeoutMs > 0) {
      const message = `the job '${name}' was not through within ${timeoutMs} ms`;
      job.timer = setTimeout(
        () => this.stop(job, { code: 'ERR_THREADGATE_JOB_TIMEOUT', message }),
        timeoutMs,
      );
    }
    this.waiting.add(job);
    this.startWaiting();
  }

  private jobsOf(owner: JobOwner): Map<number, Job> {
    let jobs = this.byOwner.get(owner);
    if (jobs === undefined) {
      jobs = new Map();
      this.byOwner.set(owner, jobs);
      owner.ended.then(() => this.abandon(owner));
    }
    return jobs;
  }

  private startWaiting(): void {
    for (const job of this.waiting) {
      if (this.running.size >= this.limits.jobThreads) return;
      this.waiting.delete(job);
      this.start(job);
    }
  }

  private start(job: Job): void {
    const { request, module, controller } = job;
    const { name, port } = request;
    const pool = this.poolOf(module.version);
    const task = { name, module: module.url, port };
    this.running.add(job);
    pool.running++;
    pool.piscina.run(task, { transferList: [port], signal: controller.signal }).then(
      code => {
        this.release(pool);
        if (!this.end(job)) return;
        this.count(code);
        job.owner.jobEnded(request.id, undefined);
      },
      error => {
        this.release(pool);
        this.stop(job, {
          code: 'ERR_THREADGATE_JOB_FAILED',
          message: `the thread of the job '${name}' ended: ${error.message}`,
          cause: toWireError(error),
        });
      },
    );
  }

  private poolOf(version: number): Pool {
    this.newest = Math.max(this.newest, version);
    let pool = this.pools.get(version);
    if (pool === undefined) {
      pool = { piscina: this.createPiscina(), running: 0 };
      this.pools.set(version, pool);
    }
    return pool;
  }

  private createPiscina(): Piscina<JobTask, string | undefined> {
    const piscina = new Piscina<JobTask, string | undefined>({
      filename: JOB_TASK_FILE,
      minThreads: 0,
      maxThreads: this.limits.jobThreads,
      concurrentTasksPerWorker: 1,
      idleTimeout: IDLE_MS,
      niceIncrement: NICE,
      recordTiming: false,
    });
    // What it holds of threadgate/sync when it ends goes to whoever asks next.
    piscina.on('workerCreate', ({ id }: { id: number }) => {
      for (const thread of piscina.threads) if (thread.threadId === id) register(thread);
    });
    // A thread that could not even begin: whichever job it was for would wait for ever.
    piscina.on('error', error => {
      for (const job of [...this.running]) {
        if (this.pools.get(job.module.version)?.piscina !== piscina) continue;
        const message = `no thread could be had for the job '${job.request.name}': ${error.message}`;
        this.stop(job, { code: 'ERR_THREADGATE_JOB_FAILED', message, cause: toWireError(error) });
      }
    });
    return piscina;
  }

  /** One task less. The threads of an older version go with its last one. */
  private release(pool: Pool): void {
    pool.running--;
    for (const [version, { running, piscina }] of this.pools) {
      if (version === this.newest || running > 0) continue;
      this.pools.delete(version);
      const gone = piscina.destroy().then(() => void this.ending.delete(gone));
      this.ending.add(gone);
    }
  }

  /** Its owner wants it no more. */
  abort(owner: JobOwner, id: number): void {
    const job = this.byOwner.get(owner)?.get(id);
    if (job !== undefined) this.stop(job, { code: 'ERR_THREADGATE_JOB_ABORTED', message: '' });
  }

  /** Its owner is gone. */
  private abandon(owner: JobOwner): void {
    for (const id of [...(this.byOwner.get(owner)?.keys() ?? [])]) {
      this.cutOff++;
      this.abort(owner, id);
    }
    this.byOwner.delete(owner);
  }

  private stop(job: Job, failure: JobFailure): void {
    // Before the next one is started: Piscina must see that it has a thread less.
    if (this.running.has(job)) job.controller.abort();
    if (!this.end(job)) return;
    this.count(failure.code);
    job.owner.jobEnded(job.request.id, failure);
  }

  /** @returns false when it has ended before */
  private end(job: Job): boolean {
    if (!this.waiting.delete(job) && !this.running.delete(job)) return false;
    clearTimeout(job.timer);
    job.request.port.close();
    this.byOwner.get(job.owner)?.delete(job.request.id);
    this.startWaiting();
    return true;
  }

  private count(code: string | undefined): void {
    if (code === undefined) this.completed++;
    else this.failedByCode.set(code, (this.failedByCode.get(code) ?? 0) + 1);
  }

  /** Aborts everything. Resolves once all threads are gone. */
  async close(): Promise<void> {
    this.closed = true;
    // Those that wait first, so that none of them is started.
    for (const job of [...this.waiting, ...this.running]) {
      this.cutOff++;
      this.stop(job, { code: 'ERR_THREADGATE_CLOSED', message: '' });
    }
    await Promise.all([...[...this.pools.values()].map(({ piscina }) => piscina.destroy()), ...this.ending]);
  }

  get stats(): JobStats {
    let threads = 0;
    for (const { piscina } of this.pools.values()) threads += piscina.threads.length;
    return {
      threads,
      running: this.running.size,
      waiting: this.waiting.size,
      completed: this.completed,
      failedByCode: Object.fromEntries(this.failedByCode),
    };
  }
}
