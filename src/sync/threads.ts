/**
 * Who owns what, and who of them is dead.
 *
 * An owner is a thread: its `threadId` + 1, which Node never gives twice in one process, in 24 bits. A thread cannot say
 * that it died; somebody who is told by Node must say it for it: `ownerDied`, or `register` which listens for the end of
 * a worker. From then on its bit is set, and whoever waits for something of its looks again.
 *
 * The workers of a worker end with it, and then nobody is left who could hear of it. So who registers a worker on another
 * thread than the main one notes that it is its parent:
 *
 *   kin, 2 cells:   parent, child   owners both, or 0: free
 */
import { isMainThread, threadId, type Worker } from 'node:worker_threads';
import { arena, DEAD_CELL, DEATHS_CELL, KIN_CELL, MOST_KIN, MOST_OWNERS } from './arena.js';
import { FullError, OwnerDiedError, SetupError } from './errors.js';

/** The bits of a lock's word that hold the owner. */
export const OWNER_MASK = MOST_OWNERS - 1;

/** This thread as an owner. */
export const self: number = threadId + 1;
if (self >= MOST_OWNERS) throw new SetupError(`a process can have ${MOST_OWNERS - 2} threads in its life`);

export function ownerOf(thread: number): number {
  return thread + 1;
}

export function isAlive(owner: number): boolean {
  return (Atomics.load(arena(), DEAD_CELL + (owner >>> 5)) & (1 << (owner & 31))) === 0;
}

/** How many threads have been reported dead. */
export function deaths(): number {
  return Atomics.load(arena(), DEATHS_CELL);
}

/** @param owner that had the lock before, 0 when nobody died */
export function deathOf(owner: number): OwnerDiedError | undefined {
  return owner === 0 ? undefined : new OwnerDiedError(owner - 1);
}

/**
 * Says that a thread has ended: what it held goes to whoever asks next. So does what was held by the workers that it
 * started and registered, for they end before it. Idempotent.
 *
 * Call it only when the thread surely runs no more code: after the worker's 'exit' event.
 *
 * Thread: any.
 * @param thread `worker.threadId`, taken before the end (afterwards Node says −1)
 */
export function ownerDied(thread: number): void {
  const owner = ownerOf(thread);
  if (!Number.isInteger(thread) || owner < 1 || owner >= MOST_OWNERS) return;
  markDead(owner);
}

function markDead(owner: number): void {
  const cells = arena();
  // The bit comes before the count: who sees the count sees the bit.
  Atomics.or(cells, DEAD_CELL + (owner >>> 5), 1 << (owner & 31));
  Atomics.add(cells, DEATHS_CELL, 1);
  Atomics.notify(cells, DEATHS_CELL);
  for (let kin = KIN_CELL; kin < KIN_CELL + 2 * MOST_KIN; kin += 2) {
    const parent = Atomics.load(cells, kin);
    if (parent === 0) continue;
    const child = Atomics.load(cells, kin + 1);
    if (child !== owner && parent !== owner) continue;
    Atomics.store(cells, kin + 1, 0);
    Atomics.store(cells, kin, 0);
    if (parent === owner && child !== 0) markDead(child);
  }
}

function noteParent(child: number): void {
  const cells = arena();
  for (let kin = KIN_CELL; kin < KIN_CELL + 2 * MOST_KIN; kin += 2) {
    if (Atomics.compareExchange(cells, kin, 0, self) !== 0) continue;
    Atomics.store(cells, kin + 1, child);
    return;
  }
  throw new FullError(`${MOST_KIN} workers of workers at the same time are the most`);
}

/**
 * Watches a worker, so that the others go on when it ends with a lock in its hands. Call it right after `new Worker`, on
 * the thread that made it. With a worker that has ended it does nothing.
 *
 * Thread: any.
 * @returns the worker
 * @throws {FullError} `ERR_THREADGATE_SYNC_FULL` when 2,048 workers of workers are registered
 * @example const worker = register(new Worker('./work.js'));
 */
export function register<T extends Worker>(worker: T): T {
  const { threadId: thread } = worker;
  if (thread === -1) return worker;
  if (!isMainThread) noteParent(ownerOf(thread));
  worker.once('exit', () => ownerDied(thread));
  return worker;
}
