/** Mutex, on real threads. */
import { once } from 'node:events';
import { describe, expect, test, vi } from 'vitest';
import { until } from '../support/until.js';
import { fresh, relookNever, seed, start, suspectSoon, sync } from './threads.js';

describe('on one thread', () => {
  test('a lock is held until it is unlocked', async () => {
    const mutex = sync.mutex();
    const hold = await mutex.lockAsync();
    expect(mutex.isMine).toBe(true);
    expect(mutex.tryLock()).toBeUndefined();
    hold.unlock();
    expect(mutex.isMine).toBe(false);
    const again = mutex.tryLock();
    expect(again).toBeDefined();
    again?.unlock();
  });

  test('a hold unlocks once, however often it is asked to', async () => {
    const mutex = sync.mutex();
    const first = await mutex.lockAsync();
    first.unlock();
    const second = await mutex.lockAsync();
    first.unlock();
    expect(mutex.isMine).toBe(true);
    second.unlock();
  });

  test('using and await using unlock at the end of their block', async () => {
    const mutex = sync.mutex();
    {
      using _hold = await mutex.lockAsync();
      expect(mutex.isMine).toBe(true);
    }
    expect(mutex.isMine).toBe(false);
    {
      await using _hold = await mutex.lockAsync();
      expect(mutex.isMine).toBe(true);
    }
    expect(mutex.isMine).toBe(false);
  });

  test('promises get it one after the other, in the order in which they asked', async () => {
    const mutex = sync.mutex();
    const order: number[] = [];
    const first = await mutex.lockAsync();
    const others = [1, 2, 3].map(async i => {
      using _hold = await mutex.lockAsync();
      order.push(i);
    });
    first.unlock();
    await Promise.all(others);
    expect(order).toEqual([1, 2, 3]);
  });

  test('blocking the main thread is an error that says what to do instead', () => {
    expect(() => sync.mutex().lock()).toThrow(
      expect.objectContaining({
        code: 'ERR_THREADGATE_SYNC_MAIN_THREAD',
        message: expect.stringContaining('lockAsync()'),
      }),
    );
  });

  test('unlocking what nobody holds is an error', () => {
    expect(() => sync.mutex().unlock()).toThrow(
      expect.objectContaining({ code: 'ERR_THREADGATE_SYNC_NOT_OWNER' }),
    );
  });

  test('runExclusiveAsync unlocks when its function throws', async () => {
    const mutex = sync.mutex();
    await expect(mutex.runExclusiveAsync(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(await mutex.runExclusiveAsync(() => mutex.isMine)).toBe(true);
    expect(mutex.isMine).toBe(false);
  });

  test('asking for the lock inside of runExclusiveAsync is reported, also through another object of it', async () => {
    const name = fresh('mutex');
    const inside = sync.mutex(name).runExclusiveAsync(() => sync.mutex(name).lockAsync());
    await expect(inside).rejects.toMatchObject({ code: 'ERR_THREADGATE_SYNC_DEADLOCK' });
  });

  test('a promise that waits very long for what its own thread has is reason for one warning', async () => {
    suspectSoon();
    const mutex = sync.mutex();
    const hold = await mutex.lockAsync();
    const warning = once(process, 'warning');
    const waiting = [mutex.lockAsync(), mutex.lockAsync()];
    expect((await warning)[0]).toMatchObject({
      code: 'THREADGATE_SYNC_SUSPECTED_DEADLOCK',
      message: expect.stringContaining('the mutex that its own thread holds'),
    });
    const again = vi.fn();
    process.on('warning', again);
    hold.unlock();
    for (const promise of waiting) (await promise).unlock();
    await new Promise(setImmediate); // warnings are told before the next turn
    process.off('warning', again);
    expect(again).not.toHaveBeenCalled();
  });

  test('a mutex may live in any cell of shared memory', async () => {
    const cells = new Int32Array(new SharedArrayBuffer(64));
    const one = new sync.Mutex(cells, 3);
    const other = new sync.Mutex(cells, 4);
    const hold = await one.lockAsync();
    expect(other.tryLock()).toBeDefined();
    expect(new sync.Mutex(cells, 3).tryLock()).toBeUndefined();
    hold.unlock();
    expect(cells[3]).toBe(0);
  });
});

describe('waiting ends', () => {
  test('with a TimeoutError when its time is over', async () => {
    const mutex = sync.mutex();
    using _hold = await mutex.lockAsync();
    await expect(mutex.lockAsync({ timeout: 5 })).rejects.toMatchObject({
      code: 'ERR_THREADGATE_SYNC_TIMEOUT',
    });
    await expect(mutex.lockAsync({ timeout: 0 })).rejects.toMatchObject({
      code: 'ERR_THREADGATE_SYNC_TIMEOUT',
    });
  });

  test('with the reason of its signal', async () => {
    const mutex = sync.mutex();
    using _hold = await mutex.lockAsync();
    const controller = new AbortController();
    const waiting = mutex.lockAsync({ signal: controller.signal });
    controller.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    await expect(mutex.lockAsync({ signal: AbortSignal.abort(new Error('before')) })).rejects.toThrow(
      'before',
    );
  });

  test('and who gave up does not take the lock away from the next', async () => {
    relookNever();
    const mutex = sync.mutex();
    const hold = await mutex.lockAsync();
    const controller = new AbortController();
    const first = mutex.lockAsync({ signal: controller.signal });
    const second = mutex.lockAsync();
    controller.abort();
    await expect(first).rejects.toThrow();
    hold.unlock();
    (await second).unlock();
  });

  test('on a blocked thread, too', async () => {
    const mutex = sync.mutex();
    const hold = await mutex.lockAsync();
    const context = sync.context();
    const thread = start(
      ({ sync, argument, say }) => {
        const mutex = sync.open(argument.mutex);
        const context = sync.open(argument.context);
        const codes: unknown[] = [];
        for (const options of [{ timeout: 20 }, { signal: context.signal }]) {
          try {
            say('waits');
            mutex.lock(options);
          } catch (error) {
            codes.push((error as { code: string }).code);
          }
        }
        return codes;
      },
      { mutex: mutex.handle, context: context.handle },
    );
    await thread.said();
    await thread.said();
    context.cancel();
    expect(await thread.result).toEqual(['ERR_THREADGATE_SYNC_TIMEOUT', 'ERR_THREADGATE_SYNC_CANCELLED']);
    hold.unlock();
  });
});

describe('across threads', () => {
  test('a name is the same mutex everywhere, and a waiting thread is woken', async () => {
    relookNever();
    const name = fresh('mutex');
    const hold = await sync.mutex(name).lockAsync();
    const thread = start(({ sync, argument, say }) => {
      const mutex = sync.mutex(argument);
      say(mutex.tryLock() === undefined);
      const hold = mutex.lock();
      say('locked');
      hold.unlock();
    }, name);
    expect(await thread.said()).toBe(true);
    hold.unlock();
    expect(await thread.said()).toBe('locked');
    await thread.result;
  });

  test('another thread cannot unlock it', async () => {
    const mutex = sync.mutex();
    const hold = await mutex.lockAsync();
    const code = await start(({ sync, argument }) => {
      try {
        sync.open(argument).unlock();
        return 'unlocked';
      } catch (error) {
        return (error as { code: string }).code;
      }
    }, mutex.handle).result;
    expect(code).toBe('ERR_THREADGATE_SYNC_NOT_OWNER');
    hold.unlock();
  });

  test('a thread that locks again what it holds is told so', async () => {
    const code = await start(({ sync }) => {
      const mutex = sync.mutex();
      mutex.lock();
      try {
        mutex.lock();
        return 'locked';
      } catch (error) {
        return (error as { code: string }).code;
      }
    }).result;
    expect(code).toBe('ERR_THREADGATE_SYNC_DEADLOCK');
  });

  test('a function that is not done when it returns is refused, under any lock', async () => {
    const codes = await start(({ sync }) => {
      const late = async () => {};
      return [
        () => sync.mutex().runExclusive(late),
        () => sync.rwMutex().runExclusive(late),
        () => sync.rwMutex().runShared(late),
        () => sync.once().do(late),
        () => sync.sharedMap({ bytes: 1024, entries: 1 }).update('a', late as never),
      ].map(misuse => {
        try {
          misuse();
          return 'nothing said';
        } catch (error) {
          return (error as { code: string }).code;
        }
      });
    }).result;
    const argument = 'ERR_THREADGATE_SYNC_ARGUMENT';
    expect(codes).toEqual([argument, argument, argument, argument, 'ERR_THREADGATE_SYNC_VALUE']);
  });

  test('who comes after the death of the owner has the lock and is told; the next one is not', async () => {
    const mutex = sync.mutex();
    const thread = start(({ sync, argument, say }) => {
      sync.open(argument).lock();
      say('locked');
      return new Promise(() => setInterval(() => {}, 1000));
    }, mutex.handle);
    await thread.said();
    const waiting = mutex.lockAsync();
    await thread.kill();
    const hold = await waiting;
    expect(hold.ownerDied).toMatchObject({ code: 'ERR_THREADGATE_SYNC_OWNER_DIED', threadId: thread.id });
    hold.unlock();
    const next = await mutex.lockAsync();
    expect(next.ownerDied).toBeUndefined();
    next.unlock();
  });

  test('a worker of a worker dies with it, and what it held goes to the next', async () => {
    const name = fresh('mutex');
    const url = new URL('../../dist/src/sync/index.js', import.meta.url).href;
    const thread = start(
      ({ sync, argument: { name, url }, say }) => {
        const { Worker } = process.getBuiltinModule('node:worker_threads');
        const code = `import('${url}').then(sync => {
          sync.mutex('${name}').lock();
          require('node:worker_threads').parentPort.postMessage('locked');
          for (;;);
        })`;
        sync.register(new Worker(code, { eval: true })).once('message', say);
        return new Promise(() => {});
      },
      { name, url },
    );
    await thread.said();
    const waiting = sync.mutex(name).lockAsync();
    await thread.kill();
    const hold = await waiting;
    expect(hold.ownerDied?.threadId).toBeGreaterThan(thread.id);
    hold.unlock();
  });

  test('nobody starves: a thread that hardly ever lets go does not keep the others out', async () => {
    relookNever();
    const name = fresh('mutex');
    const greedy = start(({ sync, argument }) => {
      const mutex = sync.mutex(argument);
      const stop = sync.counter(`${argument} stop`);
      while (stop.get() === 0n) {
        mutex.lock();
        for (const until = performance.now() + 0.05; performance.now() < until; );
        mutex.unlock();
      }
    }, name);
    const modest = start(({ sync, argument }) => {
      const mutex = sync.mutex(argument);
      for (let i = 0; i < 100; i++) mutex.runExclusive(() => {});
    }, name);
    for (let i = 0; i < 100; i++) (await sync.mutex(name).lockAsync()).unlock();
    await modest.result;
    sync.counter(`${name} stop`).set(1n);
    await greedy.result;
  });

  test('a thread that dies while it starves keeps nobody out, not even those who only try', async () => {
    const mutex = sync.mutex();
    const hold = await mutex.lockAsync();
    const thread = start(({ sync, argument, say }) => {
      say('waits');
      sync.open(argument).lock();
    }, mutex.handle);
    await thread.said();
    const STARVING = 1 << 25;
    await until('it starves', () => (Atomics.load(mutex.cells, mutex.index) & STARVING) !== 0);
    await thread.kill();
    hold.unlock();
    const got = await until('the moment is over', () => mutex.tryLock());
    got.unlock();
    expect(Atomics.load(mutex.cells, mutex.index)).toBe(0);
  });

  test(`two counters under it never differ, with every manner of locking (TEST_SEED=${seed})`, async () => {
    relookNever();
    const name = fresh('mutex');
    const rounds = 20_000;
    const memory = new Int32Array(new SharedArrayBuffer(128));
    const threads = [0, 1, 2].map(() =>
      start(
        async ({ sync, argument: { name, rounds, memory }, random }) => {
          const cells = new Int32Array(memory);
          const mutex = sync.mutex(name);
          for (let i = 0; i < rounds; i++) {
            const chosen = random.next();
            const hold =
              chosen < 0.01
                ? await mutex.lockAsync()
                : chosen < 0.1
                  ? (mutex.tryLock() ?? mutex.lock())
                  : chosen < 0.11
                    ? await mutex.lockAsync({ timeout: random.between(0, 1) }).catch(() => mutex.lock())
                    : mutex.lock();
            if (hold.ownerDied !== undefined || cells[0] !== cells[16]) throw new Error('not alone');
            cells[0] = (cells[0] as number) + 1;
            random.dawdle(50);
            cells[16] = (cells[16] as number) + 1;
            if (random.chance(0.001)) await new Promise(setImmediate);
            hold.unlock();
          }
        },
        { name, rounds, memory: memory.buffer },
      ),
    );
    const mutex = sync.mutex(name);
    for (let i = 0; i < 2000; i++) {
      using _hold = await mutex.lockAsync();
      memory[0] = (memory[0] as number) + 1;
      memory[16] = (memory[16] as number) + 1;
    }
    await Promise.all(threads.map(thread => thread.result));
    expect([memory[0], memory[16]]).toEqual([3 * rounds + 2000, 3 * rounds + 2000]);
  });
});
