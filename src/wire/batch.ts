/**
 * Batches of records in shared memory, from one lane to the main thread.
 *
 * Contract: a batch belongs to the lane while its state is TAKEN and it has not been announced; from the announcement on
 * it belongs to main, until main sets it FREE. COMMIT is stored when a hook is through, and says in one store what the
 * hook has sent and that it is done, so that main can deliver what a lane had finished when it died, and knows what that
 * was. What one hook sends without a break stands in one batch, up to ATOMIC_BYTES.
 *
 * A lane never waits for room: with no free batch it makes one more. What it has not needed for a while is dropped again.
 */
import {
  BATCH_COMMIT_CELL,
  BATCH_FREE,
  BATCH_HEADER_BYTES,
  BATCH_LARGE,
  BATCH_LARGE_CELL,
  BATCH_SEQUENCE_CELL,
  BATCH_STATE_CELL,
  BATCH_TAKEN,
  RECORD_HEADER_BYTES,
} from './layout.js';
import { aligned } from './ring.js';

/** Bytes for records in an ordinary batch. A record that is larger gets a batch of its own. */
export const BATCH_BYTES = 256 * 1024;

/** What one hook sends beyond this is handed over before the hook is through, so that it need not all be held. */
const ATOMIC_BYTES = 4 * 1024 * 1024;

/** Free batches that a lane keeps for later; what is free beyond drops off one by one, at every so many takes. */
const KEEP = 4;
const DROP_EVERY = 32;

/** What a BatchWriter tells the main thread, in this order. */
export interface BatchSink {
  /** A batch was made: main will need its memory. */
  added(index: number, memory: SharedArrayBuffer): void;
  /** The batch may be read up to what it is filled. */
  announced(index: number): void;
  /** The batch will not be used again. */
  dropped(index: number): void;
}

/** One batch as the lane sees it. */
class OwnBatch {
  readonly cells: Int32Array;
  readonly words: Int32Array;
  readonly bytes: Buffer;

  constructor(
    readonly index: number,
    capacity: number,
    readonly memory = new SharedArrayBuffer(BATCH_HEADER_BYTES + capacity),
  ) {
    this.cells = new Int32Array(memory, 0, BATCH_HEADER_BYTES / 4);
    this.words = new Int32Array(memory, BATCH_HEADER_BYTES);
    this.bytes = Buffer.from(memory, BATCH_HEADER_BYTES, capacity);
  }

  get free(): boolean {
    return Atomics.load(this.cells, BATCH_STATE_CELL) === BATCH_FREE;
  }
}

/** The lane's side. */
export class BatchWriter {
  /** The memory of the record begun last; its payload belongs at `offset`. */
  bytes: Buffer = Buffer.alloc(0);
  offset = 0;

  /** The how-manieth batch was announced last. */
  announcedSequence = 0;

  private words: Int32Array = new Int32Array(0);
  private current: OwnBatch | undefined;
  private readonly pool: OwnBatch[] = [];
  private nextIndex = 0;
  private sequence = 0;
  private capacity = 0;
  /** Whether the current batch is larger than ordinary, and so is committed only once. */
  private large = false;
  /** What was written in batches from the first to the last of these stands in the last. */
  private carriedFrom = 0;
  private carriedTo = 0;
  private surplusTakes = 0;
  /** Where the record begun last begins, and where the next one will. */
  private start = 0;
  private filled = 0;
  private committed = 0;
  /** The done mark committed last; see doneMark in ring.ts. */
  private mark = 0;

  constructor(private readonly sink: BatchSink) {}

  /** The how-manieth batch is being written. What was sent in an earlier one has been announced. */
  get currentSequence(): number {
    return this.sequence;
  }

  /** Whether main has handed back the batch of that sequence. */
  delivered(sequence: number): boolean {
    const stands = this.standsIn(sequence);
    for (const batch of this.pool) {
      if (batch.cells[BATCH_SEQUENCE_CELL] === stands && !batch.free) return false;
    }
    return true;
  }

  private standsIn(sequence: number): number {
    return sequence >= this.carriedFrom && sequence < this.carriedTo ? this.carriedTo : sequence;
  }

  /** Resolves once main has handed back the batch of that sequence. It must have been announced. */
  async whenDelivered(sequence: number): Promise<void> {
    const stands = this.standsIn(sequence);
    const batch = this.pool.find(({ cells }) => cells[BATCH_SEQUENCE_CELL] === stands);
    if (batch === undefined) return;
    const wait = Atomics.waitAsync(batch.cells, BATCH_STATE_CELL, BATCH_TAKEN);
    if (wait.async) await wait.value;
  }

  /** Bytes that main has not been told of. */
  get pending(): number {
    return this.filled;
  }

  /**
   * Begins a record with room for at most `payloadLimit` bytes. The caller writes them to `bytes` at `offset` and then
   * calls `end` with their number.
   */
  begin(type: number, flags: number, aux: number, target: number, tag: number, payloadLimit: number): void {
    if (this.filled + RECORD_HEADER_BYTES + payloadLimit > this.capacity) {
      this.change(aligned(RECORD_HEADER_BYTES + payloadLimit));
    }
    this.start = this.filled;
    const word = this.start >> 2;
    this.words[word + 1] = type | (flags << 8) | (aux << 16);
    this.words[word + 2] = target;
    this.words[word + 3] = tag;
    this.offset = this.start + RECORD_HEADER_BYTES;
  }

  end(payloadLength: number): void {
    const length = RECORD_HEADER_BYTES + payloadLength;
    this.words[this.start >> 2] = length;
    this.filled = this.start + aligned(length);
  }

  /** Makes every record ended so far survive this lane, all at once. */
  commit(): void {
    if (this.filled !== this.committed) this.store();
  }

  /** The same, and with it that the lane is done with its ring up to this mark. */
  commitDone(mark: number): void {
    if (this.current === undefined) this.change(0);
    this.mark = mark;
    this.store();
  }

  private store(): void {
    const { cells } = this.current as OwnBatch;
    this.committed = this.filled;
    if (!this.large) {
      Atomics.store(cells, BATCH_COMMIT_CELL, (this.mark << 16) | (this.filled >> 3));
      return;
    }
    cells[BATCH_LARGE_CELL] = this.filled;
    Atomics.store(cells, BATCH_COMMIT_CELL, (this.mark << 16) | BATCH_LARGE);
    // A second commit could not change both cells at once: the next record goes elsewhere.
    this.capacity = 0;
  }

  /** Hands what was written to the main thread. */
  announce(): void {
    if (this.current === undefined || this.filled === 0) return;
    this.commit();
    this.announcedSequence = this.sequence;
    this.sink.announced(this.current.index);
    this.leave();
  }

  private leave(): void {
    this.current = undefined;
    this.capacity = 0;
    this.filled = 0;
    this.committed = 0;
  }

  /** Goes on in another batch with room for so many bytes, and takes along what the hook at hand has written. */
  private change(needed: number): void {
    const { bytes, committed } = this;
    const moving = this.filled - committed;
    if (moving > ATOMIC_BYTES || moving === 0) {
      this.announce();
      this.take(needed);
      return;
    }
    if (this.carriedTo !== this.sequence) this.carriedFrom = this.sequence;
    this.filled = committed;
    if (committed > 0) this.announce();
    else this.giveBack();
    this.take(moving + needed > BATCH_BYTES ? 2 * (moving + needed) : moving + needed);
    this.carriedTo = this.sequence;
    bytes.copy(this.bytes, 0, committed, committed + moving);
    this.filled = moving;
  }

  /** Nothing in the batch at hand was ever committed. */
  private giveBack(): void {
    const { cells } = this.current as OwnBatch;
    Atomics.store(cells, BATCH_STATE_CELL, BATCH_FREE);
    this.leave();
  }

  private take(needed: number): void {
    const free = this.takeFree();
    const batch = needed > BATCH_BYTES ? this.make(needed) : (free ?? this.make(BATCH_BYTES));
    this.sequence = (this.sequence + 1) | 0;
    // In this order: main takes the mark from the batch of the last sequence, and the records from one that is taken.
    Atomics.store(batch.cells, BATCH_COMMIT_CELL, this.mark << 16);
    Atomics.store(batch.cells, BATCH_SEQUENCE_CELL, this.sequence);
    Atomics.store(batch.cells, BATCH_STATE_CELL, BATCH_TAKEN);
    this.current = batch;
    this.words = batch.words;
    this.bytes = batch.bytes;
    this.capacity = batch.bytes.length;
    this.large = this.capacity > BATCH_BYTES;
    this.filled = 0;
    this.committed = 0;
  }

  private takeFree(): OwnBatch | undefined {
    let found: OwnBatch | undefined;
    let free = 0;
    for (let i = this.pool.length - 1; i >= 0; i--) {
      const batch = this.pool[i] as OwnBatch;
      if (!batch.free) continue;
      if (batch.bytes.length > BATCH_BYTES) {
        this.drop(i);
        continue;
      }
      free++;
      found = batch;
    }
    // Not all at once: memory that comes and goes in bursts would be made and cleared anew for each.
    if (free > KEEP && ++this.surplusTakes % DROP_EVERY === 0)
      this.drop(this.pool.findLastIndex(({ free: is }) => is));
    return found;
  }

  private drop(at: number): void {
    const [batch] = this.pool.splice(at, 1);
    if (batch !== undefined) this.sink.dropped(batch.index);
  }

  private make(capacity: number): OwnBatch {
    const batch = new OwnBatch(this.nextIndex++, capacity);
    this.pool.push(batch);
    this.sink.added(batch.index, batch.memory);
    return batch;
  }

  /** Batches that exist now, for tests and statistics. */
  get poolSize(): number {
    return this.pool.length;
  }
}

/** One batch as main sees it; steps through its records. Fields are those of the record stepped to last. */
export class BatchReader {
  type = 0;
  flags = 0;
  aux = 0;
  target = 0;
  tag = 0;
  /** Where the payload stands in `memory`, and its length in bytes. */
  offset = 0;
  length = 0;
  readonly bytes: Buffer;

  private readonly cells: Int32Array;
  private readonly words: Int32Array;
  private position = 0;
  private limit = 0;

  constructor(
    readonly index: number,
    readonly memory: SharedArrayBuffer,
  ) {
    this.cells = new Int32Array(memory, 0, BATCH_HEADER_BYTES / 4);
    this.words = new Int32Array(memory, BATCH_HEADER_BYTES);
    this.bytes = Buffer.from(memory);
  }

  /** Begins to read, up to what the batch is filled now. */
  open(): void {
    this.position = 0;
    const units = Atomics.load(this.cells, BATCH_COMMIT_CELL) & 0xffff;
    this.limit = units === BATCH_LARGE ? (this.cells[BATCH_LARGE_CELL] as number) : units << 3;
  }

  next(): boolean {
    if (this.position >= this.limit) return false;
    const word = this.position >> 2;
    const length = this.words[word] as number;
    const kind = this.words[word + 1] as number;
    this.type = kind & 0xff;
    this.flags = (kind >>> 8) & 0xff;
    this.aux = kind >>> 16;
    this.target = this.words[word + 2] as number;
    this.tag = this.words[word + 3] as number;
    this.offset = BATCH_HEADER_BYTES + this.position + RECORD_HEADER_BYTES;
    this.length = length - RECORD_HEADER_BYTES;
    this.position += aligned(length);
    return true;
  }

  /** Hands the batch back to its lane. Everything read from it must have been used or copied. */
  free(): void {
    Atomics.store(this.cells, BATCH_STATE_CELL, BATCH_FREE);
    // Whoever waits for it does so after having seen it TAKEN: see BatchWriter.whenDelivered.
    Atomics.notify(this.cells, BATCH_STATE_CELL);
  }

  /** Whether the lane took it and main has not handed it back. */
  get taken(): boolean {
    return Atomics.load(this.cells, BATCH_STATE_CELL) === BATCH_TAKEN;
  }

  get sequence(): number {
    return this.cells[BATCH_SEQUENCE_CELL] as number;
  }

  /** See doneMark in ring.ts. */
  get doneMark(): number {
    return Atomics.load(this.cells, BATCH_COMMIT_CELL) >>> 16;
  }
}
