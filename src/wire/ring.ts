/**
 * A ring of records in shared memory, from the main thread to one lane.
 *
 * Contract: one producer, one consumer, neither ever waits. Records never wrap: where one does not fit before the end,
 * a pad record fills the rest. The producer writes records freely and makes them visible all at once with `publish`;
 * the consumer copies runs of whole records into its own memory (see ring-reader.ts), so that nobody holds a view of
 * the ring itself. A record keeps its room until the consumer takes it (`take`): from then on it will not be handled
 * again, and whatever is not taken when the consumer's thread ends is still there for another.
 *
 * Going to sleep and waking must not cross (Dekker's handshake): the consumer stores SLEEPING and then loads TAIL, the
 * producer stores TAIL and then loads SLEEPING. Atomics are sequentially consistent, so at least one of them sees the
 * other's store: either the consumer finds the record or the producer finds it asleep.
 */
import { RECORD_ALIGN_BYTES, RECORD_HEADER_BYTES, RING_HEADER_BYTES } from './layout.js';

/** Units of 8 bytes modulo 2¹⁶: what of a ring position stands in a batch's COMMIT cell. */
export function doneMark(position: number): number {
  return (position >>> 3) & 0xffff;
}

/** Bytes that a record of this length takes up, padding included. */
export function aligned(length: number): number {
  return (length + RECORD_ALIGN_BYTES - 1) & -RECORD_ALIGN_BYTES;
}

/** @param capacity bytes for records; a power of two */
export function createRingMemory(capacity: number): SharedArrayBuffer {
  return new SharedArrayBuffer(RING_HEADER_BYTES + capacity);
}

/** A record and the pad before it stay below the 512 KiB after which done marks repeat. */
const LARGEST_RECORD_BYTES = 128 * 1024;

/** The largest payload that `RingWriter.begin` can ever take; a larger one goes through the payload port. */
export function largestPayload(capacity: number): number {
  return Math.min(capacity / 4, LARGEST_RECORD_BYTES) - RECORD_HEADER_BYTES;
}

/** One record, in a ring or wherever it waited. */
export interface WaitingRecord {
  type: number;
  flags: number;
  aux: number;
  target: number;
  tag: number;
  /** A view: to be copied before the next record is asked for. */
  payload: Uint8Array;
}
