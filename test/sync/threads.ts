/** Worker threads for the tests of threadgate/sync: each runs one function of the test. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { onTestFinished } from 'vitest';
import * as sync from '../../dist/src/sync/index.js';
import { chooseSeed, type Random } from '../support/random.js';

export const seed = chooseSeed();

export interface Tools<A> {
  sync: typeof sync;
  argument: A;
  threadId: number;
  random: Random & { dawdle(most: number): void };
  /** What `Thread.said` of the test gets. */
  say(message: unknown): void;
}

interface Posted {
  said?: unknown;
  result?: unknown;
  error?: { name: string; message: string; code?: string };
}

export class Thread<T> {
  /** What the body returned. Rejects with what it threw, name and code included, or when the thread ended before. */
  readonly result: Promise<T>;
  readonly worker: Worker;
  readonly id: number;
  private readonly heard: unknown[] = [];
  private listener: ((message: unknown) => void) | undefined;

  constructor(source: string, argument: unknown) {
    this.worker = sync.register(
      new Worker(new URL('./workers/body.mjs', import.meta.url), {
        workerData: { source, argument, seed },
      }),
    );
    this.id = this.worker.threadId;
    this.result = new Promise((resolve, reject) => {
      this.worker.on('message', ({ said, result, error }: Posted) => {
        if (said !== undefined) this.hear(said);
        else if (error !== undefined) reject(Object.assign(new Error(error.message), error));
        else resolve(result as T);
      });
      this.worker.on('error', reject);
      this.worker.on('exit', () => reject(new Error('the thread ended')));
    });
    // Whoever wants the result has a handler of his own.
    this.result.catch(() => {});
  }

  private hear(message: unknown): void {
    const { listener } = this;
    this.listener = undefined;
    if (listener === undefined) this.heard.push(message);
    else listener(message);
  }

  /** The next thing that the body says. */
  said(): Promise<unknown> {
    if (this.heard.length > 0) return Promise.resolve(this.heard.shift());
    return new Promise((resolve, reject) => {
      this.listener = resolve;
      this.result.catch(reject);
    });
  }

  /** Ends the thread, wherever it is, and waits until the others know. */
  async kill(): Promise<void> {
    const ended = once(this.worker, 'exit');
    await this.worker.terminate();
    if (this.worker.threadId !== -1) await ended;
  }
}

/** Starts a thread that runs `body`. It ends with the test. */
export function start<T>(body: (tools: Tools<undefined>) => T): Thread<Awaited<T>>;
export function start<T, A>(body: (tools: Tools<A>) => T, argument: A): Thread<Awaited<T>>;
export function start(body: (...args: never[]) => unknown, argument?: unknown): Thread<unknown> {
  const thread = new Thread<unknown>(String(body), argument);
  onTestFinished(async () => {
    await thread.kill();
  });
  return thread;
}

/** A name that no other test uses: names live as long as the process. */
export function fresh(what: string): string {
  return `${what} ${++named}`;
}
let named = 0;

/** Cells of the arena that tests change; see src/sync/arena.ts. */
const Setting = { relookMs: 2, suspectMs: 3 };

function set(setting: number, milliseconds: number): void {
  const cells = new Int32Array(sync.arenaMemory());
  const before = Atomics.exchange(cells, setting, milliseconds);
  onTestFinished(() => {
    Atomics.store(cells, setting, before);
  });
}

/** Makes waiting threads rely on being woken: a lost wake-up is then a test that hangs. */
export function relookNever(): void {
  set(Setting.relookMs, 2 ** 30);
}

/** A promise that waits for its own thread is suspicious when it looks again, after a second. */
export function suspectSoon(): void {
  set(Setting.suspectMs, 1);
}

export { sync };
