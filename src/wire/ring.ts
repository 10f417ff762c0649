/**
 * A ring of records in shared memory, from the main thread to one lane.
 *
 * Contract: one producer, one consumer, neither ever waits. Records never wrap: where one does not fit before the end,
 * a pad record fills the rest. The producer writes records freely and makes them visible all at once with `publish`;
 * the consumer copies runs of whole records into its own memory (see RingReader.refill), so that nobody holds a view of
 * the ring itself. A record keeps its room until the consumer takes it (`take`): from then on it will not be handled
 * again, and whatever is not taken when the consumer's thread ends is still there for another.
 *
 * Going to sleep and waking must not cross (Dekker's handshake): the consumer stores SLEEPING and then loads TAIL, the
 * producer stores TAIL and then loads SLEEPING. Atomics are sequentially consistent, so at least one of them sees the
 * other's store: either the consumer finds the record or the producer finds it asleep.
 */
import { copyInto } from './copy.js';
import {
  RECORD_ALIGN_BYTES,
  RECORD_HEADER_BYTES,
  RING_BLAMED_SLOT_CELL,
  RING_BLAMED_TAG_CELL,
  RING_CURRENT_SLOT_CELL,
  RING_CURRENT_TAG_CELL,
  RING_CURRENT_TYPE_CELL,
  RING_HEAD_CELL,
  RING_HEADER_BYTES,
  RING_HEARTBEAT_CELL,
  RING_PARKING_CELL,
  RING_PARKING_FILLED_CELL,
  RING_SETTLED_CELL,
  RING_SLEEPING_CELL,
  RING_STARVED_CELL,
  RING_TAIL_CELL,
} from './layout.js';
import { Inbound } from './records.js';

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

/** The producer's side: main thread only. */
export class RingWriter {
  /** The records' memory, for writing the payload at `offset`. */
  readonly bytes: Buffer;
  /** Where the payload of the record begun last belongs, in `bytes`. */
  offset = 0;
  readonly capacity: number;

  private readonly cells: Int32Array;
  private readonly words: Int32Array;
  private readonly mask: number;
  private tail = 0;
  private head = 0;
  private published = 0;

  constructor(memory: SharedArrayBuffer) {
    this.capacity = memory.byteLength - RING_HEADER_BYTES;
    this.mask = this.capacity - 1;
    this.cells = new Int32Array(memory, 0, RING_HEADER_BYTES / 4);
    this.words = new Int32Array(memory, RING_HEADER_BYTES);
    this.bytes = Buffer.from(memory, RING_HEADER_BYTES, this.capacity);
  }

  /**
   * Claims room for one record and writes its header. The caller then writes `payloadLength` bytes at `offset`.
   * @returns false when there is no room now; nothing was changed
   */
  begin(
    type: number,
    flags: number,
    aux: number,
    target: number,
    tag: number,
    payloadLength: number,
  ): boolean {
    const length = RECORD_HEADER_BYTES + payloadLength;
    const size = aligned(length);
    let position = this.tail & this.mask;
    const beforeEnd = this.capacity - position;
    const needed = size > beforeEnd ? size + beforeEnd : size;
    if (needed > this.capacity - ((this.tail - this.head) >>> 0)) {
      this.head = Atomics.load(this.cells, RING_HEAD_CELL);
      if (needed > this.capacity - ((this.tail - this.head) >>> 0)) return false;
    }
    if (size > beforeEnd) {
      this.words[position >> 2] = beforeEnd;
      this.words[(position >> 2) + 1] = Inbound.pad;
      this.tail = (this.tail + beforeEnd) | 0;
      position = 0;
    }
    const word = position >> 2;
    this.words[word] = length;
    this.words[word + 1] = type | (flags << 8) | (aux << 16);
    this.words[word + 2] = target;
    this.words[word + 3] = tag;
    this.offset = position + RECORD_HEADER_BYTES;
    this.tail = (this.tail + size) | 0;
    return true;
  }

  /** Bytes of records that the consumer cannot see yet. */
  get unpublished(): number {
    return (this.tail - this.published) >>> 0;
  }

  /** Makes all records written so far visible. @returns true when the consumer sleeps and must now be woken */
  publish(): boolean {
    this.published = this.tail;
    Atomics.store(this.cells, RING_TAIL_CELL, this.tail);
    return (
      Atomics.load(this.cells, RING_SLEEPING_CELL) === 1 &&
      Atomics.compareExchange(this.cells, RING_SLEEPING_CELL, 1, 0) === 1
    );
  }

  /**
   * Asks the consumer to say when it has made room. To be followed by one more try at `begin`: room made between the
   * failed try and this store is announced to nobody.
   */
  starve(): void {
    Atomics.store(this.cells, RING_STARVED_CELL, 1);
  }

  /** Bytes not yet read, for statistics. */
  get fill(): number {
    return (this.tail - Atomics.load(this.cells, RING_HEAD_CELL)) >>> 0;
  }

  /** Inbound bytes whose hooks have settled, ever growing, modulo 2³². */
  get settled(): number {
    return Atomics.load(this.cells, RING_SETTLED_CELL);
  }

  /** Where the record begun last ends. */
  get end(): number {
    return this.tail;
  }

  /** Grows while the consumer's event loop turns. */
  get heartbeat(): number {
    return Atomics.load(this.cells, RING_HEARTBEAT_CELL);
  }

  /** Up to where the consumer has taken records. */
  get taken(): number {
    return Atomics.load(this.cells, RING_HEAD_CELL);
  }

  /** The connection whose record was taken last, and that record's type; tag 0 where it was no connection's. */
  get current(): { type: number; slot: number; tag: number } {
    return {
      type: this.cells[RING_CURRENT_TYPE_CELL] as number,
      slot: this.cells[RING_CURRENT_SLOT_CELL] as number,
      tag: this.cells[RING_CURRENT_TAG_CELL] as number,
    };
  }

  /** The connection that ended the consumer's thread by something asynchronous; tag 0 where that is unknown. */
  get blamed(): { slot: number; tag: number } {
    return {
      slot: this.cells[RING_BLAMED_SLOT_CELL] as number,
      tag: this.cells[RING_BLAMED_TAG_CELL] as number,
    };
  }

  /** Up to where records are taken or parked, once the consumer has ended. @param parkFilled of the last block, or 0 */
  takenOrParked(parkFilled: number): number {
    const { taken } = this;
    const parking = Atomics.load(this.cells, RING_PARKING_CELL);
    const parked = parking !== 0 && this.cells[RING_PARKING_FILLED_CELL] === parkFilled;
    return parked ? parking - 1 : taken;
  }

  /** The records from there on, published or not. To be used once the consumer has ended or stopped reading. */
  *recordsFrom(position: number): Generator<WaitingRecord> {
    for (let at = position; at !== this.tail; ) {
      const offset = at & this.mask;
      const word = offset >> 2;
      const length = this.words[word] as number;
      const kind = this.words[word + 1] as number;
      if ((kind & 0xff) !== Inbound.pad) {
        yield {
          type: kind & 0xff,
          flags: (kind >>> 8) & 0xff,
          aux: kind >>> 16,
          target: this.words[word + 2] as number,
          tag: this.words[word + 3] as number,
          payload: this.bytes.subarray(offset + RECORD_HEADER_BYTES, offset + length),
        };
      }
      at = (at + aligned(length)) | 0;
    }
  }
}

/** Bytes of the blocks that runs of records are copied into. As with Node's Buffer pool, a kept message keeps its block. */
const BLOCK_BYTES = 16 * 1024;

/** The consumer's side: one lane only. Reads one record at a time; its fields are valid until the next `next()`. */
export class RingReader {
  type = 0;
  flags = 0;
  aux = 0;
  target = 0;
  tag = 0;
  /** The block that holds the record's payload: this thread's own memory, never written again. */
  block: Buffer = Buffer.alloc(0);
  /** Where the payload stands in `block`. */
  offset = 0;
  /** Bytes of payload. */
  length = 0;

  private readonly cells: Int32Array;
  private readonly bytes: Uint8Array;
  private readonly words: Int32Array;
  private readonly mask: number;
  private readonly capacity: number;
  /** Where the record ends, as a position in the ring. */
  end = 0;
  /** Everything before it was copied out of the ring. */
  private position = 0;
  /** What to add to a place in the block for the position in the ring that was copied there. */
  private blockToRing = 0;
  private blockWords: Int32Array = new Int32Array(0);
  private blockUsed = BLOCK_BYTES;
  /** The run within the block: where its next record begins, and where it ends. */
  private runNext = 0;
  private runEnd = 0;
  private settledTotal = 0;

  constructor(memory: SharedArrayBuffer) {
    this.capacity = memory.byteLength - RING_HEADER_BYTES;
    this.mask = this.capacity - 1;
    this.cells = new Int32Array(memory, 0, RING_HEADER_BYTES / 4);
    this.words = new Int32Array(memory, RING_HEADER_BYTES);
    this.bytes = new Uint8Array(memory, RING_HEADER_BYTES);
  }

  /** Steps to the next record. @returns false when there is none */
  next(): boolean {
    if (this.runNext === this.runEnd && !this.refill()) return false;
    const at = this.runNext;
    const word = at >> 2;
    const length = this.blockWords[word] as number;
    const kind = this.blockWords[word + 1] as number;
    this.type = kind & 0xff;
    this.flags = (kind >>> 8) & 0xff;
    this.aux = kind >>> 16;
    this.target = this.blockWords[word + 2] as number;
    this.tag = this.blockWords[word + 3] as number;
    this.offset = at + RECORD_HEADER_BYTES;
    this.length = length - RECORD_HEADER_BYTES;
    this.runNext = at + aligned(length);
    this.end = (this.runNext + this.blockToRing) | 0;
    return true;
  }

  /**
   * The record at hand will not be handled again, whatever becomes of this thread. To be called before anything is done
   * for it. The current connection is stored before HEAD: who sees HEAD moved sees for whom.
   * @param tag 0 where the record is no connection's
   */
  take(slot: number, tag: number): void {
    this.cells[RING_CURRENT_SLOT_CELL] = slot;
    this.cells[RING_CURRENT_TAG_CELL] = tag;
    this.cells[RING_CURRENT_TYPE_CELL] = this.type;
    Atomics.store(this.cells, RING_HEAD_CELL, this.end);
  }

  /** The record at hand is about to be parked: see park.ts for the order of these stores. */
  beginParking(parkFilled: number): void {
    this.cells[RING_PARKING_FILLED_CELL] = parkFilled;
    Atomics.store(this.cells, RING_PARKING_CELL, this.end + 1);
  }

  endParking(): void {
    this.take(0, 0);
    Atomics.store(this.cells, RING_PARKING_CELL, 0);
  }

  /** Leaves out everything up to there. */
  skipTo(position: number): void {
    this.runNext = this.runEnd;
    this.position = position;
    this.end = position;
    this.take(0, 0);
  }

  /** Says whose hook, timer or promise it is that ends this thread, if it ends now. @param tag 0 for nobody's */
  blame(slot: number, tag: number): void {
    this.cells[RING_BLAMED_SLOT_CELL] = slot;
    Atomics.store(this.cells, RING_BLAMED_TAG_CELL, tag);
  }

  /** Says that this thread's event loop turns. */
  beat(): void {
    Atomics.add(this.cells, RING_HEARTBEAT_CELL, 1);
  }

  /** Copies the next run of whole records into a block of our own. */
  private refill(): boolean {
    const tail = Atomics.load(this.cells, RING_TAIL_CELL);
    if (tail === this.position) return false;
    if (this.isPad(this.position & this.mask)) {
      this.position = (this.position + this.capacity - (this.position & this.mask)) | 0;
    }
    const start = this.position & this.mask;
    const contiguous = Math.min((tail - this.position) >>> 0, this.capacity - start);
    let run = this.wholeRecords(start, Math.min(contiguous, BLOCK_BYTES - this.blockUsed));
    if (run === 0) {
      run = this.wholeRecords(start, Math.min(contiguous, BLOCK_BYTES));
      if (run === 0) run = aligned(this.words[start >> 2] as number);
      this.newBlock(Math.max(run, BLOCK_BYTES));
    }
    const from = this.blockUsed;
    copyInto(this.block, from, this.bytes.subarray(start, start + run));
    this.blockUsed = from + run;
    this.runNext = from;
    this.runEnd = from + run;
    this.blockToRing = (this.position - from) | 0;
    this.position = (this.position + run) | 0;
    return true;
  }

  private isPad(at: number): boolean {
    return ((this.words[(at >> 2) + 1] as number) & 0xff) === Inbound.pad;
  }

  /** Bytes of the whole records, up to a pad, among the `limit` bytes at `start`. */
  private wholeRecords(start: number, limit: number): number {
    let run = 0;
    while (run < limit && !this.isPad(start + run)) {
      const size = aligned(this.words[(start + run) >> 2] as number);
      if (run + size > limit) break;
      run += size;
    }
    return run;
  }

  private newBlock(size: number): void {
    // Not from Node's shared pool: the block's buffer must hold nothing but records, and begin 8-byte aligned.
    this.block = Buffer.allocUnsafeSlow(size);
    this.blockWords = new Int32Array(this.block.buffer, 0, size >> 2);
    this.blockUsed = 0;
  }

  /**
   * Says that this consumer is about to sleep. @returns false when a record came in meanwhile: then it must go on
   * reading. The store comes before the load; see the top of the file.
   */
  sleep(): boolean {
    Atomics.store(this.cells, RING_SLEEPING_CELL, 1);
    if (Atomics.load(this.cells, RING_TAIL_CELL) === this.position) return true;
    this.wake();
    return false;
  }

  wake(): void {
    Atomics.store(this.cells, RING_SLEEPING_CELL, 0);
  }

  /** @returns true when the producer asked for room and has not been told since */
  takeStarved(): boolean {
    return (
      Atomics.load(this.cells, RING_STARVED_CELL) === 1 &&
      Atomics.compareExchange(this.cells, RING_STARVED_CELL, 1, 0) === 1
    );
  }

  /** Adds to the inbound bytes whose hooks have settled. A plain store: the producer only needs it sooner or later. */
  settle(bytes: number): void {
    this.settledTotal = (this.settledTotal + bytes) | 0;
    this.cells[RING_SETTLED_CELL] = this.settledTotal;
  }
}
