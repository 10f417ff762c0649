/** Jobs: work that handlers, or the main thread, hand to other threads. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { JobResult, RunningGateway } from 'threadgate';
import { mutex } from 'threadgate/sync';
import { describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../support/files.js';
import { sharedGateway, startGateway } from '../support/gateway.js';
import { connectRunner } from '../support/runner.js';
import { until } from '../support/until.js';

const ECHO_ROUNDS = 200;

/** Shared with a job of work.mjs: [0] counts those that have begun, [1] lets them go. */
function createCells(): Int32Array {
  return new Int32Array(new SharedArrayBuffer(8));
}

function begun(cells: Int32Array, count = 1): Promise<boolean> {
  return until(`${count} have begun`, () => Atomics.load(cells, 0) >= count);
}

function letGo(cells: Int32Array): void {
  Atomics.store(cells, 1, 1);
  Atomics.notify(cells, 1);
}

function codeOf(result: JobResult<unknown>): string | undefined {
  return result.ok ? undefined : result.error.code;
}

function threads(gateway: RunningGateway): number {
  return gateway.stats.jobs.threads;
}

describe('gateway.run in a hook', () => {
  const gateway = sharedGateway('run-jobs.mjs', { lanes: 1, jobThreads: 2 });

  test('resolves to the value of the job, which ran on a thread of its own', async () => {
    const runner = await connectRunner(gateway().port);
    const seen = await runner.run(async peer => {
      const { threadId } = process.getBuiltinModule('node:worker_threads');
      const results = [
        await peer.gateway.run('double', 21),
        await peer.gateway.run('later', { a: [1n, new Date(0)] }),
        await peer.gateway.run('thread'),
      ];
      return { values: results.map(result => result.ok && String(result.value)), lane: threadId };
    });
    expect(seen.values.slice(0, 2)).toEqual(['42', '[object Object]']);
    expect(Number(seen.values[2])).toBeGreaterThan(0);
    expect(Number(seen.values[2])).not.toBe(seen.lane);
  });

  test('moves data where it is asked to, and copies them otherwise', async () => {
    const runner = await connectRunner(gateway().port);
    const lengths = await runner.run(async peer => {
      const copied = new Uint8Array(1000).fill(1);
      const moved = new Uint8Array(1000).fill(2);
      const first = await peer.gateway.run('later', copied);
      const second = await peer.gateway.run('later', moved, { transfer: [moved.buffer] });
      const sum = (result: typeof first): number =>
        result.ok ? (result.value as Uint8Array).reduce((a, b) => a + b) : -1;
      return [copied.length, sum(first), moved.length, sum(second)];
    });
    expect(lengths).toEqual([1000, 1000, 0, 2000]);
  });

  test('tells a failure of the job as a value, with what it threw as its cause', async () => {
    const runner = await connectRunner(gateway().port);
    const failures = await runner.run(async peer => {
      const seen = [];
      for (const name of ['fail', 'reject', 'exit', 'unknown', 'constant', 'toString', 'returnFunction']) {
        const result = await peer.gateway.run(name);
        if (result.ok) throw new Error(`${name} brought ${result.value}`);
        const { name: type, code, message, cause } = result.error;
        const {
          name: causeName,
          message: said,
          code: causeCode,
        } = (cause ?? {}) as Error & { code?: string };
        seen.push({ type, code, message, causeName, said, causeCode });
      }
      return seen;
    });
    const unknown = { type: 'UnknownJobError', code: 'ERR_THREADGATE_JOB_UNKNOWN' };
    expect(failures).toMatchObject([
      {
        type: 'JobFailedError',
        code: 'ERR_THREADGATE_JOB_FAILED',
        message: "the job 'fail' failed: out of range",
        causeName: 'RangeError',
        said: 'out of range',
        causeCode: 'E_OWN',
      },
      { code: 'ERR_THREADGATE_JOB_FAILED', message: "the job 'reject' failed: a string" },
      {
        code: 'ERR_THREADGATE_JOB_FAILED',
        message: "the thread of the job 'exit' ended: worker exited with code: 3",
      },
      { ...unknown, message: expect.stringContaining("there is no job 'unknown'") },
      unknown,
      unknown,
      { type: 'DataError', code: 'ERR_THREADGATE_DATA', message: expect.stringContaining('returnFunction') },
    ]);
  });

  test('tells misuse as a value too: data without a clone, and options that cannot be', async () => {
    const runner = await connectRunner(gateway().port);
    const codes = await runner.run(async peer => {
      const run = peer.gateway.run as (...args: unknown[]) => ReturnType<typeof peer.gateway.run>;
      const results = [
        await run.call(peer.gateway, 'double', () => {}),
        await run.call(peer.gateway, 'double', 1, { transfer: ['no object'] }),
        await run.call(peer.gateway, 'double', 1, { timeout: -1 }),
        await run.call(peer.gateway, 'double', 1, { timeout: 'soon' }),
        await run.call(peer.gateway, 'double', 1, { signal: {} }),
        await run.call(peer.gateway, Symbol('double'), 1),
      ];
      return results.map(result => (result.ok ? undefined : result.error.code));
    });
    expect(codes).toEqual([
      'ERR_THREADGATE_DATA',
      'ERR_THREADGATE_DATA',
      'ERR_THREADGATE_OPTION',
      'ERR_THREADGATE_OPTION',
      'ERR_THREADGATE_OPTION',
      'ERR_THREADGATE_JOB_UNKNOWN',
    ]);
  });

  test('is aborted by a signal, whether it runs, waits, or was never sent', async () => {
    const runner = await connectRunner(gateway().port);
    const seen = await runner.run(async (peer, { kept }) => {
      const cells = new Int32Array(new SharedArrayBuffer(8));
      kept.set('cells', cells);
      const controller = new AbortController();
      const { signal } = controller;
      const results = [
        peer.gateway.run('spin', cells, { signal }),
        peer.gateway.run('hang', cells, { signal }),
        peer.gateway.run('spin', cells, { signal }),
      ];
      while (Atomics.load(cells, 0) < 2) await new Promise(resolve => setTimeout(resolve, 1)); // runs on a lane: no events there
      controller.abort(new Error('no longer wanted'));
      results.push(peer.gateway.run('spin', cells, { signal }));
      return (await Promise.all(results)).map(result =>
        result.ok ? undefined : [result.error.code, (result.error.cause as Error).message],
      );
    });
    expect(seen).toEqual(Array.from({ length: 4 }, () => ['ERR_THREADGATE_JOB_ABORTED', 'no longer wanted']));
    // The threads that were ended are replaced as soon as there is something to do.
    expect(await gateway().run('double', 4)).toEqual({ ok: true, value: 8 });
    expect(gateway().stats.jobs).toMatchObject({ running: 0, waiting: 0 });
  });

  test('never delays the hooks of other connections on its lane, however heavy', async () => {
    const [heavy, light] = [await connectRunner(gateway().port), await connectRunner(gateway().port)];
    let over = false;
    const job = heavy
      .run(async (peer, { kept }) => {
        const cells = new Int32Array(new SharedArrayBuffer(8));
        const controller = new AbortController();
        kept.set('heavy', { cells, controller });
        const result = await peer.gateway.run('spin', cells, { signal: controller.signal });
        return result.ok || result.error.code;
      })
      .finally(() => {
        over = true;
      });
    await until('it spins', () =>
      light.run(
        (_peer, { kept }) => (kept.get('heavy') as { cells: Int32Array } | undefined)?.cells[0] === 1,
      ),
    );
    for (let i = 0; i < ECHO_ROUNDS; i++) {
      expect(await light.run((_peer, { argument }) => argument, i)).toBe(i);
    }
    expect(over).toBe(false);
    expect(gateway().stats.jobs.running).toBe(1);
    await light.run((_peer, { kept }) =>
      (kept.get('heavy') as { controller: AbortController }).controller.abort(),
    );
    expect(await job).toBe('ERR_THREADGATE_JOB_ABORTED');
  });
});

describe('gateway.run on the main thread', () => {
  const gateway = sharedGateway('run-jobs.mjs', { lanes: 1, jobThreads: 1, maxQueuedJobs: 2 });

  test('of a job whose thread is ended, what it held of threadgate/sync goes to the next', async () => {
    const cells = createCells();
    const controller = new AbortController();
    const data = { cells, name: 'held by a job' };
    const job = gateway().run('lockAndSpin', data, { signal: controller.signal });
    await begun(cells);
    expect(mutex(data.name).tryLock()).toBeUndefined();
    controller.abort();
    expect(codeOf(await job)).toBe('ERR_THREADGATE_JOB_ABORTED');
    const hold = await mutex(data.name).lockAsync({ timeout: 10_000 });
    expect(hold.ownerDied).toMatchObject({ code: 'ERR_THREADGATE_SYNC_OWNER_DIED' });
    hold.unlock();
  });

  test('has the jobs of the app', async () => {
    expect(await gateway().run('double', 4)).toEqual({ ok: true, value: 8 });
    const unknown = await gateway().run('no such job');
    expect(codeOf(unknown)).toBe('ERR_THREADGATE_JOB_UNKNOWN');
  });

  test('moves what the job names, and nothing else', async () => {
    const filled = await gateway().run('fill', 100_000);
    expect(filled.ok && (filled.value as Uint8Array).every(byte => byte === 7)).toBe(true);
    await gateway().run('move', 100);
    expect(await gateway().run('moved')).toEqual({ ok: true, value: true });
  });

  test('ends a job that has not come to an end in its time, and the next one runs', async () => {
    const cells = createCells();
    const results = [gateway().run('spin', cells, { timeout: 100 }), gateway().run('double', 1)];
    const [late, next] = await Promise.all(results);
    expect(late).toMatchObject({
      ok: false,
      error: { code: 'ERR_THREADGATE_JOB_TIMEOUT', message: "the job 'spin' was not through within 100 ms" },
    });
    expect(next).toEqual({ ok: true, value: 2 });
  });

  test('counts the time that a job waits for a thread', async () => {
    const cells = createCells();
    const held = gateway().run('hold', cells);
    await begun(cells);
    expect(codeOf(await gateway().run('double', 1, { timeout: 20 }))).toBe('ERR_THREADGATE_JOB_TIMEOUT');
    letGo(cells);
    expect((await held).ok).toBe(true);
  });

  test('takes no more than may wait: the next one is told so at once, and those before it run in order', async () => {
    const cells = createCells();
    const held = gateway().run('hold', cells);
    await begun(cells);
    const order: number[] = [];
    const waiting = [1, 2].map(n =>
      gateway()
        .run('later', n)
        .then(() => order.push(n)),
    );
    expect(await gateway().run('double', 3)).toMatchObject({
      ok: false,
      error: { code: 'ERR_THREADGATE_JOB_QUEUE_FULL', message: expect.stringContaining('1 run, 2 wait') },
    });
    expect(gateway().stats.jobs).toMatchObject({ running: 1, waiting: 2 });
    letGo(cells);
    await Promise.all([held, ...waiting]);
    expect(order).toEqual([1, 2]);
  });

  test('goes on with what waits after each end that a job can come to', async () => {
    for (const name of ['exit', 'fail', 'returnFunction']) {
      const [first, second] = await Promise.all([gateway().run(name), gateway().run('double', 4)]);
      expect(first.ok, name).toBe(false);
      expect(second, name).toEqual({ ok: true, value: 8 });
    }
  });

  test('gives every one of many jobs its own value', async () => {
    for (let round = 0; round < 100; round++) {
      const results = await Promise.all([1, 2, 3].map(n => gateway().run('double', round * 3 + n)));
      expect(results.map(result => result.ok && result.value)).toEqual(
        [1, 2, 3].map(n => (round * 3 + n) * 2),
      );
    }
  });
});

describe('threads for jobs', () => {
  test('are none where no job was asked for, and no more than jobThreads', async () => {
    const gateway = await startGateway('run-jobs.mjs', { lanes: 1, jobThreads: 2 });
    expect(threads(gateway)).toBe(0);
    const cells = createCells();
    const held = [1, 2, 3, 4].map(() => gateway.run('hold', cells));
    await begun(cells, 2);
    expect(threads(gateway)).toBe(2);
    expect(gateway.stats.jobs).toMatchObject({ running: 2, waiting: 2 });
    letGo(cells);
    const used = new Set((await Promise.all(held)).map(result => result.ok && result.value));
    expect(used.size).toBe(2);
  });

  test('are none where the app names no jobs', async () => {
    const gateway = await startGateway('run.mjs', { lanes: 1 });
    const runner = await connectRunner(gateway.port);
    const message = "there is no job 'double': the app names no module by 'jobs'";
    const error = { code: 'ERR_THREADGATE_JOB_UNKNOWN', message };
    expect(await gateway.run('double', 1)).toMatchObject({ ok: false, error });
    expect(
      await runner.run(async peer => {
        const result = await peer.gateway.run('double', 1);
        return result.ok || { code: result.error.code, message: result.error.message };
      }),
    ).toEqual(error);
    expect(threads(gateway)).toBe(0);
  });

  test('tell of a module that cannot be imported, each time', async () => {
    const gateway = await startGateway('run-broken-jobs.mjs', { lanes: 1 });
    for (let i = 0; i < 2; i++) {
      expect(await gateway.run('double', 1)).toMatchObject({
        ok: false,
        error: {
          code: 'ERR_THREADGATE_JOB_FAILED',
          message: 'the module of the jobs failed while it was imported: no jobs today',
          cause: { name: 'TypeError' },
        },
      });
    }
  });

  test.each([
    ['jobs-not-there.mjs', /names 'file:.*not-there\.mjs', which is no file/],
    ['jobs-no-module.mjs', /is neither a string nor a URL/],
  ])('an app that names what cannot be does not start (%s)', async (app, message) => {
    await expect(startGateway(`broken/${app}`)).rejects.toMatchObject({
      code: 'ERR_THREADGATE_APP',
      message: expect.stringMatching(message),
    });
  });
});

describe('jobs of one that is gone', () => {
  test('are aborted when their lane dies: those that run, and those that wait', async () => {
    const gateway = await startGateway('run-jobs.mjs', { lanes: 1, jobThreads: 1 });
    const runner = await connectRunner(gateway.port);
    runner
      .run(peer => {
        const cells = new Int32Array(new SharedArrayBuffer(8));
        for (let i = 0; i < 5; i++) peer.gateway.run('spin', cells);
      })
      .catch(() => {});
    await until('they were taken on', () => gateway.stats.jobs.waiting === 4);
    runner.run(() => process.exit(1)).catch(() => {});
    await until('they are gone', () => {
      const { running, waiting } = gateway.stats.jobs;
      return running === 0 && waiting === 0;
    });
    expect(gateway.stats.jobs.failedByCode).toEqual({ ERR_THREADGATE_JOB_ABORTED: 5 });
    await until('the lane is back', () => gateway.stats.ready);
    expect(await gateway.run('double', 4)).toEqual({ ok: true, value: 8 });
  });

  test('are aborted when the gateway closes, and later ones are refused', async () => {
    const gateway = await startGateway('run-jobs.mjs', { lanes: 1, jobThreads: 1 });
    const cells = createCells();
    const results = [gateway.run('spin', cells), gateway.run('spin', cells)];
    await begun(cells);
    await gateway.close();
    results.push(gateway.run('double', 1));
    expect((await Promise.all(results)).map(codeOf)).toEqual(Array(3).fill('ERR_THREADGATE_CLOSED'));
    expect(gateway.stats.jobs).toMatchObject({ threads: 0, running: 0, waiting: 0 });
  });

  test('are waited for by the hooks that closing waits for', async () => {
    const gateway = await startGateway('run-jobs.mjs', { lanes: 1, jobThreads: 1, drainTimeoutMs: 10_000 });
    const runner = await connectRunner(gateway.port);
    const answer = runner.run(async peer => (await peer.gateway.run('burn', 200)).ok);
    await until('it runs', () => gateway.stats.jobs.running === 1);
    answer.catch(() => {});
    await gateway.close();
    expect(gateway.stats.jobs).toMatchObject({ completed: 1, failedByCode: {} });
  });
});

test('a reload brings in the jobs anew, on threads that know nothing of the old', async () => {
  const directory = temporaryDirectory();
  const write = (version: number): void =>
    writeFileSync(join(directory, 'jobs.mjs'), `export const version = () => ${version};`);
  writeFileSync(join(directory, 'app.mjs'), "export default { fetch() {}, jobs: './jobs.mjs' };");
  write(1);
  const gateway = await startGateway(join(directory, 'app.mjs'), { lanes: 2, jobThreads: 2 });
  const versions = async () =>
    (await Promise.all([gateway.run('version'), gateway.run('version')])).map(r => r.ok && r.value);
  expect(await versions()).toEqual([1, 1]);
  for (const version of [2, 3]) {
    write(version);
    await gateway.reload();
    expect(await versions()).toEqual([version, version]);
  }
  await until('the threads of the old are gone', () => threads(gateway) <= 2);
});

test('/stats counts jobs', async () => {
  const gateway = await startGateway('run-jobs.mjs', { lanes: 1, jobThreads: 1 });
  expect(gateway.stats.jobs).toEqual({ threads: 0, running: 0, waiting: 0, completed: 0, failedByCode: {} });
  await gateway.run('double', 1);
  await gateway.run('fail');
  await gateway.run('no such job');
  expect(gateway.stats.jobs).toEqual({
    threads: 1,
    running: 0,
    waiting: 0,
    completed: 1,
    failedByCode: { ERR_THREADGATE_JOB_FAILED: 1, ERR_THREADGATE_JOB_UNKNOWN: 1 },
  });
});
