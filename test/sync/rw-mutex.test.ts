/** RWMutex, on real threads. */
import { once } from 'node:events';
import { describe, expect, test } from 'vitest';
import { until } from '../support/until.js';
import { fresh, relookNever, seed, start, suspectSoon, sync } from './threads.js';

const DEADLOCK = 'ERR_THREADGATE_SYNC_DEADLOCK';
const NOT_OWNER = 'ERR_THREADGATE_SYNC_NOT_OWNER';

describe('on one thread', () => {
  test('many read at the same time, and nobody writes meanwhile', async () => {
    const lock = sync.rwMutex();
    const first = await lock.readLockAsync();
    const second = await lock.readLockAsync();
    expect(lock.tryLock()).toBeUndefined();
    first.unlock();
    expect(lock.tryLock()).toBeUndefined();
    second.unlock();
    const writing = lock.tryLock();
    expect(writing).toBeDefined();
    expect(lock.tryReadLock()).toBeUndefined();
    expect(lock.tryLock()).toBeUndefined();
    writing?.unlock();
    lock.tryReadLock()?.unlock();
  });

  test('a waiting writer holds back new readers, and those get in before the writer after it', async () => {
    relookNever();
    const lock = sync.rwMutex();
    const order: string[] = [];
    const reading = await lock.readLockAsync();
    const writers = ['first writer', 'second writer'].map(async name => {
      using _hold = await lock.lockAsync();
      order.push(name);
    });
    const reader = lock.readLockAsync().then(hold => {
      order.push('reader');
      hold.unlock();
    });
    expect(lock.tryReadLock()).toBeUndefined();
    reading.unlock();
    await Promise.all([...writers, reader]);
    expect(order).toEqual(['first writer', 'reader', 'second writer']);
  });

  test('a writer that gives up lets the readers in', async () => {
    relookNever();
    const lock = sync.rwMutex();
    using _reading = await lock.readLockAsync();
    const writer = lock.lockAsync({ timeout: 10 });
    const reader = lock.readLockAsync();
    await expect(writer).rejects.toMatchObject({ code: 'ERR_THREADGATE_SYNC_TIMEOUT' });
    (await reader).unlock();
  });

  test('a reader that gives up leaves nothing behind', async () => {
    const lock = sync.rwMutex();
    const writing = await lock.lockAsync();
    await expect(lock.readLockAsync({ timeout: 5 })).rejects.toMatchObject({
      code: 'ERR_THREADGATE_SYNC_TIMEOUT',
    });
    writing.unlock();
    const again = lock.tryLock();
    expect(again).toBeDefined();
    again?.unlock();
  });

  test('unlocking what one does not hold is an error', async () => {
    const lock = sync.rwMutex();
    expect(() => lock.unlock()).toThrow(expect.objectContaining({ code: NOT_OWNER }));
    expect(() => lock.readUnlock()).toThrow(expect.objectContaining({ code: NOT_OWNER }));
    const reading = await lock.readLockAsync();
    expect(() => lock.unlock()).toThrow(expect.objectContaining({ code: NOT_OWNER }));
    lock.readUnlock();
    expect(() => reading.unlock()).toThrow(expect.objectContaining({ code: NOT_OWNER }));
  });

  test('an upgrade is reported: inside of runSharedAsync', async () => {
    const lock = sync.rwMutex();
    await expect(lock.runSharedAsync(() => lock.lockAsync())).rejects.toMatchObject({ code: DEADLOCK });
    await expect(lock.runExclusiveAsync(() => lock.readLockAsync())).rejects.toMatchObject({
      code: DEADLOCK,
    });
    expect(await lock.runExclusiveAsync(() => 1)).toBe(1);
  });

  test('an upgrade by hand, and reading again while a writer waits, are reason for a warning', async () => {
    suspectSoon();
    const lock = sync.rwMutex();
    const reading = await lock.readLockAsync();
    const upgrading = once(process, 'warning');
    const writing = lock.lockAsync();
    expect((await upgrading)[0]).toMatchObject({ code: 'THREADGATE_SYNC_SUSPECTED_DEADLOCK' });
    reading.unlock();
    (await writing).unlock();

    const other = sync.rwMutex();
    const first = await other.readLockAsync();
    const writer = start(({ sync, argument, say }) => {
      say('waits');
      sync.open(argument).lock().unlock();
    }, other.handle);
    await writer.said();
    await until('the writer holds readers back', () => {
      const hold = other.tryReadLock();
      hold?.unlock();
      return hold === undefined;
    });
    const again = once(process, 'warning');
    const second = other.readLockAsync();
    expect((await again)[0]).toMatchObject({ code: 'THREADGATE_SYNC_SUSPECTED_DEADLOCK' });
    first.unlock();
    (await second).unlock();
    await writer.result;
  });

  test('more than 256 read holds are an error', async () => {
    const lock = sync.rwMutex();
    const holds = await Promise.all(Array.from({ length: 256 }, () => lock.readLockAsync()));
    await expect(lock.readLockAsync()).rejects.toMatchObject({ code: 'ERR_THREADGATE_SYNC_FULL' });
    for (const hold of holds) hold.unlock();
    lock.tryLock()?.unlock();
  });
});

test('an upgrade on a blocked thread is reported, and reading again while a writer waits for that', async () => {
  const codes = await start(async ({ sync }) => {
    const lock = sync.rwMutex();
    const codes: unknown[] = [];
    const attempt = (fn: () => unknown) => {
      try {
        fn();
      } catch (error) {
        codes.push((error as { code: string }).code);
      }
    };
    const reading = lock.readLock();
    attempt(() => lock.lock());
    const writer = lock.lockAsync();
    attempt(() => lock.readLock());
    reading.unlock();
    (await writer).unlock();
    lock.lock();
    attempt(() => lock.lock());
    attempt(() => lock.readLock());
    lock.unlock();
    return codes;
  }).result;
  expect(codes).toEqual([DEADLOCK, DEADLOCK, DEADLOCK, DEADLOCK]);
});

test('what a dead reader held is given back', async () => {
  const lock = sync.rwMutex();
  const thread = start(({ sync, argument, say }) => {
    sync.open(argument).readLock();
    say('reads');
    return new Promise(() => setInterval(() => {}, 1000));
  }, lock.handle);
  await thread.said();
  const writing = lock.lockAsync();
  await thread.kill();
  const hold = await writing;
  expect(hold.ownerDied).toBeUndefined();
  hold.unlock();
});

test('after the death of a writer all readers are told until somebody writes, and that one is told', async () => {
  const lock = sync.rwMutex();
  const thread = start(({ sync, argument, say }) => {
    sync.open(argument).lock();
    say('writes');
    return new Promise(() => setInterval(() => {}, 1000));
  }, lock.handle);
  await thread.said();
  const waiting = lock.readLockAsync();
  await thread.kill();
  for (const reading of [await waiting, await lock.readLockAsync()]) {
    expect(reading.ownerDied?.threadId).toBe(thread.id);
    reading.unlock();
  }
  const writing = await lock.lockAsync();
  expect(writing.ownerDied?.threadId).toBe(thread.id);
  writing.unlock();
  const reading = await lock.readLockAsync();
  expect(reading.ownerDied).toBeUndefined();
  reading.unlock();
});

test(`readers never see half of what a writer writes (TEST_SEED=${seed})`, async () => {
  relookNever();
  const name = fresh('rw');
  const memory = new SharedArrayBuffer(256);
  const threads = [0, 1, 2].map(() =>
    start(
      async ({ sync, argument: { name, memory }, random }) => {
        const cells = new Int32Array(memory);
        const lock = sync.rwMutex(name);
        let writes = 0;
        for (let i = 0; i < 20_000; i++) {
          const writing = random.chance(0.2);
          const async = random.chance(0.02);
          const options = random.chance(0.02) ? { timeout: random.between(0, 1) } : undefined;
          let hold: Disposable & { ownerDied: unknown };
          try {
            if (writing) hold = async ? await lock.lockAsync(options) : lock.lock(options);
            else hold = async ? await lock.readLockAsync(options) : lock.readLock(options);
          } catch (error) {
            if ((error as { code: string }).code !== 'ERR_THREADGATE_SYNC_TIMEOUT') throw error;
            continue;
          }
          if (cells[0] !== cells[16] || hold.ownerDied !== undefined) throw new Error('saw half a write');
          if (writing) {
            cells[0] = (cells[0] as number) + 1;
            random.dawdle(100);
            cells[16] = (cells[16] as number) + 1;
            writes++;
          }
          random.dawdle(20);
          if (cells[0] !== cells[16]) throw new Error('somebody wrote meanwhile');
          hold[Symbol.dispose]();
        }
        return writes;
      },
      { name, memory },
    ),
  );
  const counts = await Promise.all(threads.map(thread => thread.result));
  const cells = new Int32Array(memory);
  expect(cells[0]).toBe(counts.reduce((sum, count) => sum + count, 0));
});
