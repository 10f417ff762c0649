/** Once, Cond and Counter. */
import { describe, expect, test } from 'vitest';
import { fresh, relookNever, start, sync } from './threads.js';

describe('a once', () => {
  test('is done exactly once over all threads, and nobody goes on before it is done', async () => {
    relookNever();
    for (let round = 0; round < 10; round++) {
      const name = fresh('once');
      const body = async (options: { sync: typeof sync; argument: string }) => {
        const { sync, argument } = options;
        const runs = sync.counter(`${argument} runs`);
        const done = sync.counter(`${argument} done`);
        sync.once(argument).do(() => {
          runs.add(1n);
          for (const until = performance.now() + 2; performance.now() < until; );
          done.add(1n);
        });
        return done.get();
      };
      const threads = [0, 1, 2].map(() => start(body, name));
      const runs = sync.counter(`${name} runs`);
      const done = sync.counter(`${name} done`);
      await sync.once(name).doAsync(async () => {
        runs.add(1n);
        await new Promise(resolve => setTimeout(resolve, 2));
        done.add(1n);
      });
      expect(done.get()).toBe(1n);
      expect(await Promise.all(threads.map(thread => thread.result))).toEqual([1n, 1n, 1n]);
      expect(runs.get()).toBe(1n);
      expect(sync.once(name).isDone).toBe(true);
    }
  });

  test('remembers a failure', async () => {
    const once = sync.once();
    await expect(once.doAsync(() => Promise.reject(new TypeError('no such file')))).rejects.toThrow(
      TypeError,
    );
    await expect(once.doAsync(() => {})).rejects.toMatchObject({
      code: 'ERR_THREADGATE_SYNC_ONCE_FAILED',
      message: expect.stringContaining('TypeError: no such file'),
    });
    const message = await start(({ sync, argument }) => {
      try {
        sync.open(argument).do(() => {});
        return '';
      } catch (error) {
        return (error as Error).message;
      }
    }, once.handle).result;
    expect(message).toContain('TypeError: no such file');
  });

  test('or lets the next one retry', async () => {
    const once = sync.once();
    const failing = once.doAsync(() => Promise.reject(new Error('no')), { onFailure: 'retry' });
    const next = once.doAsync(() => {});
    await expect(failing).rejects.toThrow('no');
    await next;
    expect(once.isDone).toBe(true);
  });

  test('inside of itself is reported', async () => {
    const once = sync.once();
    await expect(once.doAsync(() => once.doAsync(() => {}))).rejects.toMatchObject({
      code: 'ERR_THREADGATE_SYNC_DEADLOCK',
    });
    expect(() => once.do(() => {})).toThrow(
      expect.objectContaining({ code: 'ERR_THREADGATE_SYNC_MAIN_THREAD' }),
    );
  });

  test('is begun again after the death of the thread that had begun', async () => {
    const once = sync.once();
    const thread = start(({ sync, argument, say }) => {
      return sync.open(argument).doAsync(() => {
        say('begun');
        return new Promise<void>(() => setInterval(() => {}, 1000));
      });
    }, once.handle);
    await thread.said();
    let died: number | undefined;
    const again = once.doAsync(ownerDied => {
      died = ownerDied?.threadId;
    });
    await thread.kill();
    await again;
    expect(died).toBe(thread.id);
  });
});

describe('a cond', () => {
  test('a bounded buffer of one: puts and takes alternate over threads', async () => {
    relookNever();
    const name = fresh('cond');
    const memory = new SharedArrayBuffer(8);
    const cells = new Int32Array(memory);
    const body = async ({
      sync,
      argument: { name, memory, role },
    }: {
      sync: typeof import('../../dist/src/sync/index.js');
      argument: { name: string; memory: SharedArrayBuffer; role: number };
    }) => {
      const cells = new Int32Array(memory);
      const lock = sync.mutex(name);
      const changed = sync.cond(`${name} changed`);
      for (let i = 0; i < 2000; i++) {
        const hold = lock.lock();
        while (cells[0] !== role) changed.wait(lock);
        cells[0] = 1 - role;
        cells[1] = (cells[1] as number) + 1;
        changed.broadcast();
        hold.unlock();
      }
    };
    const threads = [0, 1, 0, 1].map(role => start(body, { name, memory, role }));
    await Promise.all(threads.map(thread => thread.result));
    expect([...cells]).toEqual([0, 8000]);
  });

  test('signal wakes one, broadcast all, and the mutex is locked again', async () => {
    relookNever();
    const lock = sync.mutex();
    const changed = sync.cond();
    const through: number[] = [];
    let tickets = 0;
    const waiting = [0, 1, 2].map(async i => {
      const hold = await lock.lockAsync();
      while (tickets === 0) await changed.waitAsync(lock);
      expect(lock.isMine).toBe(true);
      tickets--;
      through.push(i);
      hold.unlock();
    });
    // All three wait: each has had the lock and let go of it.
    for (let i = 0; i < 3; i++) (await lock.lockAsync()).unlock();
    const give = (count: number) =>
      lock.runExclusiveAsync(() => {
        tickets = count;
      });
    await give(1);
    changed.signal();
    await Promise.race(waiting);
    expect(through).toHaveLength(1);
    await give(2);
    changed.broadcast();
    await Promise.all(waiting);
    expect(through.sort()).toEqual([0, 1, 2]);
  });

  test('needs the mutex, and has it again after a timeout', async () => {
    const lock = sync.mutex();
    const changed = sync.cond();
    await expect(changed.waitAsync(lock)).rejects.toMatchObject({ code: 'ERR_THREADGATE_SYNC_NOT_OWNER' });
    using _hold = await lock.lockAsync();
    await expect(changed.waitAsync(lock, { timeout: 5 })).rejects.toMatchObject({
      code: 'ERR_THREADGATE_SYNC_TIMEOUT',
    });
    expect(lock.isMine).toBe(true);
  });

  test('a wait that is ended tells of a death that nobody else would be told of', async () => {
    const lock = sync.mutex();
    const hold = await lock.lockAsync();
    const thread = start(({ sync, argument, say }) => {
      say('ready');
      sync.open(argument).lock();
      say('locked');
      for (;;);
    }, lock.handle);
    await thread.said();
    const controller = new AbortController();
    const waiting = sync.cond().waitAsync(lock, { signal: controller.signal });
    await thread.said();
    controller.abort();
    await thread.kill();
    expect((await waiting)?.threadId).toBe(thread.id);
    hold.unlock();
  });

  test('a wait ends after the death of a thread: that may have been the one to signal', async () => {
    const lock = sync.mutex();
    const thread = start(() => new Promise(() => setInterval(() => {}, 1000)));
    using _hold = await lock.lockAsync();
    const waiting = sync.cond().waitAsync(lock);
    await thread.kill();
    await waiting;
    expect(lock.isMine).toBe(true);
  });
});

test('a counter counts in 64 bits on all threads', async () => {
  const name = fresh('counter');
  const counter = sync.counter(name);
  expect(counter.set(2n ** 62n)).toBe(0n);
  const threads = [0, 1, 2].map(() =>
    start(({ sync, argument }) => {
      const counter = sync.counter(argument);
      for (let i = 0; i < 10_000; i++) counter.add(3n);
      for (let i = 0; i < 1000; i++) {
        for (let seen = counter.get(); !counter.compareAndSet(seen, seen + 1n); seen = counter.get());
      }
    }, name),
  );
  await Promise.all(threads.map(thread => thread.result));
  expect(counter.get()).toBe(2n ** 62n + 93_000n);
  expect(counter.compareAndSet(1n, 2n)).toBe(false);
  expect(counter.add(-(2n ** 62n) - 93_001n)).toBe(-1n);
  counter.set(2n ** 63n - 1n);
  expect(counter.add(1n)).toBe(-(2n ** 63n));
});
