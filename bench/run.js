// @ts-check
/**
 * The benchmark's runner. Contenders take turns, round after round (A B C, A B C), so that whatever else the machine does
 * meets them alike; each turn starts a fresh server, warms it up, loads it and stops it.
 */

import { mkdirSync, writeFileSync } from 'node:fs';
import { Command, InvalidArgumentError } from 'commander';
import { iterationsFor } from './burn.js';
import { runLoad, startServer } from './child.js';
import { contenders } from './contenders.js';
import { environment, isGeneratorLimited, markdown, number, percent, title } from './report.js';
import { verdicts } from './statistics.js';
import { workloads } from './workloads.js';

/** @typedef {import('./workloads.js').Workload} Workload @typedef {import('./statistics.js').Sample} Sample */

/** Milliseconds that a load may take beyond its measuring: connecting, warming up, draining, or 15,000 connections. */
const LOAD_GRACE = 120_000;
/** Seconds: enough for the handlers to be compiled. */
const MIN_WARMUP = 0.5;
const results = new URL('results/', import.meta.url);

const program = new Command('npm run bench --')
  .description('Measures threadgate beside its peers on this machine; writes bench/results/latest.{json,md}.')
  .option(
    '--only <name...>',
    `workloads to run: ${workloads.map(workload => workload.name).join(', ')}`,
    known,
  )
  .option('--rounds <n>', 'rounds of each workload', positive, 5)
  .option('--seconds <n>', 'seconds of each measurement', positive, 3)
  .option('--quick', 'two rounds of one second: a first look, in about two minutes')
  .option('--check', 'exit with 1 when a ratio misses its floor by more than a tenth')
  .parse();

const given = program.opts();
const method = given.quick ? { rounds: 2, seconds: 1 } : { rounds: given.rounds, seconds: given.seconds };
const chosen = workloads.filter(workload => given.only?.includes(workload.name) ?? true);
const iterationsPerMicrosecond = iterationsFor(1000) / 1000;

const measured = [];
for (const workload of chosen) measured.push(await measureWorkload(workload));

const where = environment();
const report = markdown(where, method, measured);
mkdirSync(results, { recursive: true });
writeFileSync(
  new URL('latest.json', results),
  `${JSON.stringify({ ...where, method, results: measured }, null, 2)}\n`,
);
writeFileSync(new URL('latest.md', results), report);
console.log(`\n${report}`);

// A limit without a verdict was not measured, because a contender was skipped: that is no pass.
const missed = measured.some(
  ({ workload, verdicts: reached }) =>
    reached.length < workload.limits.length || reached.some(verdict => !verdict.okWithinNoise),
);
if (given.check && missed) process.exitCode = 1;

/** @param {Workload} workload */
async function measureWorkload(workload) {
  console.log(`\n${workload.title}`);
  const able = workload.contenders.filter(name => {
    const missing = contenders[name].missing?.();
    if (missing) console.log(`  ${title(name)} is skipped: it needs ${missing}`);
    return !missing;
  });
  /** @type {Record<string, Sample[]>} */
  const samples = Object.fromEntries(able.map(name => [name, []]));
  const rounds = Math.min(method.rounds, workload.maxRounds ?? method.rounds);
  for (let round = 1; round <= rounds; round++) {
    for (const name of able) {
      const sample = await takeTurn(workload, contenders[name].command);
      samples[name]?.push(sample);
      console.log(`  ${round}/${rounds}  ${title(name).padEnd(20)} ${describe(sample, workload.unit)}`);
    }
  }
  return { workload, samples, verdicts: verdicts(workload, samples) };
}

/** @param {Workload} workload @param {string[]} command @returns {Promise<Sample>} */
async function takeTurn(workload, command) {
  const burn = Math.round((workload.cpuMicroseconds ?? 0) * iterationsPerMicrosecond);
  /** @type {import('./child.js').Server | undefined} */
  let server;
  try {
    server = await startServer([...command, '--workload', workload.server, '--burn', String(burn)]);
    const { port, pid: serverPid } = server;
    const warmup = Math.max(MIN_WARMUP, method.seconds / 3);
    const options = { ...workload.options, port, serverPid, seconds: method.seconds, warmup };
    return await runLoad(workload.load, options, method.seconds * 1000 + LOAD_GRACE);
  } catch (error) {
    return { value: Number.NaN, errors: 1, failure: String(error) };
  } finally {
    await server?.stop();
  }
}

/** @param {Sample} sample @param {string} unit */
function describe({ value, p50, p99, serverCpu, generatorCpu, stolenCpu, errors, failure }, unit) {
  if (failure) return failure;
  const parts = [`${number(value).padStart(10)} ${unit}`];
  if (p99 !== undefined) parts.push(`p50 ${number(Number(p50), 2)} ms, p99 ${number(p99, 2)} ms`);
  if (serverCpu !== undefined) parts.push(`server ${percent(serverCpu)}`);
  if (generatorCpu !== undefined) parts.push(`generator ${percent(generatorCpu)}`);
  if (Number(stolenCpu) >= 0.1) parts.push(`stolen ${percent(Number(stolenCpu))}`);
  if (isGeneratorLimited(Number(generatorCpu), Number(serverCpu))) parts.push('limited by the generator');
  if (errors > 0) parts.push(`${errors} errors`);
  return parts.join('  ');
}

/** @param {string} text */
function positive(text) {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError('It must be a number above 0.');
  return value;
}

/** @param {string} name @param {string[] | undefined} before */
function known(name, before = []) {
  if (!workloads.some(workload => workload.name === name))
    throw new InvalidArgumentError('No such workload.');
  return [...before, name];
}
