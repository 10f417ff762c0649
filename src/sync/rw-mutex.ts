/**
 * RWMutex: many readers or one writer.
 *
 *   cell 0        1         2        3        16         32                          32 + 256
 *   ┌─────────────┬─────────┬────────┬────────┬──────────┬───────────────────────────┐
 *   │ WRITE: lock │ WRITER  │ PHASE  │ DEATH  │ DRAINED  │ readers: a cell per hold  │
 *   └─────────────┴─────────┴────────┴────────┴──────────┴───────────────────────────┘
 *     of writers    owner     event    owner    event
 *
 *   a reader's cell:   0 free   ·   1 owner: wants to read   ·   2 owner HELD: reads
 *   WRITER:            0 nobody ·   1 owner DRAINING: waits for the readers to leave  ·   2 owner: writes
 *
 * Readers leave no common count behind but a cell each, so that the holds of a dead thread can be told from those of the
 * living, and readers on different threads write different cache lines (as in a "big-reader" lock).
 *
 *   reader  cell ← HELD, then look at WRITER; 0: reads. Else cell ← wants, and waits for the PHASE to change.
 *   writer  takes WRITE, then WRITER ← DRAINING, then looks at the cells until none is HELD, then WRITER ← owner.
 *
 * Both store before they look (Dekker), so at least one of them sees the other. A writer that unlocks turns every cell
 * that wants into one that reads, before anybody else can write: a stream of writers does not shut readers out, and a
 * waiting writer holds back those readers that come after it.
 *
 * A thread that dies while it reads just leaves: its cell is freed by the next writer. When it dies while it writes, its
 * name stays in WRITER, and in DEATH from the moment that another writer announces itself until one writes; all who read
 * meanwhile are told.
 */
import { DeadlockError, FullError, NotOwnerError } from './errors.js';
import { checkNotHolding, runUnder, runUnderAsync } from './flow.js';
import { GIVE_BACK, Hold } from './hold.js';
import { isMine, lockSteps, NOT_TAKEN, release, take } from './lock.js';
import { HEADER_CELLS, Primitive } from './primitive.js';
import { suspect } from './suspicion.js';
import { deathOf, isAlive, OWNER_MASK, self } from './threads.js';
import { block, checkMayBlock, promise, type Steps, type WaitOptions } from './waiting.js';

const WRITE = 0;
const WRITER = 1;
const PHASE = 2;
const DEATH = 3;
const DRAINED = 16;
const READERS = 32;
/** Read holds, and waits for one, at the same time. */
export const MOST_READERS = 256;
export const RW_MUTEX_CELLS = READERS + MOST_READERS;

const HELD = 1 << 24;
const WANTS = self;
const READS = self | HELD;
const DRAINING = 1 << 24;

/** Where threads begin to look for a free cell: each on a cache line of its own, as far as there are enough. */
const FIRST_TRY = (self * 16) % MOST_READERS;

const NO_CELL = -1;
const LOCK_NAME = 'the lock';

/** The token of a hold that writes; those that read have their cell's number. */
const WRITING = -1;

/**
 * Like Go's sync.RWMutex.
 *
 * @example
 * const prices = rwMutex('prices');
 * { using hold = prices.readLock(); … }              // on a worker
 * { using hold = await prices.lockAsync(); … }       // anywhere
 */
export class RWMutex extends Primitive<'rwMutex'> {
  private readonly base: number;

  constructor(cells: Int32Array, at: number) {
    super('rwMutex', cells, at);
    this.base = at + HEADER_CELLS;
  }

  // ── writing ──

  /**
   * Locks for writing, and blocks the thread until nobody else reads or writes.
   *
   * Thread: workers.
   * @throws {MainThreadError} `ERR_THREADGATE_SYNC_MAIN_THREAD`
   * @throws {DeadlockError} `ERR_THREADGATE_SYNC_DEADLOCK` when this thread reads or writes already
   * @throws {TimeoutError} `ERR_THREADGATE_SYNC_TIMEOUT`, or the signal's reason
   */
  lock(options?: WaitOptions): Hold {
    checkMayBlock('lock');
    return this.writeHold(block(this.writeSteps(true), options));
  }

  /**
   * Locks for writing. The promise keeps the thread alive until it settles.
   *
   * Thread: any.
   * @throws {DeadlockError} `ERR_THREADGATE_SYNC_DEADLOCK` inside `runExclusiveAsync` or `runSharedAsync` of this one
   * @throws {TimeoutError} `ERR_THREADGATE_SYNC_TIMEOUT`, or the signal's reason
   */
  async lockAsync(options?: WaitOptions): Promise<Hold> {
    checkNotHolding(
      { cells: this.cells, index: this.base },
      'lockAsync() by who reads or writes already waits for itself',
    );
    return this.writeHold(await promise(this.writeSteps(false), options));
  }

  /** Locks for writing if nobody reads or writes. Never waits. Thread: any. */
  tryLock(): Hold | undefined {
    if (take(this.cells, this.base + WRITE) === NOT_TAKEN) return undefined;
    this.announce();
    if (this.isDrained(false)) return this.writeHold(this.beginWriting());
    this.withdraw();
    return undefined;
  }

  /** Runs `fn` under the lock for writing. Thread: workers. As that of Mutex. */
  runExclusive<T>(fn: (hold: Hold) => T, options?: WaitOptions): T {
    return runUnder(this.lock(options), fn, 'runExclusiveAsync');
  }

  /** Runs `fn` under the lock for writing, and awaits it. Thread: any. Rejects as `lockAsync`, or with what `fn` throws. */
  async runExclusiveAsync<T>(fn: (hold: Hold) => T | Promise<T>, options?: WaitOptions): Promise<T> {
    return await runUnderAsync({ cells: this.cells, index: this.base }, await this.lockAsync(options), fn);
  }

  private writeHold(died: number): Hold {
    return new Hold(this, WRITING, deathOf(died));
  }

  private *writeSteps(blocking: boolean): Steps<number> {
    const { cells, base } = this;
    const began = performance.now();
    yield* lockSteps(cells, base + WRITE, blocking, LOCK_NAME);
    this.announce();
    try {
      for (;;) {
        const drained = Atomics.load(cells, base + DRAINED);
        if (this.isDrained(blocking)) return this.beginWriting();
        if (!blocking && this.readsItself(NO_CELL)) suspect(began, cells, base, LOCK_NAME);
        yield { cells, index: base + DRAINED, value: drained };
      }
    } catch (failure) {
      this.withdraw();
      throw failure;
    }
  }

  /** Keeps new readers out. Under WRITE. */
  private announce(): void {
    const { cells, base } = this;
    const before = Atomics.load(cells, base + WRITER);
    if (before !== 0) {
      // A dead one's. It may have been about to let the readers in.
      if ((before & DRAINING) === 0) Atomics.store(cells, base + DEATH, before);
      this.letReadersIn();
    }
    Atomics.store(cells, base + WRITER, self | DRAINING);
  }

  /** Whether nobody reads. Under WRITE, after `announce`. */
  private isDrained(blocking: boolean): boolean {
    const { cells, base } = this;
    let drained = true;
    for (let index = base + READERS; index < base + RW_MUTEX_CELLS; index++) {
      const cell = Atomics.load(cells, index);
      if ((cell & HELD) === 0) continue;
      if (!isAlive(cell & OWNER_MASK)) {
        Atomics.compareExchange(cells, index, cell, 0);
        continue;
      }
      if (blocking && cell === READS) {
        throw new DeadlockError('this thread holds the lock for reading: unlock that first');
      }
      drained = false;
    }
    return drained;
  }

  /** @returns the thread that died while it wrote, 0 for none */
  private beginWriting(): number {
    const { cells, base } = this;
    Atomics.store(cells, base + WRITER, self);
    // Only now: if this thread dies, too, it is its own name that the next one finds.
    return Atomics.exchange(cells, base + DEATH, 0);
  }

  private withdraw(): void {
    const { cells, base } = this;
    Atomics.store(cells, base + WRITER, 0);
    this.nextPhase();
    release(cells, base + WRITE);
  }

  /** Every reader that waits now has its hold. Under WRITE. */
  private letReadersIn(): void {
    const { cells, base } = this;
    for (let index = base + READERS; index < base + RW_MUTEX_CELLS; index++) {
      const cell = Atomics.load(cells, index);
      if (cell !== 0 && (cell & HELD) === 0) Atomics.compareExchange(cells, index, cell, cell | HELD);
    }
  }

  private nextPhase(): void {
    Atomics.add(this.cells, this.base + PHASE, 1);
    Atomics.notify(this.cells, this.base + PHASE);
  }

  /**
   * Unlocks what this thread has locked for writing. Thread: the one that locked.
   *
   * @throws {NotOwnerError} `ERR_THREADGATE_SYNC_NOT_OWNER` when this thread does not write
   */
  unlock(): void {
    const { cells, base } = this;
    if (Atomics.load(cells, base + WRITER) !== self || !isMine(cells, base + WRITE)) {
      throw new NotOwnerError('this thread does not hold the lock for writing');
    }
    this.letReadersIn();
    Atomics.store(cells, base + WRITER, 0);
    this.nextPhase();
    release(cells, base + WRITE);
  }

  // ── reading ──

  /**
   * Locks for reading, and blocks the thread while somebody writes or waits to write.
   *
   * Thread: workers.
   * @throws {MainThreadError} `ERR_THREADGATE_SYNC_MAIN_THREAD`
   * @throws {DeadlockError} `ERR_THREADGATE_SYNC_DEADLOCK` when this thread writes, or reads while a writer waits for that
   * @throws {FullError} `ERR_THREADGATE_SYNC_FULL` when 256 others read or wait
   * @throws {TimeoutError} `ERR_THREADGATE_SYNC_TIMEOUT`, or the signal's reason
   */
  readLock(options?: WaitOptions): Hold {
    checkMayBlock('readLock');
    return this.enter() ?? this.readHold(block(this.readSteps(true), options));
  }

  /**
   * Locks for reading. The promise keeps the thread alive until it settles.
   *
   * Thread: any.
   * @throws {DeadlockError} `ERR_THREADGATE_SYNC_DEADLOCK` inside `runExclusiveAsync` of this one
   * @throws {FullError} `ERR_THREADGATE_SYNC_FULL` when 256 others read or wait
   * @throws {TimeoutError} `ERR_THREADGATE_SYNC_TIMEOUT`, or the signal's reason
   */
  async readLockAsync(options?: WaitOptions): Promise<Hold> {
    const entered = this.enter();
    if (entered !== undefined) return entered;
    checkNotHolding(
      { cells: this.cells, index: this.base },
      'readLockAsync() by who reads or writes already may wait for itself',
    );
    return this.readHold(await promise(this.readSteps(false), options));
  }

  /** Locks for reading if nobody writes or waits to write. Never waits. Thread: any. */
  tryReadLock(): Hold | undefined {
    return this.enter();
  }

  /** Runs `fn` under the lock for reading. Thread: workers. As that of Mutex. */
  runShared<T>(fn: (hold: Hold) => T, options?: WaitOptions): T {
    return runUnder(this.readLock(options), fn, 'runSharedAsync');
  }

  /** Runs `fn` under the lock for reading, and awaits it. Thread: any. Rejects as `readLockAsync`, or with what `fn` throws. */
  async runSharedAsync<T>(fn: (hold: Hold) => T | Promise<T>, options?: WaitOptions): Promise<T> {
    return await runUnderAsync(
      { cells: this.cells, index: this.base },
      await this.readLockAsync(options),
      fn,
    );
  }

  private readHold(index: number): Hold {
    return new Hold(this, index, deathOf(this.deadWriter()));
  }

  /** The thread that died while it wrote, if nobody wrote since; 0 for none. While this thread reads, that stays so. */
  private deadWriter(): number {
    const { cells, base } = this;
    const writer = Atomics.load(cells, base + WRITER);
    if (writer !== 0 && (writer & DRAINING) === 0 && !isAlive(writer)) return writer;
    return Atomics.load(cells, base + DEATH);
  }

  private mayRead(): boolean {
    const writer = Atomics.load(this.cells, this.base + WRITER);
    return writer === 0 || !isAlive(writer & OWNER_MASK);
  }

  /** Reads at once if nobody writes or waits to. */
  private enter(): Hold | undefined {
    if (!this.mayRead()) return undefined;
    const index = this.claim(READS);
    if (this.mayRead()) return this.readHold(index);
    this.leave(index);
    return undefined;
  }

  /** Takes a free cell, or that of a dead thread. */
  private claim(as: number): number {
    const { cells, base } = this;
    for (let i = 0; i < MOST_READERS; i++) {
      const index = base + READERS + ((FIRST_TRY + i) % MOST_READERS);
      const cell = Atomics.load(cells, index);
      if (cell !== 0 && isAlive(cell & OWNER_MASK)) continue;
      if (Atomics.compareExchange(cells, index, cell, as) === cell) return index;
    }
    throw new FullError(`${MOST_READERS} read holds at the same time, and waits for one, are the most`);
  }

  private *readSteps(blocking: boolean): Steps<number> {
    const { cells, base } = this;
    const began = performance.now();
    const index = this.claim(WANTS);
    try {
      for (;;) {
        const phase = Atomics.load(cells, base + PHASE);
        if (Atomics.load(cells, index) === READS) return index;
        if (this.mayRead()) {
          // Either this thread or the writer that leaves makes it a hold.
          if (Atomics.compareExchange(cells, index, WANTS, READS) === READS || this.mayRead()) return index;
          Atomics.store(cells, index, WANTS);
          this.tellDrained();
          continue;
        }
        if (blocking) this.checkNoDeadlock(index);
        else if (this.writesItself() || this.readsItself(index)) suspect(began, cells, base, LOCK_NAME);
        yield { cells, index: base + PHASE, value: phase };
      }
    } catch (failure) {
      this.leave(index);
      throw failure;
    }
  }

  private checkNoDeadlock(own: number): void {
    if (this.writesItself()) {
      throw new DeadlockError('this thread holds the lock for writing, or waits for that');
    }
    if (this.readsItself(own)) {
      throw new DeadlockError('this thread reads already, and a writer waits for it to stop');
    }
  }

  /** Whether this thread writes, or waits for that and would be the next. */
  private writesItself(): boolean {
    return (Atomics.load(this.cells, this.base + WRITER) & OWNER_MASK) === self;
  }

  /** Whether this thread reads, by other cells than this one. */
  private readsItself(except: number): boolean {
    for (let index = this.base + READERS; index < this.base + RW_MUTEX_CELLS; index++) {
      if (index !== except && Atomics.load(this.cells, index) === READS) return true;
    }
    return false;
  }

  private leave(index: number): void {
    Atomics.store(this.cells, index, 0);
    this.tellDrained();
  }

  /** A cell is not HELD any more: the writer that waits, if any, looks again. */
  private tellDrained(): void {
    const { cells, base } = this;
    if (Atomics.load(cells, base + WRITER) === 0) return;
    Atomics.add(cells, base + DRAINED, 1);
    Atomics.notify(cells, base + DRAINED, 1);
  }

  /**
   * Ends one of this thread's read holds. Where you have the hold, use its `unlock`. Thread: the one that locked.
   *
   * @throws {NotOwnerError} `ERR_THREADGATE_SYNC_NOT_OWNER` when this thread does not read
   */
  readUnlock(): void {
    for (let i = 0; i < MOST_READERS; i++) {
      const index = this.base + READERS + ((FIRST_TRY + i) % MOST_READERS);
      if (Atomics.load(this.cells, index) === READS) return this.leave(index);
    }
    throw new NotOwnerError('this thread does not hold the lock for reading');
  }

  [GIVE_BACK](token: number): void {
    if (token === WRITING) this.unlock();
    else if (Atomics.load(this.cells, token) === READS) this.leave(token);
    else throw new NotOwnerError('this hold for reading was given back by readUnlock() already');
  }
}
