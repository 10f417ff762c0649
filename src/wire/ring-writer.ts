/** The producer's side of a ring: main thread only. See ring.ts. */
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
import { aligned, type WaitingRecord } from './ring.js';

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
