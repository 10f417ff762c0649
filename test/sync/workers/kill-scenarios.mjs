// @ts-check
/**
 * What threads do in the kill tests, one scenario for each primitive: `act` on the workers, `actAsync` on the main thread,
 * `verify` at the end. Each checks what the primitive promises. A wait that takes longer than LIMIT is a hang.
 */
import { threadId } from 'node:worker_threads';
import * as sync from '../../../dist/src/sync/index.js';
import { Random } from './random.mjs';

/** @typedef {{ name: string, cells: Int32Array, random: Random, role: number, isVictim: boolean }} Scene */
/** @typedef {{ act(s: Scene): void, actAsync(s: Scene): Promise<void>, verify?(s: Scene, kills: number): Promise<void> }} Scenario */

const LIMIT = { timeout: 10_000 };

/** Cells that scenarios use as they like; the first ones belong to the test itself. */
export const Cell = { stop: 0, progress: 1, round: 2, a: 16, b: 32, c: 48, seen: 64 };

/** @param {unknown} condition @param {string} wrong */
function check(condition, wrong) {
  if (!condition) throw new Error(wrong);
}

/** @param {Int32Array} cells @param {number} index */
function increment(cells, index) {
  cells[index] = Number(cells[index]) + 1;
}

/** Changes two cells, one after the other: equal unless somebody is in between. @param {Scene} s */
function changeBoth({ cells, random }) {
  increment(cells, Cell.a);
  random.dawdle(200);
  increment(cells, Cell.b);
}

/** @param {Scene} s @param {unknown} ownerDied */
function checkBoth({ cells }, ownerDied) {
  if (ownerDied !== undefined) cells[Cell.b] = Number(cells[Cell.a]);
  check(cells[Cell.a] === cells[Cell.b], 'half a change, and nobody was told of a death');
}

/** @type {Scenario} */
const mutex = {
  act(s) {
    const lock = sync.mutex(s.name);
    const hold = (s.random.chance(0.2) ? lock.tryLock() : undefined) ?? lock.lock(LIMIT);
    checkBoth(s, hold.ownerDied);
    changeBoth(s);
    hold.unlock();
  },
  async actAsync(s) {
    await sync.mutex(s.name).runExclusiveAsync(hold => {
      checkBoth(s, hold.ownerDied);
      changeBoth(s);
    }, LIMIT);
  },
};

/** @param {Scene} s @param {unknown} ownerDied */
function readBoth(s, ownerDied) {
  if (ownerDied === undefined) checkBoth(s, undefined);
}

/** @type {Scenario} */
const rwMutex = {
  act(s) {
    const lock = sync.rwMutex(s.name);
    if (s.random.chance(0.3)) {
      const hold = lock.lock(LIMIT);
      checkBoth(s, hold.ownerDied);
      changeBoth(s);
      hold.unlock();
    } else {
      const hold = lock.readLock(LIMIT);
      readBoth(s, hold.ownerDied);
      s.random.dawdle(200);
      readBoth(s, hold.ownerDied);
      hold.unlock();
    }
  },
  async actAsync(s) {
    const lock = sync.rwMutex(s.name);
    await lock.runSharedAsync(hold => readBoth(s, hold.ownerDied), LIMIT);
    await lock.runExclusiveAsync(hold => {
      checkBoth(s, hold.ownerDied);
      changeBoth(s);
    }, LIMIT);
  },
};

/** @type {Scenario} */
const waitGroup = {
  act({ name, random }) {
    const group = sync.waitGroup(name);
    const n = random.between(1, 3);
    group.add(n);
    random.dawdle(200);
    for (let i = 0; i < n; i++) group.done();
    if (random.chance(0.1)) group.wait(LIMIT);
  },
  async actAsync({ name }) {
    const group = sync.waitGroup(name);
    group.add();
    group.done();
    await group.waitAsync(LIMIT);
  },
  async verify({ name }) {
    check(sync.waitGroup(name).count === 0, 'somebody dead still owes something');
  },
};

/** @type {Scenario} */
const semaphore = {
  act({ name, cells, random, isVictim }) {
    const gate = sync.semaphore(name, 3);
    const n = random.between(1, 3);
    const hold = gate.acquire(n, LIMIT);
    // A dead one's are given back, but it cannot take back what it counted here.
    if (!isVictim) check(Atomics.add(cells, Cell.a, n) + n <= 3, 'more than its permits are out');
    random.dawdle(200);
    if (!isVictim) Atomics.sub(cells, Cell.a, n);
    hold.unlock();
  },
  async actAsync({ name }) {
    const hold = await sync.semaphore(name, 3).acquireAsync(3, LIMIT);
    hold.unlock();
  },
  async verify({ name }) {
    check(sync.semaphore(name, 3).free === 3, 'somebody dead still holds permits');
  },
};

/** A once for each kill. @type {Scenario} */
const once = {
  act({ name, cells, random }) {
    const round = Atomics.load(cells, Cell.round);
    sync.once(`${name} ${round % 1000}`).do(() => {
      Atomics.add(cells, Cell.a, 1);
      random.dawdle(100_000);
    }, LIMIT);
  },
  async actAsync({ name, cells }) {
    const one = sync.once(`${name} ${Atomics.load(cells, Cell.round) % 1000}`);
    await one.doAsync(() => void Atomics.add(cells, Cell.a, 1), LIMIT);
    check(one.isDone, 'it is not done');
    Atomics.add(cells, Cell.round, 1);
  },
  async verify({ cells }, kills) {
    const begun = Number(cells[Cell.a]);
    check(begun <= 2 * kills + 2, `${kills} were done ${begun} times`);
  },
};

const MOST_ITEMS = 4;

/** A bounded buffer: role 0 puts, role 1 takes, a victim either. @type {Scenario} */
const cond = {
  act({ name, cells, random, role, isVictim }) {
    const lock = sync.mutex(`${name} lock`);
    const puts = isVictim ? random.chance(0.5) : role === 0;
    const [mine, theirs] = puts ? ['room', 'item'] : ['item', 'room'];
    const hold = lock.lock(LIMIT);
    while (cells[Cell.a] === (puts ? MOST_ITEMS : 0)) sync.cond(`${name} ${mine}`).wait(lock, LIMIT);
    cells[Cell.a] = Number(cells[Cell.a]) + (puts ? 1 : -1);
    sync.cond(`${name} ${theirs}`).signal();
    hold.unlock();
  },
  async actAsync({ name, cells }) {
    await sync.mutex(`${name} lock`).runExclusiveAsync(() => {
      const items = Number(cells[Cell.a]);
      check(items >= 0 && items <= MOST_ITEMS, `${items} items`);
    }, LIMIT);
  },
};

/** @type {Scenario} */
const counter = {
  act({ name, cells }) {
    sync.counter(name).add(1n);
    Atomics.add(cells, Cell.a, 1);
  },
  async actAsync(s) {
    this.act(s);
  },
  async verify({ name, cells }, kills) {
    const missing = Number(sync.counter(name).get()) - Number(cells[Cell.a]);
    check(missing >= 0 && missing <= kills, `${missing} were counted and not noted, with ${kills} kills`);
  },
};

const SMALL = { capacity: 4, maxBytes: 64 };

/** Victims send too. The survivor of role 1 receives and sees each sender's values without a gap. @type {Scenario} */
const channelSenders = {
  act(s) {
    const { name, cells, role, isVictim } = s;
    /** @type {sync.Channel<[number, number]>} */
    const channel = sync.channel(name, SMALL);
    const sender = isVictim ? threadId % 1000 : 0;
    if (isVictim || role === 0) {
      const sequence = Number(cells[Cell.seen + 2 * sender]) + 1;
      channel.send([threadId, sequence], LIMIT);
      Atomics.store(cells, Cell.seen + 2 * sender, sequence);
      return;
    }
    const value = channel.receive(LIMIT);
    if (value === undefined) throw new Error('closed');
    const [from, sequence] = value;
    const last = lasts.get(from) ?? 0;
    check(sequence === last + 1, `thread ${from}: ${sequence} after ${last}`);
    lasts.set(from, sequence);
    Atomics.store(cells, Cell.seen + 2 * (from % 1000) + 1, sequence);
  },
  async actAsync() {},
};
/** @type {Map<number, number>} */
const lasts = new Map();

/** Victims receive too. What they took and did not note is all that may be missing. @type {Scenario} */
const channelReceivers = {
  act({ name, cells, random, role, isVictim }) {
    const channel = sync.channel(name, SMALL);
    if (!isVictim && role === 0) {
      channel.send(Number(cells[Cell.a]), LIMIT);
      increment(cells, Cell.a);
    } else {
      const value = channel.receive(LIMIT);
      check(
        Atomics.add(cells, Cell.seen + (Number(value) % 60_000), 1) < 1 + Number(value) / 60_000,
        'twice',
      );
      Atomics.add(cells, Cell.b, 1);
      random.dawdle(100);
    }
  },
  async actAsync({ name, cells }) {
    const value = await sync.channel(name, SMALL).receiveAsync(LIMIT);
    Atomics.add(cells, Cell.seen + (Number(value) % 60_000), 1);
    Atomics.add(cells, Cell.b, 1);
  },
  async verify({ name, cells }, kills) {
    const missing = Number(cells[Cell.a]) - Number(cells[Cell.b]) - sync.channel(name, SMALL).length;
    check(missing >= 0 && missing <= kills, `${missing} values are missing after ${kills} kills`);
  },
};

/** Role 0 sends on either of two channels, role 1 receives from either, a victim does both. @type {Scenario} */
const select = {
  act({ name, random, role, isVictim }) {
    const [one, other] = [sync.channel(`${name} 1`, SMALL), sync.channel(`${name} 2`, SMALL)];
    const sends = isVictim ? random.chance(0.5) : role === 0;
    if (sends) {
      sync.select(
        [
          { send: one, value: 1 },
          { send: other, value: 2 },
        ],
        LIMIT,
      );
    } else {
      const { index, value } = sync.select([{ receive: one }, { receive: other }], LIMIT);
      check(value === index + 1, `${value} came out of channel ${index}`);
    }
  },
  async actAsync({ name }) {
    await sync.selectAsync([{ send: sync.channel(`${name} 1`, SMALL), value: 1 }], LIMIT);
  },
};

/** A context for each kill. The workers wait for its end, and sometimes a victim ends it. @type {Scenario} */
const context = {
  act({ name, cells, random, isVictim }) {
    const round = Atomics.load(cells, Cell.round);
    const parent = sync.context(`${name} ${round}`);
    const child = sync.context({ parent });
    if (isVictim && random.chance(0.01)) parent.cancel();
    else if (isVictim) child.cancel();
    else {
      try {
        // Nobody ever sends: only the end of the context ends this.
        sync.channel(name, SMALL).receive({ ...LIMIT, signal: child.signal });
      } catch (error) {
        if (/** @type {{ code: string }} */ (error).code !== 'ERR_THREADGATE_SYNC_CANCELLED') throw error;
      }
    }
  },
  async actAsync({ name, cells }) {
    const one = sync.context(`${name} ${Atomics.load(cells, Cell.round)}`);
    one.cancel();
    check(one.signal.aborted, 'it goes on');
    Atomics.add(cells, Cell.round, 1);
  },
};

const MAP = { bytes: 16 * 1024, entries: 10 };

/** @param {number} number @param {Random} random */
function makeValue(number, random) {
  const value = new Uint8Array(random.between(4, 300)).fill(number);
  new DataView(value.buffer).setUint32(0, value.length);
  return value;
}

/** @param {number} number @param {Uint8Array | undefined} value */
function checkValue(number, value) {
  if (value === undefined) return value;
  const length = new DataView(value.buffer, value.byteOffset).getUint32(0);
  check(length === value.length && value.subarray(4).every(byte => byte === number), 'half a value');
  return value;
}

/** There are more keys than entries. @param {unknown} error */
function ignoreFull(error) {
  if (/** @type {{ code: string }} */ (error).code !== 'ERR_THREADGATE_SYNC_FULL') throw error;
}

/** @type {Scenario} */
const sharedMap = {
  act({ name, random }) {
    const map = sync.sharedMap(name, MAP);
    const number = random.between(0, 11);
    const key = `key ${number}`;
    try {
      if (random.chance(0.2)) map.delete(key, LIMIT);
      else if (random.chance(0.3)) map.set(key, makeValue(number, random), LIMIT);
      else if (random.chance(0.5)) {
        map.update(key, old => checkValue(number, old) && makeValue(number, random), LIMIT);
      } else checkValue(number, map.get(key));
    } catch (error) {
      ignoreFull(error);
    }
  },
  async actAsync({ name, random }) {
    const map = sync.sharedMap(name, MAP);
    const change = (/** @type {Uint8Array | undefined} */ old) =>
      checkValue(0, old) ? undefined : makeValue(0, random);
    await map.updateAsync('key 0', change, LIMIT).catch(ignoreFull);
    for (const [key, value] of map) checkValue(Number(key.slice(4)), value);
  },
  async verify({ name }) {
    const map = sync.sharedMap(name, MAP);
    for (const key of [...map.keys()]) await map.deleteAsync(key, LIMIT);
    check(map.size === 0, 'something is left');
    // All entries and all bytes but a few can be used again.
    for (let i = 0; i < MAP.entries; i++) await map.setAsync(`${i}`, new Uint8Array(1400), LIMIT);
  },
};

/** @type {Record<string, Scenario>} */
export const scenarios = {
  mutex,
  rwMutex,
  waitGroup,
  semaphore,
  once,
  cond,
  counter,
  channelSenders,
  channelReceivers,
  select,
  context,
  sharedMap,
};
