/** Names, handles, and what waiting does to the life of a thread. */
import { describe, expect, test } from 'vitest';
import { startNode } from '../support/child.js';
import { fresh, start, sync } from './threads.js';

const NAME = expect.objectContaining({ code: 'ERR_THREADGATE_SYNC_NAME' });

describe('a name', () => {
  test('belongs to one kind', () => {
    const name = fresh('name');
    sync.mutex(name);
    expect(() => sync.counter(name)).toThrow(NAME);
    expect(() => sync.counter('')).toThrow(NAME);
    expect(() => sync.counter('x'.repeat(513))).toThrow(NAME);
    expect(() => sync.counter(5 as never)).toThrow(NAME);
  });

  test('keeps the options that it was made with', () => {
    const name = fresh('name');
    sync.channel(name, { capacity: 5, maxBytes: 10 });
    expect(sync.channel(name)).toMatchObject({ capacity: 5, maxBytes: 10 });
    expect(() => sync.channel(name, { capacity: 6 })).toThrow(NAME);
    sync.semaphore(`${name} s`, 3);
    expect(() => sync.semaphore(`${name} s`, 4)).toThrow(NAME);
    sync.sharedMap(`${name} m`, { bytes: 2048, entries: 3 });
    expect(() => sync.sharedMap(`${name} m`, { bytes: 4096, entries: 3 })).toThrow(NAME);
  });

  test('is made by whoever comes first, on any thread, and only once', async () => {
    const name = fresh('name');
    const threads = [0, 1, 2].map(() =>
      start(({ sync, argument }) => {
        for (let i = 0; i < 500; i++) sync.counter(`${argument} ${i}`).add(1n);
      }, name),
    );
    for (let i = 0; i < 500; i++) sync.counter(`${name} ${i}`).add(1n);
    await Promise.all(threads.map(thread => thread.result));
    for (let i = 0; i < 500; i++) expect(sync.counter(`${name} ${i}`).get()).toBe(4n);
  });
});

test('of what several threads need first at the same time one is made, and no memory is lost', async () => {
  const options = { bytes: 1024, entries: 20_000 };
  const NEXT_CELL = 0;
  const used = () => Atomics.load(new Int32Array(sync.arenaMemory()), NEXT_CELL);
  const before = used();
  sync.sharedMap(fresh('a map'), options);
  const cells = used() - before;
  const names = Array.from({ length: 30 }, () => fresh('a map'));
  const memory = new SharedArrayBuffer(names.length * 4);
  const threads = [0, 1].map(() =>
    start(
      ({ sync, argument: { names, options, memory } }) => {
        const arrived = new Int32Array(memory);
        for (const [i, name] of names.entries()) {
          Atomics.add(arrived, i, 1);
          while (Atomics.load(arrived, i) < 2);
          sync.sharedMap(name, options);
        }
      },
      { names, options, memory },
    ),
  );
  await Promise.all(threads.map(thread => thread.result));
  expect(used() - before).toBe(cells * (1 + names.length));
});

test('an arena that is full says so and stays usable', () => {
  const name = fresh('big');
  expect(() => sync.channel(name, { capacity: 2 ** 20, maxBytes: 1024 })).toThrow(
    expect.objectContaining({ code: 'ERR_THREADGATE_SYNC_FULL' }),
  );
  sync.counter(`${name} counter`).add(1n);
});

test('every kind goes to another thread by its handle', async () => {
  const primitives = [
    sync.mutex(),
    sync.rwMutex(),
    sync.waitGroup(),
    sync.semaphore(2),
    sync.once(),
    sync.cond(),
    sync.counter(),
    sync.channel(),
    sync.context(),
    sync.sharedMap({ bytes: 1024, entries: 2 }),
  ];
  const names = await start(
    ({ sync, argument }) => argument.map(handle => sync.open(handle).constructor.name),
    primitives.map(primitive => primitive.handle),
  ).result;
  expect(names).toEqual(primitives.map(primitive => primitive.constructor.name));
  expect(() => sync.open({} as never)).toThrow(
    expect.objectContaining({ code: 'ERR_THREADGATE_SYNC_ARGUMENT' }),
  );
});

test('a handle of something with a name opens to the same memory, also as a parent of contexts', async () => {
  const name = fresh('context');
  const parent = sync.context(name);
  const done = await start(
    ({ sync, argument: { name, handle, memory } }) => {
      sync.useArena(memory);
      const child = sync.context(`${name} child`, { parent: sync.open(handle) });
      sync.context(name).cancel();
      return child.isDone;
    },
    { name, handle: parent.handle, memory: sync.arenaMemory() },
  ).result;
  expect(done).toBe(true);
  expect(() => sync.useArena(new SharedArrayBuffer(64))).toThrow(
    expect.objectContaining({ code: 'ERR_THREADGATE_SYNC_SETUP' }),
  );
});

test('many waits with one signal are no reason for a warning', async () => {
  const warnings: Error[] = [];
  const listen = (warning: Error) => warnings.push(warning);
  process.on('warning', listen);
  const context = sync.context();
  const children = Array.from({ length: 30 }, () => sync.context({ parent: context }).signal);
  const lock = sync.mutex();
  const hold = await lock.lockAsync();
  const waits = children.map(() => lock.lockAsync({ signal: context.signal }));
  context.cancel();
  expect((await Promise.allSettled(waits)).every(({ status }) => status === 'rejected')).toBe(true);
  expect(children.every(signal => signal.aborted)).toBe(true);
  hold.unlock();
  await new Promise(setImmediate);
  process.off('warning', listen);
  expect(warnings).toEqual([]);
});

describe('a thread', () => {
  const index = new URL('../../dist/src/sync/index.js', import.meta.url).href;
  const run = (code: string) => startNode(['--input-type=module', '-e', code]).ended;

  test('lives as long as it waits with a promise, and no longer', async () => {
    const { code, stdout } = await run(`
      import * as sync from '${index}';
      import { Worker } from 'node:worker_threads';
      const mutex = sync.mutex('a');
      const worker = sync.register(new Worker(\`
        import('${index}').then(sync => {
          sync.mutex('a').lock();
          setTimeout(() => sync.mutex('a').unlock(), 200);
        });\`, { eval: true }));
      await new Promise(resolve => worker.once('online', resolve));
      while (mutex.tryLock() !== undefined) { mutex.unlock(); await new Promise(setImmediate); }
      worker.unref();
      const hold = await mutex.lockAsync();
      console.log('locked');
      hold.unlock();
      mutex.lockAsync({ timeout: 1e6 }).then(hold => hold.unlock());
    `);
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'locked\n' });
  });

  test('that was started before the memory was there is told what to do, and can be given it', async () => {
    const { code, stdout, stderr } = await run(`
      import { Worker, setEnvironmentData } from 'node:worker_threads';
      const worker = new Worker(\`
        import { parentPort } from 'node:worker_threads';
        parentPort.once('message', async memory => {
          const sync = await import('${index}');
          try { sync.mutex('a'); } catch (error) { console.log(error.code); }
          sync.useArena(memory);
          sync.counter('n').add(5n);
          parentPort.postMessage('added');
        });\`, { eval: true });
      await new Promise(resolve => worker.once('online', resolve));
      const sync = await import('${index}');
      worker.postMessage(sync.arenaMemory());
      await new Promise(resolve => worker.once('message', resolve));
      console.log(String(sync.counter('n').get()));
    `);
    expect({ code, stdout, stderr }).toEqual({
      code: 0,
      stdout: 'ERR_THREADGATE_SYNC_SETUP\n5\n',
      stderr: '',
    });
  });
});
