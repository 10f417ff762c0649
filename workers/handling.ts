/**
 * A guaranteed message that a hook is handling, from its beginning until the hook is through. What the hook sends with
 * guarantee meanwhile, wherever it awaits, belongs to it: the main thread lets that go when the hook is through.
 */
import { AsyncLocalStorage } from 'node:async_hooks';

export interface Handling {
  readonly slot: number;
  readonly tag: number;
  /** As it came: unsigned, 64 bits. */
  readonly number: Uint8Array;
  /** Cleared when the hook is through: what goes on after that is on its own. */
  open: boolean;
}

const handlings = new AsyncLocalStorage<Handling>();

/** Runs a hook, as far as it goes at once. */
export function runHandling<T>(handling: Handling, hook: () => T): T {
  return handlings.run(handling, hook);
}

const source = Buffer.alloc(8);

/** Slot and tag of the connection whose guaranteed message is being handled here; zeros for none. Used again by the next call. */
export function sourceBytes(): Uint8Array {
  const handling = handlings.getStore();
  const inside = handling?.open === true;
  source.writeInt32LE(inside ? handling.slot : 0, 0);
  source.writeInt32LE(inside ? handling.tag : 0, 4);
  return source;
}
