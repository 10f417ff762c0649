// @ts-check
/**
 * Turns and rounds. Contenders take turns, round after round (A B C, A B C), so that whatever else the machine does meets
 * them alike; each turn starts a fresh server, warms it up, loads it and stops it.
 */

import { runLoad, startServer } from './child.js';
import { isDisturbed } from './report/limits.js';
import { iterationsFor } from './work/burn.js';

/**
 * @typedef {import('./workloads.js').Workload} Workload
 * @typedef {import('./statistics.js').Sample} Sample
 * @typedef {import('./contenders.js').Contender} Contender
 *
 * @typedef {object} Method
 * @property {number} rounds
 * @property {number} seconds of each measurement
 * @property {number} tries turns at most, where others on the machine disturb them; the least disturbed one counts
 */

/** Milliseconds that a load may take beyond its measuring: connecting, warming up, draining. */
const LOAD_GRACE = 60_000;
/** Seconds: enough for the handlers to be compiled. */
const MIN_WARMUP = 0.5;

let iterationsPerMicrosecond = 0;

/**
 * @param {Workload} workload
 * @param {Record<string, Contender>} contenders by name, in the order of their turns
 * @param {Method} method
 * @param {(name: string, round: number, sample: Sample) => void} report called after each turn
 * @param {{ alternate?: boolean }} [options] `alternate`: every other round goes backwards, so that nobody is always first
 * @returns {Promise<Record<string, Sample[]>>}
 */
export async function takeRounds(workload, contenders, method, report, { alternate = false } = {}) {
  /** @type {Record<string, Sample[]>} */
  const samples = Object.fromEntries(Object.keys(contenders).map(name => [name, []]));
  for (let round = 1; round <= roundsOf(workload, method); round++) {
    const order = Object.entries(contenders);
    if (alternate && round % 2 === 0) order.reverse();
    for (const [name, contender] of order) {
      const sample = await takeQuietTurn(workload, contender, method);
      samples[name]?.push(sample);
      report(name, round, sample);
    }
  }
  return samples;
}

/** @param {Workload} workload @param {Method} method */
export function roundsOf(workload, method) {
  return Math.min(method.rounds, workload.maxRounds ?? method.rounds);
}

/** @param {Workload} workload @param {Method} method */
export function secondsOf(workload, method) {
  return Math.max(method.seconds, workload.minSeconds ?? 0);
}

/** @param {Workload} workload @param {Contender} contender @param {Method} method @returns {Promise<Sample>} */
async function takeQuietTurn(workload, contender, method) {
  const take = () => takeTurn(workload, contender, secondsOf(workload, method));
  let quietest = await take();
  for (let tries = 1; isDisturbed(quietest) && tries < method.tries; tries++) {
    const sample = await take();
    if (Number(sample.othersCpu) < Number(quietest.othersCpu)) quietest = sample;
  }
  return quietest;
}

/** @param {Workload} workload @param {Contender} contender @param {number} seconds @returns {Promise<Sample>} */
async function takeTurn(workload, contender, seconds) {
  const { command, env, dialect = 'websocket' } = contender;
  const threads = workload.threads ?? contender.threads ?? 1;
  /** @type {import('./child.js').Server | undefined} */
  let server;
  try {
    const args = ['--work', workload.work, '--burn', String(burnFor(workload)), '--threads', String(threads)];
    server = await startServer([...command, ...args], env);
    const { port, pid: serverPid } = server;
    const warmup = Math.max(MIN_WARMUP, seconds / 3);
    const options = { ...workload.options, dialect, port, serverPid, seconds, warmup };
    return await runLoad(workload.load, options, seconds * 1000 + LOAD_GRACE);
  } catch (error) {
    return { value: Number.NaN, failure: error instanceof Error ? error.message : String(error) };
  } finally {
    await server?.stop();
  }
}

/** Iterations of burn(). Calibrated once, and the same for all contenders. @param {Workload} workload */
function burnFor({ cpuMicroseconds = 0 }) {
  if (cpuMicroseconds === 0) return 0;
  iterationsPerMicrosecond ||= iterationsFor(1000) / 1000;
  return Math.round(cpuMicroseconds * iterationsPerMicrosecond);
}
