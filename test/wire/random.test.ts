/** Random records between two real threads. TEST_SEED in the environment runs the same ones again. */
import { once } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Lane, type LaneEvents } from '../../dist/src/lanes/lane.js';
import { context } from '../../dist/src/sync/index.js';
import { createDirectoryMemory, DirectoryWriter } from '../../dist/src/wire/directory.js';
import { type LaneTask, WAKE } from '../../dist/src/wire/messages.js';
import { createRingMemory, largestPayload } from '../../dist/src/wire/ring.js';
import { RingWriter } from '../../dist/src/wire/ring-writer.js';
import { chooseSeed, Random } from '../support/random.js';
import { Records } from './workers/records.mjs';

const seed = chooseSeed();
const LIMITS = {
  ringBytes: 64 * 1024,
  maxInboundPerConnection: 1 << 30,
  maxInboundPerLane: 1 << 30,
  hangTimeoutMs: 0,
  hookTimeoutMs: 0,
  ending: context().handle,
};

function startWorker(script: string, workerData: object, transferList: LaneTask['port'][] = []): Worker {
  const worker = new Worker(new URL(`./workers/${script}`, import.meta.url), {
    workerData,
    transferList,
    resourceLimits: { maxOldGenerationSizeMb: 64 },
  });
  onTestFinished(async () => {
    await worker.terminate();
  });
  return worker;
}

interface Verdict {
  read: number;
  wrong: string | undefined;
  sleeps: number;
  refusedSleeps: number;
}

/** The producer's thread: this one. Writes `count` records, never more than the ring has room for. */
class Producer {
  wakes = 0;
  starved = 0;
  private readonly ring: RingWriter;
  private readonly records: Records;
  private readonly pauses: Random;

  constructor(
    memory: SharedArrayBuffer,
    largest: number,
    private readonly worker: Worker,
  ) {
    this.ring = new RingWriter(memory);
    this.records = new Records(seed, largest);
    this.pauses = new Random(seed);
  }

  async write(count: number): Promise<void> {
    while (this.records.number < count) {
      await this.writeNext();
      if (this.pauses.chance(0.02)) this.publish();
      // Long enough for the reader to empty the ring and fall asleep.
      if (this.pauses.chance(0.002)) await turn();
    }
    this.publish();
  }

  private async writeNext(): Promise<void> {
    const { type, flags, aux, target, tag, length } = this.records.next();
    const begin = (): boolean => this.ring.begin(type, flags, aux, target, tag, length);
    while (!begin()) {
      this.publish();
      const room = once(this.worker, 'message');
      this.ring.starve();
      if (begin()) break;
      this.starved++;
      await room;
    }
    this.records.fill(this.ring.bytes, this.ring.offset);
  }

  private publish(): void {
    if (!this.ring.publish()) return;
    this.wakes++;
    this.worker.postMessage(WAKE);
  }
}

test(`a million records cross the ring once, whole and in order (TEST_SEED=${seed})`, async () => {
  const count = 1_000_000;
  const memory = createRingMemory(16 * 1024);
  const largest = largestPayload(16 * 1024);
  const worker = startWorker('ring-checker.mjs', { memory, seed, count, largest });
  const verdict = new Promise<Verdict>(resolve => {
    worker.on('message', message => {
      if (typeof message === 'object') resolve(message as Verdict);
    });
  });
  const producer = new Producer(memory, largest, worker);
  const failed = once(worker, 'error').then(([error]) => Promise.reject(error));
  const { read, wrong, sleeps } = await Promise.race([
    verdict,
    failed,
    producer.write(count).then(() => verdict),
  ]);
  expect(wrong).toBeUndefined();
  expect(read).toBe(count);
  // It was no easy run: the reader slept and was woken, and the writer ran out of room.
  expect(sleeps).toBeGreaterThan(10);
  expect(producer.wakes).toBeGreaterThan(10);
  expect(producer.starved).toBeGreaterThan(10);
}, 60_000);

/** A Lane whose thread runs one of the scripts in workers/. */
function startLane(script: string, events: LaneEvents, more: object = {}): { lane: Lane; worker: Worker } {
  const memory = createDirectoryMemory(16);
  let worker: Worker | undefined;
  const lane = new Lane(0, 'file:///none', memory, new DirectoryWriter(memory), LIMITS, events, task => {
    const started = startWorker(script, { ...task, ...more }, [task.port, task.payloads]);
    worker = started;
    return new Promise((resolve, reject) => {
      started.once('error', reject);
      started.once('exit', code => {
        if (code === 0) resolve();
        else reject(new Error(`exit code ${code}`));
      });
    });
  });
  if (worker === undefined) throw new Error('the lane did not start its task');
  return { lane, worker };
}

/** What the test's own function threw must not pass for a lane's fault. */
function batchFailed(_lane: unknown, error: unknown): never {
  throw error;
}

test(`records of every size go to a lane and come back in its batches (TEST_SEED=${seed})`, async () => {
  const count = 200_000;
  // Some are larger than the ring, and some than a batch.
  const largest = 300_000;
  const sent = new Records(seed, largest);
  const expected = new Records(seed, largest);
  let wrong: string | undefined;
  let done: () => void = () => {};
  const allBack = new Promise<void>(resolve => {
    done = resolve;
  });
  const { lane } = startLane('echo-lane.mjs', {
    log() {},
    job() {},
    jobAborted() {},
    batchFailed,
    batch(_lane, batch) {
      batch.open();
      while (batch.next()) {
        expected.next();
        wrong ??= expected.difference(batch, batch.bytes, batch.offset);
      }
      if (expected.number >= count || wrong !== undefined) done();
    },
  });
  await lane.start();
  const pauses = new Random(seed);
  const scratch = Buffer.alloc(largest);
  while (sent.number < count && wrong === undefined) {
    const { type, flags, aux, target, tag, length } = sent.next();
    sent.fill(scratch, 0);
    const cut = pauses.between(0, length);
    lane.inbox.post(type, flags, aux, target, tag, scratch.subarray(0, cut), scratch.subarray(cut, length));
    // Let the backlog shrink now and then, and grow in between.
    if (lane.stats.backlogBytes > 20_000_000 || pauses.chance(0.001)) await turn();
  }
  await allBack;
  expect(wrong).toBeUndefined();
  expect((await lane.stop(1_000)).error).toBeUndefined();
  expect(expected.number).toBe(count);
  expect(lane.stats).toMatchObject({ backlogBytes: 0, ringFill: 0 });
}, 60_000);

describe('what a lane had committed when it died is delivered, in order, and nothing else', () => {
  test.each(['exit', 'throw', 'out of memory'])('when its thread ends by: %s', async way => {
    const targets: number[] = [];
    const { lane } = startLane(
      'dying-lane.mjs',
      {
        log() {},
        job() {},
        jobAborted() {},
        batchFailed,
        batch(_lane, batch) {
          batch.open();
          while (batch.next()) targets.push(batch.target);
        },
      },
      { way },
    );
    const { error } = await lane.ended;
    expect(error).toBeInstanceOf(Error);
    expect(targets).toEqual([1, 2, 3, 4]);
    expect(lane.ready).toBe(false);
  });
});
