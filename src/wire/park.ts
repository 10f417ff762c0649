/**
 * The park: records that a lane has read from its ring but cannot handle yet, because an earlier hook of their connection
 * has not settled. They stand in shared memory, so that they outlive the lane.
 *
 * Contract: one lane writes; main reads once that lane has ended. A record that is begun is made a pad by one store, and
 * will not be handled again. A block of which all records were begun is used again.
 *
 * A record goes from the ring to the park in four stores: PARKING in the ring's header (where HEAD will be, and what the
 * block will be filled), the block's FILLED, the ring's HEAD, PARKING back to 0. Wherever the thread ends, main finds the
 * record once: before FILLED in the ring, and after it in the park, for then PARKING tells that HEAD should have moved.
 */
import { copyInto } from './copy.js';
import { PARK_FILLED_CELL, PARK_HEADER_BYTES, PARK_SEQUENCE_CELL, RECORD_HEADER_BYTES } from './layout.js';
import { Inbound } from './records.js';
import { aligned, type WaitingRecord } from './ring.js';
import type { RingReader } from './ring-reader.js';

/** Bytes for records in an ordinary block. A record that is larger gets a block of its own. */
const BLOCK_BYTES = 32 * 1024;

/** Blocks without a waiting record that a lane keeps for later. */
const KEEP = 4;

/** What a ParkWriter tells the main thread. */
export interface ParkSink {
  /** A block was made. */
  parkAdded(index: number, memory: SharedArrayBuffer): void;
  /** The block will not be used again. */
  parkDropped(index: number): void;
}

class Block {
  readonly cells: Int32Array;
  readonly words: Int32Array;
  readonly bytes: Buffer;
  filled = 0;
  /** Records that were not begun. */
  waiting = 0;

  constructor(
    readonly index: number,
    readonly memory: SharedArrayBuffer,
  ) {
    this.cells = new Int32Array(memory, 0, PARK_HEADER_BYTES / 4);
    this.words = new Int32Array(memory, PARK_HEADER_BYTES);
    this.bytes = Buffer.from(memory, PARK_HEADER_BYTES);
  }
}

/** Where a parked record stands. */
export interface ParkPlace {
  readonly block: Block;
  readonly at: number;
}

/** The lane's side. */
export class ParkWriter {
  private readonly blocks: Block[] = [];
  private current: Block | undefined;
  private nextIndex = 0;
  private sequence = 0;

  constructor(private readonly sink: ParkSink) {}

  /** Moves the record at hand from the ring to the park; its payload is `payload`. */
  park(ring: RingReader, flags: number, payload: Uint8Array): ParkPlace {
    const length = RECORD_HEADER_BYTES + payload.length;
    const block = this.blockFor(aligned(length));
    const at = block.filled;
    const word = at >> 2;
    ring.beginParking(at + aligned(length));
    block.words[word] = length;
    block.words[word + 1] = ring.type | (flags << 8) | (ring.aux << 16);
    block.words[word + 2] = ring.target;
    block.words[word + 3] = ring.tag;
    copyInto(block.bytes, at + RECORD_HEADER_BYTES, payload);
    block.filled = at + aligned(length);
    block.waiting++;
    Atomics.store(block.cells, PARK_FILLED_CELL, block.filled);
    ring.endParking();
    return { block, at };
  }

  private blockFor(size: number): Block {
    const { current } = this;
    if (current !== undefined && current.filled + size <= current.bytes.length) return current;
    const block = (size <= BLOCK_BYTES && this.emptyBlock()) || this.make(Math.max(size, BLOCK_BYTES));
    block.filled = 0;
    // In this order: main goes by the sequence, and must not take old records for new ones.
    Atomics.store(block.cells, PARK_FILLED_CELL, 0);
    this.sequence = (this.sequence + 1) | 0;
    Atomics.store(block.cells, PARK_SEQUENCE_CELL, this.sequence);
    this.current = block;
    if (current !== undefined && current !== block && current.waiting === 0) this.emptied(current);
    return block;
  }

  private emptyBlock(): Block | undefined {
    return this.blocks.find(block => block.waiting === 0);
  }

  private make(size: number): Block {
    const block = new Block(this.nextIndex++, new SharedArrayBuffer(PARK_HEADER_BYTES + size));
    this.blocks.push(block);
    this.sink.parkAdded(block.index, block.memory);
    return block;
  }

  /** The record will not be handled again, whatever becomes of this thread. */
  begin({ block, at }: ParkPlace): void {
    Atomics.store(block.words, (at >> 2) + 1, Inbound.pad);
    if (--block.waiting === 0 && block !== this.current) this.emptied(block);
  }

  private emptied(block: Block): void {
    const empty = this.blocks.filter(({ waiting }) => waiting === 0).length;
    if (empty <= KEEP && block.bytes.length <= BLOCK_BYTES) return;
    this.blocks.splice(this.blocks.indexOf(block), 1);
    this.sink.parkDropped(block.index);
  }
}

/** Main's side: the blocks of one lane. */
export class ParkReader {
  private readonly blocks = new Map<number, Block>();

  add(index: number, memory: SharedArrayBuffer): void {
    this.blocks.set(index, new Block(index, memory));
  }

  drop(index: number): void {
    this.blocks.delete(index);
  }

  private get inOrder(): Block[] {
    const sequence = (block: Block): number => block.cells[PARK_SEQUENCE_CELL] as number;
    return [...this.blocks.values()].sort((a, b) => (sequence(a) - sequence(b)) | 0);
  }

  /** What the last block is filled; 0 where there is none. */
  get lastFilled(): number {
    const last = this.inOrder.at(-1);
    return last === undefined ? 0 : Atomics.load(last.cells, PARK_FILLED_CELL);
  }

  /** The records that were not begun, in the order in which they were parked. To be used once the lane has ended. */
  *records(): Generator<WaitingRecord> {
    for (const { cells, words, bytes } of this.inOrder) {
      const filled = Atomics.load(cells, PARK_FILLED_CELL);
      for (let at = 0; at < filled; ) {
        const word = at >> 2;
        const length = words[word] as number;
        const kind = words[word + 1] as number;
        if ((kind & 0xff) !== Inbound.pad) {
          yield {
            type: kind & 0xff,
            flags: (kind >>> 8) & 0xff,
            aux: kind >>> 16,
            target: words[word + 2] as number,
            tag: words[word + 3] as number,
            payload: bytes.subarray(at + RECORD_HEADER_BYTES, at + length),
          };
        }
        at += aligned(length);
      }
    }
  }
}
