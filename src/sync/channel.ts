/**
 * Channel: a bounded queue of values between any threads.
 *
 *   cell 0          16     32               48     64                80               96
 *   ┌───────────────┬──────┬────────────────┬──────┬─────────────────┬────────────────┬────────────────────────┐
 *   │ SEND: lock of │ TAIL │ RECEIVE: lock  │ HEAD │ value: WANTED   │ room: WANTED   │ slots, a power of two, │
 *   │ the senders   │      │ of the         │      │        SELECTED │       SELECTED │ of which at most       │
 *   │ SEEN_HEAD     │      │ receivers      │      │        EVENT    │       EVENT    │ `capacity` are full    │
 *   │               │      │ SEEN_TAIL      │      │                 │                │                        │
 *   └───────────────┴──────┴────────────────┴──────┴─────────────────┴────────────────┴────────────────────────┘
 *     of one side     both   of one side      both   each on cache lines of its own
 *
 *   TAIL   values sent × 2, + 1 when closed        HEAD   values received        both counted modulo 2³⁰
 *   SEEN_… what the other side had when it was looked at last: read again only when that no longer does (Lamport's queue
 *          would have every value cost a cache line's way between the cores)
 *   slot   length << 2 | form (values.ts), then the bytes
 *
 * Two locks, as in Michael and Scott, "Simple, Fast, and Practical Non-Blocking and Blocking Concurrent Queue Algorithms"
 * (1996): senders and receivers do not get in each other's way. One store of TAIL sends, one store of HEAD receives;
 * whoever dies before it has done nothing, and the next one has the same slot, so the dead leave no hole. Being closed
 * stands in the same cell as TAIL: a value is either sent before the close or not at all.
 *
 * Only who has the lock waits for room or for a value, the others wait for the lock, in its order:
 *
 *   waiting receiver   remembers the EVENT, WANTED ← 1, then looks at TAIL, then waits for another EVENT
 *   sender             TAIL, then looks at WANTED; 1: ← 0, EVENT + 1, wakes it
 *
 * and the same with room and HEAD. A close raises both EVENTs, for it changes no HEAD. A `select` waits for several
 * channels at once and takes no lock for that: it sets SELECTED and waits for the one SELECT cell of the arena.
 */
import { arena, SELECT_CELL } from './arena.js';
import { copyIn, copyOut } from './copies.js';
import { ChannelClosedError, ValueError } from './errors.js';
import { lockSteps, NOT_TAKEN, release, take } from './lock.js';
import { FIRST_CELL, HEADER_CELLS, Primitive, SECOND_CELL } from './primitive.js';
import { decode, type Encoded, encode } from './values.js';
import { block, checkMayBlock, promise, type Steps, type WaitOptions } from './waiting.js';

const SEND = 0;
const SEEN_HEAD = 1;
const TAIL = 16;
const RECEIVE = 32;
const SEEN_TAIL = 33;
const HEAD = 48;
/** Those who wait for a value, and those who wait for room. */
const VALUE = 64;
const ROOM = 80;
const WANTED = 0;
const SELECTED = 1;
const EVENT = 2;
const SLOTS = 96;

/** HEAD and TAIL count modulo this, so that TAIL with its closed bit is a positive 32-bit number. */
const POSITIONS = 1 << 30;
const CLOSED = 1;

/** Looks for a value or for room before going to sleep: some ten microseconds, less than sleeping and waking cost. */
const SPINS = 4000;

export function slotCells(maxBytes: number): number {
  return 2 + ((maxBytes + 7) >> 3) * 2;
}

function slotCount(capacity: number): number {
  return 2 ** Math.ceil(Math.log2(capacity));
}

export function channelCells(capacity: number, maxBytes: number): number {
  return SLOTS + slotCount(capacity) * slotCells(maxBytes);
}

/** A try that found nothing to receive, or no room. Not to be mistaken for the end. */
export const NOTHING: unique symbol = Symbol('nothing');

/**
 * Like a Go channel with a buffer. Sends bytes (a Uint8Array), and everything else that can be cloned.
 *
 * @example
 * const jobs = channel<Job>('jobs', { capacity: 100, maxBytes: 4096 });
 * await jobs.sendAsync({ id: 1 });                  // anywhere
 * for (const job of jobs) work(job);                // on a worker, until it is closed
 */
export class Channel<T = unknown> extends Primitive<'channel'> implements AsyncIterable<T>, Iterable<T> {
  /** Values that fit in. */
  readonly capacity: number;
  /** Bytes that the largest value may have; as a structured clone, where it is no bytes. */
  readonly maxBytes: number;
  private readonly base: number;
  private readonly slots: number;
  private readonly slotCells: number;
  private readonly mask: number;
  private readonly bytes: Uint8Array;

  constructor(cells: Int32Array, at: number) {
    super('channel', cells, at);
    this.capacity = cells[at + FIRST_CELL] as number;
    this.maxBytes = cells[at + SECOND_CELL] as number;
    this.base = at + HEADER_CELLS;
    this.slots = this.base + SLOTS;
    this.slotCells = slotCells(this.maxBytes);
    this.mask = slotCount(this.capacity) - 1;
    this.bytes = new Uint8Array(cells.buffer);
  }

  // ── sending ──

  /**
   * Sends, and blocks the thread while the channel is full. The value is copied before it returns.
   *
   * Thread: workers.
   * @throws {ChannelClosedError} `ERR_THREADGATE_SYNC_CHANNEL_CLOSED`
   * @throws {ValueError} `ERR_THREADGATE_SYNC_VALUE` when it is larger than `maxBytes` or cannot be cloned
   * @throws {MainThreadError} `ERR_THREADGATE_SYNC_MAIN_THREAD`
   * @throws {TimeoutError} `ERR_THREADGATE_SYNC_TIMEOUT`, or the signal's reason
   */
  send(value: T, options?: WaitOptions): void {
    checkMayBlock('send');
    const encoded = this.encode(value);
    if (!this.offer(encoded)) block(this.sendSteps(encoded, true), options);
  }

  /** Sends. The promise keeps the thread alive until it settles. Thread: any. Rejects as `send` throws. */
  async sendAsync(value: T, options?: WaitOptions): Promise<void> {
    const encoded = this.encode(value);
    if (!this.offer(encoded)) await promise(this.sendSteps(encoded, false), options);
  }

  /**
   * Sends if there is room and no other sender waits for some. Never waits. Thread: any.
   *
   * @returns whether it was sent
   * @throws as `send`
   */
  trySend(value: T): boolean {
    return this.offer(this.encode(value));
  }

  private encode(value: T): Encoded {
    const encoded = encode(value);
    const { length } = encoded.bytes;
    if (length > this.maxBytes) {
      throw new ValueError(`the value has ${length} bytes, and the channel takes at most ${this.maxBytes}`);
    }
    return encoded;
  }

  private offer(value: Encoded): boolean {
    const lock = this.base + SEND;
    if (take(this.cells, lock) === NOT_TAKEN) return false;
    try {
      return this.put(value);
    } finally {
      release(this.cells, lock);
    }
  }

  /** Under SEND. @returns false when the channel is full */
  private put({ form, bytes }: Encoded): boolean {
    const { cells, base } = this;
    const tail = Atomics.load(cells, base + TAIL);
    if ((tail & CLOSED) !== 0) throw new ChannelClosedError();
    const position = tail >>> 1;
    if (distance(cells[base + SEEN_HEAD] as number, position) >= this.capacity) {
      const head = Atomics.load(cells, base + HEAD);
      cells[base + SEEN_HEAD] = head;
      if (distance(head, position) >= this.capacity) return false;
    }
    const slot = this.slots + (position & this.mask) * this.slotCells;
    cells[slot] = (bytes.length << 2) | form;
    copyIn(bytes, cells, this.bytes, (slot + 2) * 4);
    // Fails only if the channel was closed just now.
    const next = ((position + 1) & (POSITIONS - 1)) << 1;
    if (Atomics.compareExchange(cells, base + TAIL, tail, next) !== tail) throw new ChannelClosedError();
    this.announce(VALUE);
    return true;
  }

  private *sendSteps(value: Encoded, blocking: boolean): Steps<void> {
    const { cells, base } = this;
    yield* lockSteps(cells, base + SEND, blocking);
    try {
      for (;;) {
        const head = Atomics.load(cells, base + HEAD);
        if (this.put(value)) return;
        if (this.spinWhile(HEAD, head)) continue;
        const event = Atomics.load(cells, base + ROOM + EVENT);
        Atomics.store(cells, base + ROOM + WANTED, 1);
        if (this.put(value)) return;
        yield { cells, index: base + ROOM + EVENT, value: event };
      }
    } finally {
      release(cells, base + SEND);
    }
  }

  // ── receiving ──

  /**
   * Receives, and blocks the thread while the channel is empty.
   *
   * Thread: workers.
   * @returns the value, or undefined when the channel is closed and everything was received
   * @throws {MainThreadError} `ERR_THREADGATE_SYNC_MAIN_THREAD`
   * @throws {TimeoutError} `ERR_THREADGATE_SYNC_TIMEOUT`, or the signal's reason
   */
  receive(options?: WaitOptions): T | undefined {
    checkMayBlock('receive');
    const got = this.poll();
    return got === NOTHING ? block(this.receiveSteps(true), options) : got;
  }

  /** Receives. The promise keeps the thread alive until it settles. Thread: any. As `receive` otherwise. */
  async receiveAsync(options?: WaitOptions): Promise<T | undefined> {
    const got = this.poll();
    return got === NOTHING ? await promise(this.receiveSteps(false), options) : got;
  }

  /**
   * Receives if there is a value and no other receiver waits for one. Never waits. Thread: any.
   *
   * @returns undefined when there is none (`isClosed` tells whether there may be one later)
   */
  tryReceive(): T | undefined {
    const got = this.poll();
    return got === NOTHING ? undefined : got;
  }

  /** @returns undefined at the end, NOTHING when there is nothing now */
  poll(): T | undefined | typeof NOTHING {
    const lock = this.base + RECEIVE;
    if (take(this.cells, lock) === NOT_TAKEN) return NOTHING;
    let got: Encoded | undefined | typeof NOTHING;
    try {
      got = this.get();
    } finally {
      release(this.cells, lock);
    }
    return this.decoded(got);
  }

  private decoded(got: Encoded | undefined | typeof NOTHING): T | undefined | typeof NOTHING {
    return got === NOTHING || got === undefined ? got : (decode(got.form, got.bytes) as T);
  }

  /** Under RECEIVE. @returns undefined at the end */
  private get(): Encoded | undefined | typeof NOTHING {
    const { cells, base } = this;
    const head = Atomics.load(cells, base + HEAD);
    if (head === cells[base + SEEN_TAIL]) {
      const tail = Atomics.load(cells, base + TAIL);
      cells[base + SEEN_TAIL] = tail >>> 1;
      if (head === tail >>> 1) return (tail & CLOSED) === 0 ? NOTHING : undefined;
    }
    const slot = this.slots + (head & this.mask) * this.slotCells;
    const word = cells[slot] as number;
    const bytes = copyOut(cells, this.bytes, (slot + 2) * 4, word >>> 2);
    Atomics.store(cells, base + HEAD, (head + 1) & (POSITIONS - 1));
    this.announce(ROOM);
    return { form: word & 3, bytes };
  }

  private *receiveSteps(blocking: boolean): Steps<T | undefined> {
    const { cells, base } = this;
    yield* lockSteps(cells, base + RECEIVE, blocking);
    let got: Encoded | undefined | typeof NOTHING;
    try {
      for (;;) {
        const tail = Atomics.load(cells, base + TAIL);
        got = this.get();
        if (got !== NOTHING) break;
        if (this.spinWhile(TAIL, tail)) continue;
        const event = Atomics.load(cells, base + VALUE + EVENT);
        Atomics.store(cells, base + VALUE + WANTED, 1);
        got = this.get();
        if (got !== NOTHING) break;
        yield { cells, index: base + VALUE + EVENT, value: event };
      }
    } finally {
      release(cells, base + RECEIVE);
    }
    return this.decoded(got) as T | undefined;
  }

  /** Receives until the channel is closed and empty, and blocks the thread in between. Thread: workers. */
  *[Symbol.iterator](): Iterator<T> {
    for (let value = this.receive(); value !== undefined; value = this.receive()) yield value;
  }

  /** Receives until the channel is closed and empty. Thread: any. */
  async *[Symbol.asyncIterator](): AsyncIterator<T> {
    for (let value = await this.receiveAsync(); value !== undefined; value = await this.receiveAsync()) {
      yield value;
    }
  }

  // ── both ──

  /** Wakes who waits for a value or for room, which there is now. */
  private announce(side: number): void {
    const { cells, base } = this;
    if (Atomics.load(cells, base + side + WANTED) !== 0) this.wake(base + side);
    if (Atomics.load(cells, base + side + SELECTED) !== 0) this.wakeSelects(base + side);
  }

  private wake(side: number): void {
    Atomics.store(this.cells, side + WANTED, 0);
    Atomics.add(this.cells, side + EVENT, 1);
    Atomics.notify(this.cells, side + EVENT);
  }

  private wakeSelects(side: number): void {
    Atomics.store(this.cells, side + SELECTED, 0);
    Atomics.add(arena(), SELECT_CELL, 1);
    Atomics.notify(arena(), SELECT_CELL);
  }

  /** Looks at a cell for a moment. @returns true when it has changed */
  private spinWhile(cell: number, value: number): boolean {
    for (let i = 0; i < SPINS; i++) if (Atomics.load(this.cells, this.base + cell) !== value) return true;
    return false;
  }

  // ── for select ──

  /** A `select` is about to wait: the next value, or the end, wakes it. */
  selectValue(): void {
    Atomics.store(this.cells, this.base + VALUE + SELECTED, 1);
  }

  /** A `select` is about to wait: the next room, or the end, wakes it. */
  selectRoom(): void {
    Atomics.store(this.cells, this.base + ROOM + SELECTED, 1);
  }

  /** Receives what is there, even if that needs a wait for the lock. @returns as `poll` */
  *pollSteps(blocking: boolean): Steps<T | undefined | typeof NOTHING> {
    const { cells, base } = this;
    if (this.length === 0 && !this.isClosed) return NOTHING;
    yield* lockSteps(cells, base + RECEIVE, blocking);
    let got: Encoded | undefined | typeof NOTHING;
    try {
      got = this.get();
    } finally {
      release(cells, base + RECEIVE);
    }
    return this.decoded(got);
  }

  /** Sends where there is room, even if that needs a wait for the lock. @returns whether it was sent */
  *offerSteps(value: T, blocking: boolean): Steps<boolean> {
    const { cells, base } = this;
    if (this.length >= this.capacity && !this.isClosed) return false;
    const encoded = this.encode(value);
    yield* lockSteps(cells, base + SEND, blocking);
    try {
      return this.put(encoded);
    } finally {
      release(cells, base + SEND);
    }
  }

  // ── the channel itself ──

  /** Values that were sent and not received. Thread: any. */
  get length(): number {
    const tail = Atomics.load(this.cells, this.base + TAIL);
    return distance(Atomics.load(this.cells, this.base + HEAD), tail >>> 1);
  }

  /** Whether nothing can be sent any more. What was sent before can still be received. Thread: any. */
  get isClosed(): boolean {
    return (Atomics.load(this.cells, this.base + TAIL) & CLOSED) !== 0;
  }

  /**
   * Closes the channel: nothing more can be sent, and receivers come to the end after what is there. Closing it again does
   * nothing. Thread: any; never waits.
   */
  close(): void {
    const { cells, base } = this;
    Atomics.or(cells, base + TAIL, CLOSED);
    for (const side of [base + VALUE, base + ROOM]) {
      this.wake(side);
      this.wakeSelects(side);
    }
  }
}

/** Values between a head and a tail. */
function distance(head: number, tail: number): number {
  return (tail - head) & (POSITIONS - 1);
}
