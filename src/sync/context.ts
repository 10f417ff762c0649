/**
 * Context: one end for many threads.
 *
 *   cell 0      2
 *   ┌───────┬───┬─────────────────────────┐
 *   │ STATE │ – │ DEADLINE, 64 bits       │  nanoseconds of process.hrtime, which all threads share; 0: none
 *   └───────┴───┴─────────────────────────┘
 *
 *   STATE   0 running  →  1 cancelled          A context has also ended when its deadline has passed or its parent ended.
 *
 * A child knows its parent, not the other way round: what ends a parent is seen by whoever looks at the child. Header:
 * first parameter, the block of the parent where both have names.
 */
import { setMaxListeners } from 'node:events';
import { CancelledError, DeadlineError } from './errors.js';
import { type Handle, HEADER_CELLS, Primitive } from './primitive.js';
import { sharedSignals } from './waiting.js';

const STATE = 0;
const DEADLINE = 2;
export const CONTEXT_CELLS = 4;

const LONGEST_TIMER_MS = 2 ** 31 - 1;
/** A thread that died may have had no time to tell the others: so a context is also looked at now and then. */
const RELOOK_MS = 1000;

export interface ContextHandle extends Handle<'context'> {
  readonly parent?: ContextHandle | undefined;
}

/** The contexts whose signals were asked for on this thread. */
const watched = new Set<Context>();
let relook: NodeJS.Timeout | undefined;

/**
 * Like Go's context.Context: gives an AbortSignal on every thread that holds it, so that `fetch`, timers and waits on
 * every thread end together. As in Go, cancel a context when its work is through, or its signal is watched on.
 *
 * @example
 * const shutdown = context('shutdown');
 * await fetch(url, { signal: shutdown.signal });   // on any thread
 * shutdown.cancel();                               // on any other
 */
export class Context extends Primitive<'context'> implements Disposable {
  declare readonly handle: ContextHandle;
  private readonly base: number;
  private readonly ends: bigint;
  private controller: AbortController | undefined;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    cells: Int32Array,
    at: number,
    readonly parent: Context | undefined,
  ) {
    super('context', cells, at);
    if (parent !== undefined) Object.assign(this.handle, { parent: parent.handle });
    this.base = at + HEADER_CELLS;
    this.ends = deadlineCell(cells, at)[0] as bigint;
  }

  /**
   * Ends it, on all threads. Thread: any; never waits. A second call does nothing, and one after the deadline neither.
   */
  cancel(): void {
    if (Atomics.exchange(this.cells, this.base + STATE, 1) === 0) {
      Atomics.notify(this.cells, this.base + STATE);
    }
    this.look();
  }

  /** Cancels it. */
  [Symbol.dispose](): void {
    this.cancel();
  }

  /** Why it has ended: a CancelledError or a DeadlineError; undefined while it runs. Thread: any. */
  get reason(): CancelledError | DeadlineError | undefined {
    if (this.controller?.signal.aborted) return this.controller.signal.reason;
    if (Atomics.load(this.cells, this.base + STATE) !== 0) return new CancelledError();
    if (this.ends !== 0n && process.hrtime.bigint() >= this.ends) return new DeadlineError();
    return this.parent?.reason;
  }

  /** Whether it has ended. Thread: any. */
  get isDone(): boolean {
    return this.reason !== undefined;
  }

  /** Milliseconds until the deadline, its own or a parent's; Infinity without one. Thread: any. */
  get timeLeft(): number {
    const own =
      this.ends === 0n ? Number.POSITIVE_INFINITY : Number(this.ends - process.hrtime.bigint()) / 1e6;
    return Math.max(0, Math.min(own, this.parent?.timeLeft ?? Number.POSITIVE_INFINITY));
  }

  /**
   * Aborts when the context ends; its `reason` is the context's. It does not keep the thread alive, and does not fire while
   * the thread is blocked, except in waits of threadgate/sync that were given it. Thread: any.
   */
  get signal(): AbortSignal {
    if (this.controller === undefined) this.watch();
    return (this.controller as AbortController).signal;
  }

  private watch(): void {
    const controller = new AbortController();
    const { reason } = this;
    this.controller = controller;
    // Any number of waits and children may end with it.
    setMaxListeners(0, controller.signal);
    sharedSignals.set(controller.signal, () => this.reason);
    if (reason !== undefined) {
      controller.abort(reason);
      return;
    }
    watched.add(this);
    relook ??= setInterval(lookAtAll, RELOOK_MS).unref();
    this.parent?.signal.addEventListener('abort', this.look);
    if (this.ends !== 0n) this.arm();
    const change = Atomics.waitAsync(this.cells, this.base + STATE, 0);
    if (change.async) change.value.then(this.look);
    // The parent may have ended after it was looked at and before it was listened to.
    if (!change.async || this.parent?.signal.aborted) queueMicrotask(this.look);
  }

  private arm(): void {
    const left = Number(this.ends - process.hrtime.bigint()) / 1e6;
    this.timer = setTimeout(this.look, Math.min(LONGEST_TIMER_MS, Math.max(0, Math.ceil(left)))).unref();
  }

  /** Aborts the signal if the context has ended. */
  readonly look = (): void => {
    const { controller } = this;
    if (controller === undefined || controller.signal.aborted) return;
    const { reason } = this;
    if (reason === undefined) {
      if (this.timer !== undefined) {
        clearTimeout(this.timer);
        this.arm();
      }
      return;
    }
    clearTimeout(this.timer);
    this.parent?.signal.removeEventListener('abort', this.look);
    watched.delete(this);
    if (watched.size === 0) {
      clearInterval(relook);
      relook = undefined;
    }
    controller.abort(reason);
  };
}

function lookAtAll(): void {
  for (const context of [...watched]) context.look();
}

/** The deadline of the context in this block; written before it can be found. */
export function deadlineCell(cells: Int32Array, at: number): BigInt64Array {
  return new BigInt64Array(cells.buffer, (at + HEADER_CELLS + DEADLINE) * 4, 1);
}
