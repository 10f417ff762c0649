/**
 * Select: the first of several channels that can receive or send.
 *
 * Goes through the cases from a random one on, so that none is preferred. When none can be done it marks all channels and
 * goes through them once more; then it waits for the arena's SELECT cell, which everybody raises who changes a marked
 * channel. The mark comes before the second look (Dekker's handshake). A mark that nobody needs any more costs one
 * wake-up. The second look is not put off by a lock that somebody else has just then: where there is something, it waits
 * for that lock.
 */
import { arena, SELECT_CELL } from './arena.js';
import { type Channel, NOTHING } from './channel.js';
import { ArgumentError } from './errors.js';
import { block, checkMayBlock, promise, type Steps, type WaitOptions } from './waiting.js';

/** Receive from this channel, or send this value on it. */
export type Case = { receive: Channel<never> | Channel } | { send: Channel<never> | Channel; value: unknown };

export interface Selected {
  /** Which of the cases was done. */
  index: number;
  /** What was received; undefined after sending, and when the channel was closed and empty. */
  value: unknown;
}

/**
 * Does the first of the cases that can be done, and blocks the thread until one can.
 *
 * Thread: workers.
 * @throws as `Channel.send` and `Channel.receive`
 * @example const { index, value } = select([{ receive: jobs }, { receive: stop }]);
 */
export function select(cases: readonly Case[], options?: WaitOptions): Selected {
  checkMayBlock('select');
  return block(steps(check(cases), true), options);
}

/** The same as a promise, which keeps the thread alive until it settles. Thread: any. */
export async function selectAsync(cases: readonly Case[], options?: WaitOptions): Promise<Selected> {
  return await promise(steps(check(cases), false), options);
}

/** Does one of the cases that can be done now. Never waits. Thread: any. @returns undefined when none can */
export function trySelect(cases: readonly Case[]): Selected | undefined {
  return tryCases(check(cases));
}

function check(cases: readonly Case[]): readonly Case[] {
  if (cases.length === 0) throw new ArgumentError('a select needs at least one case');
  return cases;
}

function tryCases(cases: readonly Case[]): Selected | undefined {
  const first = Math.floor(Math.random() * cases.length);
  for (let i = 0; i < cases.length; i++) {
    const index = (first + i) % cases.length;
    const one = cases[index] as Case;
    if ('send' in one) {
      if ((one.send as Channel).trySend(one.value)) return { index, value: undefined };
    } else {
      const value: unknown = (one.receive as Channel).poll();
      if (value !== NOTHING) return { index, value };
    }
  }
  return undefined;
}

function* steps(cases: readonly Case[], blocking: boolean): Steps<Selected> {
  for (;;) {
    const done = tryCases(cases);
    if (done !== undefined) return done;
    const value = Atomics.load(arena(), SELECT_CELL);
    for (const one of cases) {
      if ('send' in one) one.send.selectRoom();
      else one.receive.selectValue();
    }
    for (const [index, one] of cases.entries()) {
      if ('send' in one) {
        if (yield* (one.send as Channel).offerSteps(one.value, blocking)) return { index, value: undefined };
      } else {
        const received = yield* (one.receive as Channel).pollSteps(blocking);
        if (received !== NOTHING) return { index, value: received };
      }
    }
    yield { cells: arena(), index: SELECT_CELL, value };
  }
}
