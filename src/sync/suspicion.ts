/**
 * Promises that may wait for themselves. Who locks on a blocked thread what that thread has is surely stuck, and gets an
 * error. With promises nobody can tell: what a thread has, another of its promises may be about to give back. So if that
 * takes very long, the process is warned, once for each lock.
 */
import { arena, SUSPECT_CELL } from './arena.js';

const CODE = 'THREADGATE_SYNC_SUSPECTED_DEADLOCK';

/** The locks of which was warned on this thread. */
const warned = new WeakMap<ArrayBufferLike, Set<number>>();

/**
 * Warns when a promise has waited very long for what its own thread has. To be called whenever it looks again.
 *
 * @param began `performance.now()` when it began to wait
 * @param what of the lock in `cells[index]`
 */
export function suspect(began: number, cells: Int32Array, index: number, what: string): void {
  const waited = performance.now() - began;
  if (waited < Atomics.load(arena(), SUSPECT_CELL)) return;
  const known = warned.get(cells.buffer) ?? new Set();
  if (known.has(index)) return;
  warned.set(cells.buffer, known.add(index));
  process.emitWarning(
    `a promise has waited for ${Math.round(waited)} ms for ${what} that its own thread holds: if it is the holder ` +
      'who waits, both wait for ever (docs/sync.md, Limits)',
    { type: 'ThreadgateWarning', code: CODE },
  );
}
