/** WaitGroup and Semaphore: what threads owe and hold. */
import { describe, expect, test } from 'vitest';
import { fresh, relookNever, seed, start, sync } from './threads.js';

/** Whether a promise is still open after everything that is due has run. */
async function isPending(promise: Promise<unknown>): Promise<boolean> {
  const open = Symbol();
  const later = new Promise(resolve => setTimeout(resolve, 20, open));
  return (await Promise.race([promise, later])) === open;
}

describe('a wait group', () => {
  test('waits until everything is done, and can be used again', async () => {
    relookNever();
    const group = sync.waitGroup();
    await group.waitAsync();
    for (let round = 0; round < 2; round++) {
      group.add(2);
      const waiting = group.waitAsync();
      group.done();
      expect(await isPending(waiting)).toBe(true);
      expect(group.count).toBe(1);
      group.done();
      await waiting;
    }
  });

  test('does not go below zero', () => {
    const group = sync.waitGroup();
    expect(() => group.done()).toThrow(expect.objectContaining({ code: 'ERR_THREADGATE_SYNC_NEGATIVE' }));
    group.add();
    group.done();
    expect(() => group.done()).toThrow(expect.objectContaining({ code: 'ERR_THREADGATE_SYNC_NEGATIVE' }));
    expect(() => group.add(0)).toThrow(expect.objectContaining({ code: 'ERR_THREADGATE_SYNC_ARGUMENT' }));
  });

  test('counts over threads: one adds, others finish, others wait', async () => {
    relookNever();
    const name = fresh('group');
    const group = sync.waitGroup(name);
    group.add(300);
    const waiter = start(({ sync, argument }) => sync.waitGroup(argument).wait(), name);
    const workers = [0, 1, 2].map(() =>
      start(({ sync, argument }) => {
        for (let i = 0; i < 100; i++) sync.waitGroup(argument).done();
      }, name),
    );
    await Promise.all([group.waitAsync(), waiter.result, ...workers.map(worker => worker.result)]);
    expect(group.count).toBe(0);
  });

  test('takes off what a dead thread owed, whoever had added it', async () => {
    const group = sync.waitGroup();
    const thread = start(({ sync, argument, say }) => {
      sync.open(argument).add(3);
      say('added');
      return new Promise(() => setInterval(() => {}, 1000));
    }, group.handle);
    await thread.said();
    group.add(2, thread.worker);
    group.add(1);
    expect(group.count).toBe(6);
    const waiting = group.waitAsync();
    await thread.kill();
    expect(group.count).toBe(1);
    expect(await isPending(waiting)).toBe(true);
    group.done();
    await waiting;
    group.add(5, thread.id);
    await group.waitAsync();
  });

  test(`never passes a zero that was none: work that spawns work (TEST_SEED=${seed})`, async () => {
    relookNever();
    const name = fresh('group');
    const group = sync.waitGroup(name);
    const rounds = 300;
    const threads = [0, 1].map(() =>
      start(
        ({ sync, argument: { name, rounds }, random }) => {
          const group = sync.waitGroup(name);
          const jobs = sync.channel<number>(`${name} jobs`, { capacity: 4096, maxBytes: 16 });
          const finished = sync.counter(`${name} finished`);
          for (const depth of jobs) {
            for (let i = 0; i < 2 && depth > 0; i++) {
              group.add();
              jobs.send(depth - 1);
            }
            random.dawdle(200);
            finished.add(1n);
            group.done();
          }
          return rounds;
        },
        { name, rounds },
      ),
    );
    const jobs = sync.channel<number>(`${name} jobs`, { capacity: 4096, maxBytes: 16 });
    const finished = sync.counter(`${name} finished`);
    for (let round = 1; round <= rounds; round++) {
      group.add();
      await jobs.sendAsync(4);
      await group.waitAsync();
      expect(finished.get()).toBe(BigInt(round * 31));
    }
    jobs.close();
    await Promise.all(threads.map(thread => thread.result));
  });
});

test('who adds before it is done is never told that there is nothing to be done', async () => {
  const name = fresh('group');
  const threads = [0, 1, 2].map(() =>
    start(({ sync, argument: name, random }) => {
      const group = sync.waitGroup(name);
      // In the accounts of three others, which each goes through from the first on.
      for (let i = 0; i < 100_000; i++) {
        group.add(1, 2 ** 20 + random.between(0, 2));
        group.done();
      }
    }, name),
  );
  await Promise.all(threads.map(thread => thread.result));
  expect(sync.waitGroup(name).count).toBe(0);
});

describe('a semaphore', () => {
  test('gives out so many permits and no more', async () => {
    relookNever();
    const semaphore = sync.semaphore(3);
    const two = await semaphore.acquireAsync(2);
    expect(semaphore.free).toBe(1);
    expect(semaphore.tryAcquire(2)).toBeUndefined();
    const one = semaphore.tryAcquire();
    expect(one).toBeDefined();
    const waiting = semaphore.acquireAsync(3);
    one?.unlock();
    expect(await isPending(waiting)).toBe(true);
    two.unlock();
    (await waiting).unlock();
    expect(semaphore.free).toBe(3);
  });

  test('who wants many is not overtaken by who wants few', async () => {
    const semaphore = sync.semaphore(2);
    const one = await semaphore.acquireAsync(1);
    const both = semaphore.acquireAsync(2);
    expect(semaphore.tryAcquire(1)).toBeUndefined();
    one.unlock();
    (await both).unlock();
  });

  test('knows misuse', async () => {
    const semaphore = sync.semaphore(2);
    const argument = expect.objectContaining({ code: 'ERR_THREADGATE_SYNC_ARGUMENT' });
    expect(() => semaphore.tryAcquire(3)).toThrow(argument);
    expect(() => sync.semaphore(0)).toThrow(argument);
    expect(() => semaphore.release()).toThrow(
      expect.objectContaining({ code: 'ERR_THREADGATE_SYNC_NOT_OWNER' }),
    );
    expect(() => semaphore.acquire()).toThrow(
      expect.objectContaining({ code: 'ERR_THREADGATE_SYNC_MAIN_THREAD' }),
    );
    const code = await start(({ sync }) => {
      const semaphore = sync.semaphore(2);
      semaphore.acquire(2);
      try {
        semaphore.acquire(1);
        return 'acquired';
      } catch (error) {
        return (error as { code: string }).code;
      }
    }).result;
    expect(code).toBe('ERR_THREADGATE_SYNC_DEADLOCK');
  });

  test('one thread too many is told so, and leaves it to the others', () => {
    const semaphore = sync.semaphore(2);
    const { memory } = semaphore.handle;
    // The ledger full of accounts of other threads, none of them dead: see semaphore.ts and ledger.ts.
    const accounts = new Int32Array(memory, (16 + 32) * 4);
    for (let i = 0; i < 256; i++) accounts[i * 4] = 2 ** 20 + i;
    const full = expect.objectContaining({ code: 'ERR_THREADGATE_SYNC_FULL' });
    expect(() => semaphore.tryAcquire()).toThrow(full);
    accounts[0] = 0;
    semaphore.tryAcquire(2)?.unlock();
    expect(semaphore.free).toBe(2);
  });

  test('a wait that ends early leaves the others theirs', async () => {
    relookNever();
    const semaphore = sync.semaphore(1);
    const one = await semaphore.acquireAsync();
    const first = semaphore.acquireAsync(1, { timeout: 5 });
    const second = semaphore.acquireAsync();
    await expect(first).rejects.toMatchObject({ code: 'ERR_THREADGATE_SYNC_TIMEOUT' });
    one.unlock();
    (await second).unlock();
  });

  test('gets back what a dead thread held', async () => {
    const semaphore = sync.semaphore(4);
    const thread = start(({ sync, argument, say }) => {
      sync.open(argument).acquire(3);
      say('acquired');
      return new Promise(() => setInterval(() => {}, 1000));
    }, semaphore.handle);
    await thread.said();
    const all = semaphore.acquireAsync(4);
    await thread.kill();
    (await all).unlock();
  });

  test(`on four threads never more than its permits are out (TEST_SEED=${seed})`, async () => {
    relookNever();
    const name = fresh('semaphore');
    const threads = [0, 1, 2].map(() =>
      start(async ({ sync, argument: name, random }) => {
        const semaphore = sync.semaphore(name, 3);
        const out = sync.counter(`${name} out`);
        for (let i = 0; i < 5000; i++) {
          const n = random.between(1, 3);
          const hold = random.chance(0.02) ? await semaphore.acquireAsync(n) : semaphore.acquire(n);
          if (out.add(BigInt(n)) > 3n) throw new Error('more than its permits are out');
          random.dawdle(100);
          out.add(BigInt(-n));
          hold.unlock();
        }
      }, name),
    );
    for (let i = 0; i < 500; i++) (await sync.semaphore(name, 3).acquireAsync(3)).unlock();
    await Promise.all(threads.map(thread => thread.result));
    expect(sync.semaphore(name, 3).free).toBe(3);
  });
});
