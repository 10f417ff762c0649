/** Waits for a condition where nothing announces it. Whatever has an event is awaited through that instead. */
import { setTimeout as delay } from 'node:timers/promises';

const POLL_MS = 5;
const DEADLINE_MS = 10_000;

/** Resolves with what `look` returns once that is neither false nor undefined. @throws when `withinMs` have passed */
export async function until<T>(
  what: string,
  look: () => T | Promise<T>,
  withinMs = DEADLINE_MS,
): Promise<Exclude<T, false | undefined>> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const seen = await look();
    if (seen !== false && seen !== undefined) return seen as Exclude<T, false | undefined>;
    if (performance.now() > deadline) throw new Error(`${what}: not within ${withinMs} ms`);
    await delay(POLL_MS);
  }
}
