/**
 * Waiting, in two manners. Each algorithm that may have to wait is written once, as a generator that yields where it has
 * nothing to do until a cell changes. `block` drives it with Atomics.wait, `promise` with Atomics.waitAsync.
 *
 *              ┌────────── cell changed, notified, or time to look again ──────────┐
 *              ▼                                                                   │
 *   start ► running ── yields a Park (cell, the value seen) ──────────────────► parked
 *              │  ▲                                                                │
 *              ▼  └─────────── timeout or abort: thrown into the generator ────────┘
 *            done
 *
 * Two rules make that safe. Whoever parks has stored what it waits for before it loads the cell, and who changes the cell
 * stores it before looking for waiters (Dekker's handshake; Atomics are sequentially consistent, ECMAScript § 29). And a
 * park is only a hint: after it everything is looked at again, so one wake-up too many does no harm.
 *
 * A thread may die between changing a cell and telling the others, or with a wake-up in its hands that was meant for one
 * of several. So who waits also looks again by itself, now and then, and at once when a thread is reported dead. Without
 * deaths nothing depends on that (the stress tests run with it switched off).
 */
import { isMainThread } from 'node:worker_threads';
import { arena, DEATHS_CELL, RELOOK_CELL } from './arena.js';
import { ArgumentError, MainThreadError, TimeoutError } from './errors.js';

/** Nothing to do while `cells[index]` is `value`. */
export interface Park {
  cells: Int32Array;
  index: number;
  value: number;
}

export type Steps<T> = Generator<Park, T, void>;

export interface WaitOptions {
  /** Milliseconds after which the wait ends with a TimeoutError; 0: no waiting at all. @default for ever */
  timeout?: number | undefined;
  /**
   * Ends the wait with the signal's reason. A blocked thread cannot hear of an abort, for its event loop stands still:
   * there only the signal of a Context works, with a delay of up to 50 ms.
   */
  signal?: AbortSignal | undefined;
}

/** Signals whose state can be seen without the event loop: for those of contexts, a look that returns the reason. */
export const sharedSignals = new WeakMap<AbortSignal, () => unknown>();

/** @throws {MainThreadError} `ERR_THREADGATE_SYNC_MAIN_THREAD` */
export function checkMayBlock(call: string, instead = `${call}Async`): void {
  if (isMainThread) throw new MainThreadError(call, instead);
}

function abortReason(signal: AbortSignal | undefined): { reason: unknown } | undefined {
  if (signal === undefined) return undefined;
  if (signal.aborted) return { reason: signal.reason };
  const reason = sharedSignals.get(signal)?.();
  return reason === undefined ? undefined : { reason };
}

function checkTimeout(timeout: number | undefined): number {
  if (timeout === undefined) return Number.POSITIVE_INFINITY;
  if (typeof timeout !== 'number' || !(timeout >= 0)) {
    throw new ArgumentError(`a timeout must be a number of milliseconds from 0, not ${String(timeout)}`);
  }
  return timeout;
}

function relookMs(): number {
  return Atomics.load(arena(), RELOOK_CELL);
}

/** Drives the steps to their end and blocks this thread whenever they park. Not on the main thread. */
export function block<T>(steps: Steps<T>, options: WaitOptions | undefined): T {
  const timeout = checkTimeout(options?.timeout);
  const signal = options?.signal;
  let deadline = timeout === Number.POSITIVE_INFINITY ? timeout : performance.now() + timeout;
  let interruptible = true;
  let result = steps.next();
  while (!result.done) {
    const { cells, index, value } = result.value;
    const aborted = interruptible ? abortReason(signal) : undefined;
    const left = deadline === Number.POSITIVE_INFINITY ? deadline : deadline - performance.now();
    if (aborted !== undefined || left <= 0) {
      // Told once: what the steps still wait for then, they need in order to leave things in order.
      interruptible = false;
      deadline = Number.POSITIVE_INFINITY;
      result = steps.throw(aborted !== undefined ? aborted.reason : new TimeoutError(timeout));
      continue;
    }
    Atomics.wait(cells, index, value, Math.min(left, relookMs()));
    result = steps.next();
  }
  return result.value;
}

/** Drives the steps to their end without blocking. Any thread. */
export function promise<T>(steps: Steps<T>, options: WaitOptions | undefined): Promise<T> {
  return new Promise((resolve, reject) => {
    const timeout = checkTimeout(options?.timeout);
    new Waiter(steps, timeout, options?.signal, resolve, reject).step();
  });
}

/** The promises of this thread that wait. While there are any, a timer keeps the thread alive. */
const waiters = new Set<{ lookAgain(): void }>();
let keepAlive: NodeJS.Timeout | undefined;
let watchingDeaths = false;

/** Promises look again by themselves more seldom than blocked threads: the death of a thread wakes them at once. */
const PROMISE_RELOOK_MS = 1000;

class Waiter<T> {
  private parked: Park | undefined;
  private timer: NodeJS.Timeout | undefined;
  private registered = false;
  private failure: { reason: unknown } | undefined;
  private told = false;

  constructor(
    private readonly steps: Steps<T>,
    private readonly timeout: number,
    private readonly signal: AbortSignal | undefined,
    private readonly resolve: (value: T) => void,
    private readonly reject: (reason: unknown) => void,
  ) {}

  /** Goes on until the steps park or end. Whatever the reason, they look once more before they are told to give up. */
  readonly step = (): void => {
    this.parked = undefined;
    try {
      for (;;) {
        let result = this.steps.next();
        if (!result.done) {
          this.register();
          const { failure } = this;
          this.failure = undefined;
          if (failure !== undefined) result = this.steps.throw(failure.reason);
        }
        if (result.done) {
          this.finish();
          this.resolve(result.value);
          return;
        }
        const { cells, index, value } = result.value;
        const change = Atomics.waitAsync(cells, index, value);
        if (!change.async) continue;
        this.parked = result.value;
        change.value.then(this.step);
        return;
      }
    } catch (error) {
      this.finish();
      this.reject(error);
    }
  };

  /** On the first park: from now on this wait can be interrupted, and the thread is kept alive for it. */
  private register(): void {
    if (this.registered) return;
    this.registered = true;
    waiters.add(this);
    keepAlive ??= setInterval(lookAgain, Math.max(PROMISE_RELOOK_MS, relookMs()));
    watchDeaths();
    const { signal, timeout } = this;
    const aborted = abortReason(signal);
    if (aborted !== undefined) this.fail(aborted.reason);
    else if (timeout === 0) this.fail(new TimeoutError(timeout));
    if (this.told) return;
    signal?.addEventListener('abort', this.onAbort);
    if (timeout !== Number.POSITIVE_INFINITY) this.arm(performance.now() + timeout);
  }

  /** A timer takes at most 2³¹ − 1 milliseconds. */
  private arm(deadline: number): void {
    const left = deadline - performance.now();
    this.timer = setTimeout(
      () => {
        if (performance.now() < deadline) this.arm(deadline);
        else this.interrupt(new TimeoutError(this.timeout));
      },
      Math.min(Math.max(0, Math.ceil(left)), 2 ** 31 - 1),
    );
  }

  private readonly onAbort = (): void => this.interrupt(this.signal?.reason);

  private fail(reason: unknown): void {
    this.told = true;
    this.failure = { reason };
  }

  private interrupt(reason: unknown): void {
    if (this.told) return;
    this.fail(reason);
    this.lookAgain();
  }

  /**
   * Atomics.waitAsync cannot be taken back. If it were left behind, it would take a wake-up that is meant for another; so
   * it is woken, and all the others with it.
   */
  lookAgain(): void {
    if (this.parked !== undefined) Atomics.notify(this.parked.cells, this.parked.index);
  }

  private finish(): void {
    if (!this.registered) return;
    clearTimeout(this.timer);
    this.signal?.removeEventListener('abort', this.onAbort);
    waiters.delete(this);
    if (waiters.size > 0) return;
    clearInterval(keepAlive);
    keepAlive = undefined;
  }
}

function lookAgain(): void {
  for (const waiter of waiters) waiter.lookAgain();
}

/** One watch per thread, which does not keep it alive; it ends when nobody waits any more and somebody dies. */
function watchDeaths(): void {
  if (watchingDeaths) return;
  const cells = arena();
  const watch = Atomics.waitAsync(cells, DEATHS_CELL, Atomics.load(cells, DEATHS_CELL));
  watchingDeaths = watch.async;
  const died = (): void => {
    watchingDeaths = false;
    if (waiters.size === 0) return;
    watchDeaths();
    lookAgain();
  };
  if (watch.async) watch.value.then(died);
  else queueMicrotask(died);
}
