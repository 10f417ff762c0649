/** What can be sent and received, and what it costs to keep. */
import { DataError } from './errors.js';

/** Strings are text frames, bytes are binary ones. */
export type Outgoing = string | ArrayBufferLike | ArrayBufferView;

/** A string from a text frame, an ArrayBuffer from a binary one. */
export type Incoming = string | ArrayBuffer;

/** What a kept message costs beside its data: its entry, its promise, its functions. */
const OVERHEAD_BYTES = 256;

/**
 * The data as they are now: callers may change their bytes after `send`.
 * @throws {DataError} when it is neither a string nor bytes
 */
export function snapshot(data: Outgoing): string | Uint8Array<ArrayBuffer> {
  if (typeof data === 'string') return data;
  if (ArrayBuffer.isView(data)) {
    return Uint8Array.from(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  // A page that is not isolated from others has no SharedArrayBuffer.
  const shared = typeof SharedArrayBuffer === 'function' && (data as unknown) instanceof SharedArrayBuffer;
  if (shared || (data as unknown) instanceof ArrayBuffer) return Uint8Array.from(new Uint8Array(data));
  throw new DataError(
    `only strings and bytes can be sent, not ${data === null ? 'null' : `a ${typeof data}`}`,
  );
}

/** Bytes that a message is counted with while it is kept; a string may take two for each of its units. */
export function costOf(data: string | Uint8Array | ArrayBuffer): number {
  return OVERHEAD_BYTES + (typeof data === 'string' ? 2 * data.length : data.byteLength);
}
