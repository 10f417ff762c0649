// @ts-check
/**
 * Kills worker threads at random moments while they use a primitive, and sees that the others go on and nothing is lost but
 * what the dead had in their hands.
 *
 *   npm run build && node test/sync/kill.mjs [--kills 500] [--seed N] [primitive …]
 */
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { register } from '../../dist/src/sync/index.js';
import { Cell, scenarios } from './workers/kill-scenarios.mjs';
import { Random } from './workers/random.mjs';

const LIMIT_MS = 10_000;
const VICTIMS = 2;

/** @param {string} primitive @param {number} kills @param {number} seed */
export async function kill(primitive, kills, seed) {
  const scenario = scenarios[primitive];
  if (scenario === undefined) throw new Error(`no scenario ${primitive}`);
  const random = new Random(seed);
  const memory = new SharedArrayBuffer(512 * 1024);
  const cells = new Int32Array(memory);
  const name = `${primitive} ${seed} ${performance.now()}`;
  /** @type {Error | undefined} */
  let failure;
  const startWorker = (/** @type {number} */ role, /** @type {boolean} */ isVictim) => {
    const workerData = { primitive, name, memory, seed, role, isVictim };
    const worker = register(
      new Worker(new URL('./workers/kill-worker.mjs', import.meta.url), { workerData }),
    );
    worker.on('error', error => {
      failure ??= error;
    });
    return { worker, begun: once(worker, 'message') };
  };
  const survivors = [0, 1].map(role => startWorker(role, false));
  await Promise.all(survivors.map(({ begun }) => begun));
  const scene = { name, cells, random, role: -1, isVictim: false };
  // The next victims start while one is killed: starting a thread takes longer than everything else.
  const victims = Array.from({ length: VICTIMS }, () => startWorker(0, true));
  for (let killed = 0; killed < kills; killed++) {
    const { worker, begun } = /** @type {ReturnType<typeof startWorker>} */ (victims.shift());
    await begun;
    victims.push(startWorker(0, true));
    await delay(random.next() * 3);
    await worker.terminate();
    const progress = Atomics.load(cells, Cell.progress);
    await scenario.actAsync(scene);
    await advance(cells, progress, () => failure);
  }
  for (const { worker, begun } of victims) {
    await begun;
    await worker.terminate();
  }
  Atomics.store(cells, Cell.stop, 1);
  const ended = survivors.map(({ worker }) => (worker.threadId === -1 ? undefined : once(worker, 'exit')));
  // Those that wait for something that nobody sends any more.
  await Promise.race([Promise.all(ended), delay(100)]);
  for (const { worker } of survivors) await worker.terminate();
  if (failure !== undefined) throw failure;
  await scenario.verify?.(scene, kills + VICTIMS + survivors.length);
}

/** Waits until the survivors have done something more. @param {Int32Array} cells @param {number} from @param {() => Error | undefined} failure */
async function advance(cells, from, failure) {
  const deadline = performance.now() + LIMIT_MS;
  while (Atomics.load(cells, Cell.progress) === from) {
    const error = failure();
    if (error !== undefined) throw error;
    if (performance.now() > deadline) throw new Error('the survivors hang');
    await delay(1);
  }
}

if (process.argv[1] === import.meta.filename) {
  const { values, positionals } = parseArgs({
    options: { kills: { type: 'string', default: '500' }, seed: { type: 'string' } },
    allowPositionals: true,
  });
  const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
  for (const primitive of positionals.length > 0 ? positionals : Object.keys(scenarios)) {
    const began = performance.now();
    await kill(primitive, Number(values.kills), seed);
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    console.log(`${primitive}: ${values.kills} kills, all well (${seconds} s, --seed ${seed})`);
  }
}
