/**
 * The directory: a slot in shared memory for every connection, so that any lane can look one up, see whether it is open
 * and how far behind it is, without asking the main thread.
 *
 * Contract: main writes everything but SETTLED and RUNNING, which the owning lane writes while it lives. A slot's tag (generation × 2 + open) is
 * stored last when a connection opens and first when it closes; who compares tags can therefore never mistake one
 * connection for another. The rest of a slot stays readable after the close, until main gives the slot to another
 * connection, which raises the generation. A reader of more than one cell reads the tag again afterwards (`sameAs`).
 */

import { LARGEST_HEAD_BYTES } from './heads.js';
import {
  DIRECTORY_HEADER_BYTES,
  DIRECTORY_HIGH_WATER_CELL,
  DIRECTORY_OPEN_CELL,
  SLOT_BUFFERED_CELL,
  SLOT_BYTES,
  SLOT_CELLS,
  SLOT_CONTEXT_LENGTH_CELL,
  SLOT_CONTEXT_OFFSET_CELL,
  SLOT_HEAD_LENGTH_CELL,
  SLOT_HEAD_OFFSET_CELL,
  SLOT_ID_CELL,
  SLOT_LANE_CELL,
  SLOT_LOCK_CELL,
  SLOT_NAMESPACE_CELL,
  SLOT_RUNNING_CELL,
  SLOT_SESSION_CELL,
  SLOT_SETTLED_CELL,
  SLOT_TAG_CELL,
} from './layout.js';

/** Bytes reserved for heads per slot, on average. Only what is used takes up memory. */
const HEAD_BYTES_PER_SLOT = 4096;

/** What all threads share. */
export interface DirectoryMemory {
  slots: SharedArrayBuffer;
  heads: SharedArrayBuffer;
}

export function createDirectoryMemory(capacity: number): DirectoryMemory {
  const headBytes = Math.max(capacity * HEAD_BYTES_PER_SLOT, 8 * LARGEST_HEAD_BYTES);
  return {
    slots: new SharedArrayBuffer(DIRECTORY_HEADER_BYTES + capacity * SLOT_BYTES),
    heads: new SharedArrayBuffer(Math.ceil(headBytes / LARGEST_HEAD_BYTES) * LARGEST_HEAD_BYTES),
  };
}

const NO_SESSION = '0'.repeat(32);

export class Directory {
  readonly capacity: number;
  readonly heads: Buffer;
  protected readonly header: Int32Array;
  protected readonly cells: Int32Array;
  protected readonly ids: Buffer;

  constructor(memory: DirectoryMemory) {
    this.header = new Int32Array(memory.slots, 0, DIRECTORY_HEADER_BYTES / 4);
    this.cells = new Int32Array(memory.slots, DIRECTORY_HEADER_BYTES);
    this.ids = Buffer.from(memory.slots, DIRECTORY_HEADER_BYTES);
    this.heads = Buffer.from(memory.heads);
    this.capacity = this.cells.length / SLOT_CELLS;
  }

  // ── read on any thread ──

  tag(slot: number): number {
    return Atomics.load(this.cells, slot * SLOT_CELLS + SLOT_TAG_CELL);
  }

  /** Whether `tag`, taken while the connection was open, still stands for an open connection. */
  isOpen(slot: number, tag: number): boolean {
    return Atomics.load(this.cells, slot * SLOT_CELLS + SLOT_TAG_CELL) === tag;
  }

  /** Whether the slot still belongs to that connection, open or closed. */
  sameAs(slot: number, tag: number): boolean {
    return (Atomics.load(this.cells, slot * SLOT_CELLS + SLOT_TAG_CELL) | 1) === tag;
  }

  lane(slot: number): number {
    return this.cells[slot * SLOT_CELLS + SLOT_LANE_CELL] as number;
  }

  namespace(slot: number): number {
    return this.cells[slot * SLOT_CELLS + SLOT_NAMESPACE_CELL] as number;
  }

  buffered(slot: number): number {
    return Atomics.load(this.cells, slot * SLOT_CELLS + SLOT_BUFFERED_CELL);
  }

  settled(slot: number): number {
    return Atomics.load(this.cells, slot * SLOT_CELLS + SLOT_SETTLED_CELL);
  }

  /** The request head, as head.ts wrote it. */
  headText(slot: number): string {
    const base = slot * SLOT_CELLS;
    const offset = this.cells[base + SLOT_HEAD_OFFSET_CELL] as number;
    return this.heads.toString('utf8', offset, offset + (this.cells[base + SLOT_HEAD_LENGTH_CELL] as number));
  }

  /** A copy of the serialized context, or undefined where there is none. */
  contextBytes(slot: number): Uint8Array | undefined {
    const base = slot * SLOT_CELLS;
    const length = this.cells[base + SLOT_CONTEXT_LENGTH_CELL] as number;
    if (length === 0) return undefined;
    const offset = this.cells[base + SLOT_CONTEXT_OFFSET_CELL] as number;
    return new Uint8Array(this.heads.subarray(offset, offset + length));
  }

  /** The connection's UUID, version 4, as text. */
  id(slot: number): string {
    const at = slot * SLOT_BYTES + SLOT_ID_CELL * 4;
    const hex = this.ids.toString('hex', at, at + 16);
    const variant = '89ab'.charAt(Number.parseInt(hex.charAt(16), 16) & 3);
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20)}`;
  }

  /** The name of the connection's session in hexadecimal, or undefined where it has none. */
  session(slot: number): string | undefined {
    const at = slot * SLOT_BYTES + SLOT_SESSION_CELL * 4;
    const name = this.ids.toString('hex', at, at + 16);
    return name === NO_SESSION ? undefined : name;
  }

  get openCount(): number {
    return Atomics.load(this.header, DIRECTORY_OPEN_CELL);
  }

  /** No slot at or above it was ever used. */
  get highWater(): number {
    return Atomics.load(this.header, DIRECTORY_HIGH_WATER_CELL);
  }

  // ── written by the owning lane ──

  settle(slot: number, bytes: number): void {
    const cell = slot * SLOT_CELLS + SLOT_SETTLED_CELL;
    this.cells[cell] = ((this.cells[cell] as number) + bytes) | 0;
  }

  // ── on any lane ──

  /**
   * Where the mutex of the connection in that slot stands. It is the slot's: who has got it has to look whether the
   * connection is still the same, and may have to wait for somebody who has not looked yet.
   */
  lockCell(slot: number): { cells: Int32Array; index: number } {
    return { cells: this.cells, index: slot * SLOT_CELLS + SLOT_LOCK_CELL };
  }

  /**
   * A hook's promise has not settled: what a lane leaves behind when it ends before.
   * @param type of the record that the hook is for; 0 when none runs
   */
  setRunning(slot: number, type: number): void {
    Atomics.store(this.cells, slot * SLOT_CELLS + SLOT_RUNNING_CELL, type);
  }

  /** Type of the record whose hook has not settled, or 0. */
  running(slot: number): number {
    return Atomics.load(this.cells, slot * SLOT_CELLS + SLOT_RUNNING_CELL);
  }
}

/** What main writes when a connection opens. */
export interface SlotEntry {
  lane: number;
  namespace: number;
  headOffset: number;
  headLength: number;
  contextOffset: number;
  contextLength: number;
  /** 16 bytes, or undefined for none. */
  session: Uint8Array | undefined;
}

/** The main thread's side: gives slots out and takes them back. */
export class DirectoryWriter extends Directory {
  private readonly freeSlots: number[] = [];
  private nextSlot = 0;
  private open = 0;

  get full(): boolean {
    return this.freeSlots.length === 0 && this.nextSlot === this.capacity;
  }

  /** @returns a slot that nobody uses, or undefined when all are in use */
  take(): number | undefined {
    const again = this.freeSlots.pop();
    if (again !== undefined) return again;
    if (this.nextSlot === this.capacity) return undefined;
    const slot = this.nextSlot++;
    Atomics.store(this.header, DIRECTORY_HIGH_WATER_CELL, this.nextSlot);
    return slot;
  }

  /** Where the slot's head and context stand, to be freed. */
  entry(slot: number): Pick<SlotEntry, 'headOffset' | 'headLength' | 'contextOffset' | 'contextLength'> {
    const base = slot * SLOT_CELLS;
    return {
      headOffset: this.cells[base + SLOT_HEAD_OFFSET_CELL] as number,
      headLength: this.cells[base + SLOT_HEAD_LENGTH_CELL] as number,
      contextOffset: this.cells[base + SLOT_CONTEXT_OFFSET_CELL] as number,
      contextLength: this.cells[base + SLOT_CONTEXT_LENGTH_CELL] as number,
    };
  }

  /** Fills a taken slot and makes it visible. @returns the connection's tag */
  fill(slot: number, entry: SlotEntry, randomBytes: Buffer, randomAt: number): number {
    const base = slot * SLOT_CELLS;
    const { cells } = this;
    cells[base + SLOT_LANE_CELL] = entry.lane;
    cells[base + SLOT_NAMESPACE_CELL] = entry.namespace;
    cells[base + SLOT_BUFFERED_CELL] = 0;
    cells[base + SLOT_HEAD_OFFSET_CELL] = entry.headOffset;
    cells[base + SLOT_HEAD_LENGTH_CELL] = entry.headLength;
    cells[base + SLOT_CONTEXT_OFFSET_CELL] = entry.contextOffset;
    cells[base + SLOT_CONTEXT_LENGTH_CELL] = entry.contextLength;
    cells[base + SLOT_SETTLED_CELL] = 0;
    cells[base + SLOT_RUNNING_CELL] = 0;
    const sessionAt = slot * SLOT_BYTES + SLOT_SESSION_CELL * 4;
    if (entry.session === undefined) this.ids.fill(0, sessionAt, sessionAt + 16);
    else this.ids.set(entry.session, sessionAt);
    randomBytes.copy(this.ids, slot * SLOT_BYTES + SLOT_ID_CELL * 4, randomAt, randomAt + 16);
    const tag = (((cells[base + SLOT_TAG_CELL] as number) | 1) + 2) | 1;
    Atomics.store(cells, base + SLOT_TAG_CELL, tag);
    Atomics.store(this.header, DIRECTORY_OPEN_CELL, ++this.open);
    return tag;
  }

  setBuffered(slot: number, bytes: number): void {
    Atomics.store(this.cells, slot * SLOT_CELLS + SLOT_BUFFERED_CELL, bytes);
  }

  /** The connection goes from a lane that has ended to another: nothing of it is under way. */
  move(slot: number, lane: number): void {
    const base = slot * SLOT_CELLS;
    this.cells[base + SLOT_LANE_CELL] = lane;
    this.cells[base + SLOT_SETTLED_CELL] = 0;
    this.setRunning(slot, 0);
  }

  /** The connection is closed; its slot stays readable. */
  close(slot: number, tag: number): void {
    Atomics.store(this.cells, slot * SLOT_CELLS + SLOT_TAG_CELL, tag & ~1);
    this.setBuffered(slot, 0);
    Atomics.store(this.header, DIRECTORY_OPEN_CELL, --this.open);
  }

  /** Nobody needs the closed connection any more. */
  release(slot: number): void {
    const cell = slot * SLOT_CELLS + SLOT_TAG_CELL;
    Atomics.store(this.cells, cell, (this.cells[cell] as number) + 2);
    this.freeSlots.push(slot);
  }
}
