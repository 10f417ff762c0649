// @ts-check
/**
 * Speed of threadgate/sync. Each work is compared with what one would do without it, in turn within each round; a ratio is
 * the median of the rounds' own.
 *
 *   npm run bench:sync -- [--rounds 5] [--check]     --check: exit code 1 when a ratio falls short of its floor by 10 %
 */
import { execFileSync } from 'node:child_process';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { MessageChannel, Worker } from 'node:worker_threads';
import { channel, register, sharedMap } from '../../dist/src/sync/index.js';

/** Cells as in worker.js. */
const Cell = { go: 0, stop: 16 };

/** @typedef {{ role: string, count?: number, name?: string, port?: unknown, transfer?: import('node:worker_threads').MessagePort[], seed?: number, isBackground?: boolean }} Task */
/** @typedef {{ operations: number, began: number, ended: number }} Result */

/**
 * Runs threads side by side. @param {Task[]} tasks
 * @returns {Promise<number>} nanoseconds for each operation of those that are not in the background, over all of them
 */
async function run(tasks) {
  const memory = new SharedArrayBuffer(256);
  const cells = new Int32Array(memory);
  const threads = await Promise.all(tasks.map(task => start(task, memory)));
  Atomics.store(cells, Cell.go, 1);
  Atomics.notify(cells, Cell.go);
  const foreground = threads.filter((_, i) => !tasks[i]?.isBackground);
  const results = await Promise.all(foreground.map(({ result }) => result));
  Atomics.store(cells, Cell.stop, 1);
  Atomics.notify(cells, Cell.stop);
  await Promise.all(threads.map(({ result }) => result));
  await Promise.all(threads.map(({ worker }) => worker.terminate()));
  const began = Math.min(...results.map(result => result.began));
  const ended = Math.max(...results.map(result => result.ended));
  return (ended - began) / results.reduce((sum, { operations }) => sum + operations, 0);
}

/** @param {Task} task @param {SharedArrayBuffer} memory */
async function start({ transfer = [], ...task }, memory) {
  const worker = register(
    new Worker(new URL('worker.js', import.meta.url), {
      workerData: { memory, ...task },
      transferList: transfer,
    }),
  );
  /** @type {Promise<Result>} */
  const result = new Promise((resolve, reject) => {
    worker.on('error', reject);
    worker.on('message', message => {
      if (message !== 'ready') resolve(message);
    });
  });
  await new Promise(resolve => worker.once('message', resolve));
  return { worker, result };
}

let names = 0;
const fresh = () => `bench ${++names}`;

/** Two threads count; a third owns the counter and is asked. */
function askOwner() {
  const ports = [new MessageChannel(), new MessageChannel()];
  const owned = ports.map(({ port1 }) => port1);
  return run([
    { role: 'own', port: owned, transfer: owned, isBackground: true },
    ...ports.map(({ port2 }) => ({ role: 'ask', count: 10_000, port: port2, transfer: [port2] })),
  ]);
}

function post() {
  const { port1, port2 } = new MessageChannel();
  // Nanoseconds for each value: both threads count the same ones.
  return run([
    { role: 'post', count: 100_000, port: port1, transfer: [port1], isBackground: true },
    { role: 'listen', count: 100_000, port: port2, transfer: [port2] },
  ]);
}

function send() {
  const name = fresh();
  channel(name, { capacity: 1024, maxBytes: 64 });
  return run([
    { role: 'send', name, count: 2_000_000, isBackground: true },
    { role: 'receive', name, count: 2_000_000 },
  ]);
}

const mapName = fresh();
const map = sharedMap(mapName, { bytes: 4 * 2 ** 20, entries: 1000 });
for (let i = 0; i < 1000; i++) await map.setAsync(`key ${i}`, new Uint8Array(1024));

/** @param {number} readers */
function read(readers) {
  const seeds = Array.from({ length: readers }, (_, i) => i + 1);
  return run([
    { role: 'write', name: mapName, isBackground: true },
    ...seeds.map(seed => ({ role: 'read', name: mapName, count: 1_000_000, seed })),
  ]);
}

const MOST = 'at most';
const LEAST = 'at least';

const works = [
  {
    title: 'Mutex lock + unlock, uncontended ÷ its two bare Atomics operations',
    ours: () => run([{ role: 'lock', name: fresh(), count: 5_000_000 }]),
    theirs: () => run([{ role: 'bare', count: 5_000_000 }]),
    ratio: (/** @type {number} */ ours, /** @type {number} */ theirs) => ours / theirs,
    direction: MOST,
    floor: 1.5,
  },
  {
    title: 'counter under a Mutex, two threads: times faster than asking its owner by postMessage',
    ours: () => {
      const name = fresh();
      return run([0, 1].map(() => ({ role: 'countUnderLock', name, count: 2_000_000 })));
    },
    theirs: askOwner,
    ratio: (/** @type {number} */ ours, /** @type {number} */ theirs) => theirs / ours,
    direction: LEAST,
    floor: 100,
  },
  {
    title: 'Channel, 64-byte values, thread to thread: times faster than MessagePort one by one',
    ours: send,
    theirs: post,
    ratio: (/** @type {number} */ ours, /** @type {number} */ theirs) => theirs / ours,
    direction: LEAST,
    floor: 8,
  },
  {
    title: 'SharedMap get, 1 KB, 1,000 keys, 1,000 writes a second: two readers ÷ one reader',
    ours: () => read(2),
    theirs: () => read(1),
    ratio: (/** @type {number} */ ours, /** @type {number} */ theirs) => theirs / ours,
    direction: LEAST,
    floor: 1.8,
  },
];

/** The ceiling of the last work: the cores may be busy with something else. @param {number} threads */
function alone(threads) {
  return run(Array.from({ length: threads }, () => ({ role: 'alone', count: 100_000_000 })));
}

/** @param {number[]} numbers */
function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  return (Number(sorted[(sorted.length - 1) >> 1]) + Number(sorted[sorted.length >> 1])) / 2;
}

function runGo() {
  try {
    const output = execFileSync('go', ['run', new URL('go/main.go', import.meta.url).pathname]);
    return JSON.parse(output.toString());
  } catch {
    return undefined;
  }
}

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '5' }, check: { type: 'boolean', default: false } },
});
const rounds = Number(values.rounds);
console.log(
  `${cpus()[0]?.model.trim()}, ${cpus().length} cores, Node ${process.version}, ${rounds} rounds\n`,
);
console.log('| work | measured | floor | ns ours | ns beside | |\n|---|---|---|---|---|---|');
for (const { title, ours, theirs, ratio, direction, floor } of works) {
  /** @type {{ ours: number, theirs: number }[]} */
  const samples = [];
  for (let i = 0; i < rounds; i++) samples.push({ ours: await ours(), theirs: await theirs() });
  const measured = median(samples.map(sample => ratio(sample.ours, sample.theirs)));
  const isMet = (/** @type {number} */ limit) => (direction === MOST ? measured <= limit : measured >= limit);
  const cells = [
    title,
    measured.toFixed(2),
    `${direction} ${floor}`,
    median(samples.map(sample => sample.ours)).toFixed(0),
    median(samples.map(sample => sample.theirs)).toFixed(0),
    isMet(floor) ? 'ok' : 'miss',
  ];
  console.log(`| ${cells.join(' | ')} |`);
  const NOISE = direction === MOST ? 1.1 : 0.9;
  if (values.check && !isMet(floor * NOISE)) process.exitCode = 1;
}
const ceilings = [];
for (let i = 0; i < rounds; i++) ceilings.push((await alone(1)) / (await alone(2)));
console.log(`\nTwo threads that share nothing ÷ one, on this machine now: ${median(ceilings).toFixed(2)}`);
const go = runGo();
if (go !== undefined) {
  console.log(
    `Go on this machine: lock + unlock ${go.mutex} ns, by two goroutines ${go.contended} ns, ` +
      `64 bytes through a buffered channel ${go.channel} ns`,
  );
}
