/** The consumer's side of a ring: one lane only. See ring.ts. */
import { copyInto } from './copy.js';
import {
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
import { aligned } from './ring.js';

/** Bytes of the blocks that runs of records are copied into. As with Node's Buffer pool, a kept message keeps its block. */
const BLOCK_BYTES = 16 * 1024;

/** Reads one record at a time; its fields are valid until the next `next()`. */
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
