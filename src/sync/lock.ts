/**
 * The lock: one cell of shared memory, and everything else here is built on it.
 *
 *   bit 31        26      25         24        23                    0
 *   ┌──────────────┬──────────┬─────────┬───────────────────────────┐
 *   │ time, or 0   │ STARVING │ WAITERS │ owner: threadId + 1, or 0 │
 *   └──────────────┴──────────┴─────────┴───────────────────────────┘
 *
 *   state            word                   meaning
 *   0  free          0
 *   1  held          owner                  nobody sleeps
 *   2  contended     owner WAITERS          somebody may sleep: who unlocks must wake one
 *   3  starving      owner (WAITERS) STARVING   a sleeper has waited too long
 *   4  handed over   STARVING time          free, but for a moment only for one who has slept
 *
 *   0 → 1 lock · 1 → 0 unlock · 1 → 2 a waiter, before it sleeps · 2 → 0 unlock, wake one · 0 → 2 a waiter that slept
 *   2 → 3 a waiter that slept and waits for longer than 1 ms · 3 → 4 unlock, wake one · 4 → 2 the starving one has it
 *   4 → 3 another sleeper has it · 3 → 2, 4 → 0 the starving one gives up
 *   4 → 2 anybody, when the moment is over: the starving one has died, or has no time
 *   1, 2, 3 with a dead owner → the same with the next owner
 *
 * This is mutex2 of Ulrich Drepper, "Futexes Are Tricky" (2011), § 6, with three additions: the owner stands in the word,
 * as in POSIX' robust mutexes, so that taking, owning and releasing are one atomic step each and a thread cannot die in
 * between; who has slept takes the lock as contended because others may sleep as well; and as in Go's sync.Mutex whoever
 * has waited for a millisecond ends the overtaking by those who come later. Sleepers are woken in the order in which
 * they fell asleep (Atomics.notify is first in, first out); who has looked again by itself falls asleep anew.
 */
import { DeadlockError, NotOwnerError } from './errors.js';
import { suspect } from './suspicion.js';
import { isAlive, OWNER_MASK, self } from './threads.js';
import type { Steps } from './waiting.js';

const WAITERS = 1 << 24;
const STARVING = 1 << 25;

/** A waiter that has slept and waited for so long is not overtaken any more. */
const STARVING_MS = 1;
/** The time of handing over, modulo 64: what is left of the word's bits, in units of 64 ms. */
const TIME_SHIFT = 26;
const TIME_UNIT_MS = 64;
const TIMES = 64;
/** Looks at the word before going to sleep: a few microseconds, less than sleeping and waking cost. */
const SPINS = 200;

/** `take` did not get the lock. */
export const NOT_TAKEN = -1;

/**
 * Tries to lock. Inlined where it counts, see Mutex.
 *
 * @returns NOT_TAKEN, or who held it and died: an owner, 0 for nobody
 */
export function take(cells: Int32Array, index: number): number {
  const word = Atomics.compareExchange(cells, index, 0, self);
  return word === 0 ? 0 : takeFrom(cells, index, word, false, false);
}

function takeFrom(cells: Int32Array, index: number, seen: number, slept: boolean, starving: boolean): number {
  let word = seen;
  for (;;) {
    const owner = word & OWNER_MASK;
    if (owner === 0 ? !slept && isKept(word) : isAlive(owner)) return NOT_TAKEN;
    const isOverdue = owner === 0 && word !== 0 && !slept;
    let next = self | (word & (WAITERS | STARVING));
    if (slept || isOverdue) next |= WAITERS;
    if (starving || isOverdue) next &= ~STARVING;
    const before = Atomics.compareExchange(cells, index, word, next);
    if (before === word) return owner;
    word = before;
  }
}

/** Whether a free lock was handed over to a sleeper just now: until 64 to 128 ms ago. */
function isKept(word: number): boolean {
  return (word & STARVING) !== 0 && ((timeNow() - (word >>> TIME_SHIFT)) & (TIMES - 1)) < 2;
}

function timeNow(): number {
  return Math.floor(Date.now() / TIME_UNIT_MS) % TIMES;
}

/**
 * Locks, however long it takes.
 *
 * @param blocking whether the thread sleeps meanwhile: then it cannot wait for itself
 * @param what the lock is called, if it is one that users hold; others are held only by who waits for something under them
 * @returns who held it and died: an owner, 0 for nobody
 * @throws {DeadlockError}
 */
export function* lockSteps(
  cells: Int32Array,
  index: number,
  blocking: boolean,
  what?: string,
): Steps<number> {
  const began = performance.now();
  let slept = false;
  let starving = false;
  try {
    for (;;) {
      let word = spin(cells, index);
      const died = takeFrom(cells, index, word, slept, starving);
      if (died !== NOT_TAKEN) return died;
      word = Atomics.load(cells, index);
      const owner = word & OWNER_MASK;
      if (owner === 0 && (slept || !isKept(word))) continue;
      if (owner === self) {
        if (blocking) throw new DeadlockError(selfWait(what));
        if (what !== undefined) suspect(began, cells, index, what);
      }
      if (slept && !starving && performance.now() - began > STARVING_MS) starving = true;
      if (owner !== 0) {
        const marked = word | WAITERS | (starving ? STARVING : 0);
        if (marked !== word && Atomics.compareExchange(cells, index, word, marked) !== word) continue;
        word = marked;
      }
      yield { cells, index, value: word };
      slept = true;
    }
  } catch (failure) {
    if (starving) stopStarving(cells, index);
    throw failure;
  }
}

function selfWait(what: string | undefined): string {
  return what === undefined
    ? 'a promise of this thread waits for the same, and cannot go on while the thread is blocked'
    : `this thread already holds ${what}`;
}

/** Waits a moment for the lock to become free. @returns the word seen last */
function spin(cells: Int32Array, index: number): number {
  let word = Atomics.load(cells, index);
  for (let i = 0; i < SPINS && word !== 0 && (word & OWNER_MASK) !== self; i++) {
    word = Atomics.load(cells, index);
  }
  return word;
}

/** The waiter for which others had to stand back gives up. */
function stopStarving(cells: Int32Array, index: number): void {
  const word = Atomics.and(cells, index, OWNER_MASK | WAITERS);
  // Others may have gone to sleep though the lock was free, because it was kept for this one.
  if ((word & OWNER_MASK) === 0) Atomics.notify(cells, index, 1);
}

/** Whether this thread holds the lock. */
export function isMine(cells: Int32Array, index: number): boolean {
  return (Atomics.load(cells, index) & OWNER_MASK) === self;
}

/** @throws {NotOwnerError} when this thread does not hold it */
export function release(cells: Int32Array, index: number): void {
  if (Atomics.compareExchange(cells, index, self, 0) !== self) releaseContended(cells, index);
}

function releaseContended(cells: Int32Array, index: number): void {
  let word = Atomics.load(cells, index);
  for (;;) {
    const owner = word & OWNER_MASK;
    if (owner !== self) throw new NotOwnerError(notOwner(owner));
    const next = (word & STARVING) === 0 ? 0 : STARVING | (timeNow() << TIME_SHIFT);
    const before = Atomics.compareExchange(cells, index, word, next);
    if (before === word) break;
    word = before;
  }
  Atomics.notify(cells, index, 1);
}

function notOwner(owner: number): string {
  return owner === 0 ? 'the lock is not held by anybody' : `the lock is held by thread ${owner - 1}`;
}
