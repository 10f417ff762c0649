// @ts-check
/** Acts in a scenario until it is told to stop, or killed. */
import { parentPort, threadId, workerData } from 'node:worker_threads';
import { Cell, scenarios } from './kill-scenarios.mjs';
import { Random } from './random.mjs';

const { primitive, name, memory, seed, role, isVictim } = workerData;
const cells = new Int32Array(memory);
const scene = { name, cells, random: new Random(seed + threadId), role, isVictim };
const scenario = scenarios[primitive];
if (scenario === undefined) throw new Error(`no scenario ${primitive}`);
parentPort?.postMessage('begun');
while (Atomics.load(cells, Cell.stop) === 0) {
  scenario.act(scene);
  if (!isVictim) Atomics.add(cells, Cell.progress, 1);
}
