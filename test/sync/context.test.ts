/** Context: one end for many threads. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { fresh, start, sync } from './threads.js';

const CANCELLED = 'ERR_THREADGATE_SYNC_CANCELLED';
const DEADLINE = 'ERR_THREADGATE_SYNC_DEADLINE';

test('cancelling ends it, once', () => {
  const context = sync.context();
  expect([context.isDone, context.reason, context.signal.aborted]).toEqual([false, undefined, false]);
  context.cancel();
  context.cancel();
  expect(context.reason).toMatchObject({ code: CANCELLED });
  expect(context.signal.reason).toMatchObject({ code: CANCELLED });
  expect(sync.open(context.handle).signal.aborted).toBe(true);
});

test('a deadline ends it, also its signal', async () => {
  const context = sync.context({ timeout: 20 });
  expect(context.timeLeft).toBeGreaterThan(0);
  expect(context.timeLeft).toBeLessThanOrEqual(20);
  await expect(delay(5000, undefined, { signal: context.signal })).rejects.toMatchObject({
    cause: { code: DEADLINE },
  });
  expect(context.reason).toMatchObject({ code: DEADLINE });
  expect(context.timeLeft).toBe(0);
  expect(sync.context().timeLeft).toBe(Number.POSITIVE_INFINITY);
});

test('a parent ends its children, not the other way round', () => {
  const parent = sync.context();
  const child = sync.context({ parent, timeout: 60_000 });
  const grandchild = sync.context({ parent: child });
  const sibling = sync.context({ parent });
  const { signal } = grandchild;
  sibling.cancel();
  expect(parent.isDone).toBe(false);
  parent.cancel();
  expect(signal.reason).toMatchObject({ code: CANCELLED });
  expect(grandchild.timeLeft).toBeLessThanOrEqual(60_000);
});

test('using cancels it at the end of the block', () => {
  let kept: InstanceType<typeof sync.Context>;
  {
    using context = sync.context();
    kept = context;
    expect(kept.isDone).toBe(false);
  }
  expect(kept.isDone).toBe(true);
});

describe('on every thread that holds it', () => {
  test('its signal fires, by name and by handle, for children too', async () => {
    const name = fresh('context');
    const parent = sync.context(name);
    const child = sync.context(`${name} child`, { parent });
    const anonymous = sync.context({ parent: sync.context({ parent }) });
    const thread = start(
      async ({ sync, argument, say }) => {
        const contexts = [
          sync.context(argument.name),
          sync.context(`${argument.name} child`),
          sync.open(argument.handle),
        ];
        const ends = contexts.map(
          context =>
            new Promise(resolve => {
              context.signal.addEventListener('abort', () => resolve(context.signal.reason.code));
            }),
        );
        say('listens');
        const alive = setInterval(() => {}, 1000);
        const codes = await Promise.all(ends);
        clearInterval(alive);
        return codes;
      },
      { name, handle: anonymous.handle },
    );
    await thread.said();
    expect(child.isDone).toBe(false);
    parent.cancel();
    expect(await thread.result).toEqual([CANCELLED, CANCELLED, CANCELLED]);
    expect(child.isDone).toBe(true);
  });

  test('a worker cancels, the main thread’s timer ends', async () => {
    const context = sync.context();
    const waiting = delay(60_000, undefined, { signal: context.signal });
    start(({ sync, argument }) => sync.open(argument).cancel(), context.handle);
    await expect(waiting).rejects.toMatchObject({ cause: { code: CANCELLED } });
  });

  test('the main thread cancels, a fetch on a worker ends', async () => {
    const context = sync.context();
    // Never answers.
    const server = createServer(() => context.cancel()).listen(0, '127.0.0.1');
    onTestFinished(() => void server.close());
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const thread = start(
      async ({ sync, argument: { handle, port } }) => {
        const { signal } = sync.open(handle);
        const error = await fetch(`http://127.0.0.1:${port}/`, { signal }).catch(error => error);
        return (error as { code: string }).code;
      },
      { handle: context.handle, port },
    );
    expect(await thread.result).toBe(CANCELLED);
  });

  test('the deadline is the same everywhere', async () => {
    const context = sync.context({ timeout: 200 });
    const code = await start(async ({ sync, argument }) => {
      const context = sync.open(argument);
      if (context.timeLeft > 200) throw new Error(`${context.timeLeft} ms are left`);
      await new Promise(resolve => {
        const alive = setTimeout(resolve, 5000);
        const end = () => {
          clearTimeout(alive);
          resolve(undefined);
        };
        // It may have passed while this thread was started.
        if (context.signal.aborted) end();
        context.signal.addEventListener('abort', end);
      });
      return (context.signal.reason as { code: string } | undefined)?.code;
    }, context.handle).result;
    expect(code).toBe(DEADLINE);
  });

  test('holding one does not keep the thread alive', async () => {
    const context = sync.context();
    const thread = start(({ sync, argument }) => sync.open(argument).signal.aborted, context.handle);
    expect(await thread.result).toBe(false);
    await new Promise(resolve => {
      if (thread.worker.threadId === -1) resolve(undefined);
      thread.worker.once('exit', resolve);
    });
  });
});

test('a named context takes a parent with a name only', () => {
  expect(() => sync.context(fresh('context'), { parent: sync.context() })).toThrow(
    expect.objectContaining({ code: 'ERR_THREADGATE_SYNC_ARGUMENT' }),
  );
  expect(() => sync.context({ timeout: -1 })).toThrow(
    expect.objectContaining({ code: 'ERR_THREADGATE_SYNC_ARGUMENT' }),
  );
});
