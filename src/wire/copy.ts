/** Copies payloads into memory that threads share. */

/**
 * Bytes from which on `fill` is the quicker way. V8's own `set` copies to and from shared memory in single words, and in
 * single bytes where source and target are not aligned alike, as most messages are when they come in: 16 KiB take it up
 * to 6 µs. Node's `fill` with as many bytes as there is room is one memcpy (0.25 µs), but costs a call into C++.
 */
const LARGE = 256;

/** Copies `source` into `target`, from `at` on. */
export function copyInto(target: Buffer, at: number, source: Uint8Array): void {
  if (source.length < LARGE) target.set(source, at);
  else target.fill(source, at, at + source.length);
}
