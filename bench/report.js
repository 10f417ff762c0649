// @ts-check
/** The result of a run as JSON and as Markdown. */

import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, release, totalmem, type } from 'node:os';
import { contenders } from './contenders.js';
import { uwsName } from './servers/uws-module.js';
import { spread } from './statistics.js';

/** From this share of a core on, the generator may be what limits a figure. */
const GENERATOR_BUSY = 0.95;
const SERVER_BUSY = 0.95;

/**
 * @typedef {object} WorkloadResult
 * @property {import('./workloads.js').Workload} workload
 * @property {Partial<Record<string, import('./statistics.js').Sample[]>>} samples by contender, one per round
 * @property {import('./statistics.js').Verdict[]} verdicts
 */

/** Where and with what a run took place. */
export function environment() {
  return {
    date: new Date().toISOString(),
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    os: `${type()} ${release()}`,
    node: process.version,
    packages: {
      threadgate: version('..'),
      'uWebSockets.js': version(`../node_modules/${uwsName}`),
      ws: version('../node_modules/ws'),
      autocannon: version('../node_modules/autocannon'),
    },
  };
}

/**
 * @param {ReturnType<typeof environment>} where
 * @param {{ rounds: number, seconds: number }} method
 * @param {WorkloadResult[]} results
 */
export function markdown(where, method, results) {
  const packages = Object.entries(where.packages).map(([name, version]) => `${name} ${version}`);
  return `# Benchmark

${where.cpu}, ${where.cores} cores, ${where.memoryGiB} GiB · ${where.os} · Node ${where.node} · ${packages.join(', ')}
· ${where.date.slice(0, 10)} · rounds: ${method.rounds}, ${method.seconds} s each, contenders in turn.
Server, load generator and everything else share these cores. A ratio is the median of the rounds' own ratios.

## Ratios

${table(['workload', 'measured', 'median', 'min – max', 'floor', ''], results.flatMap(verdictRows))}

## Figures

Server and generator are shares of one core. \`*\` the generator was busier than the server: the figure may be its limit.

${table(
  ['workload', 'contender', 'median', 'min – max', 'p50 ms', 'p99 ms', 'server', 'µs CPU each', 'generator'],
  results.flatMap(figureRows),
)}

## Settings

${Object.values(contenders)
  .map(contender => `- ${contender.title}: ${contender.settings}`)
  .join('\n')}
`;
}

/** @param {WorkloadResult} result */
function verdictRows({ workload, verdicts }) {
  return verdicts.map(({ contender, baseline, measured, limit, direction, ok }) => {
    const digits = baseline ? 2 : 0;
    return [
      workload.title,
      baseline ? `${title(contender)} ÷ ${title(baseline)}` : `${title(contender)}, ${workload.unit}`,
      number(measured.median, digits),
      `${number(measured.min, digits)} – ${number(measured.max, digits)}`,
      `${direction} ${limit}`,
      ok ? 'ok' : 'miss',
    ];
  });
}

/** @param {WorkloadResult} result */
function figureRows({ workload, samples }) {
  return Object.entries(samples).map(([contender, list = []]) => {
    const value = spread(list.map(sample => sample.value));
    const of = (/** @type {'p50' | 'p99' | 'serverCpu' | 'generatorCpu'} */ key) =>
      spread(list.map(sample => sample[key])).median;
    const errors = list.reduce((sum, sample) => sum + (sample.failure ? 1 : sample.errors), 0);
    const cpuEach = spread(list.map(sample => (Number(sample.serverCpu) * 1e6) / sample.value)).median;
    return [
      workload.title,
      title(contender),
      `${number(value.median)} ${workload.unit}${errors > 0 ? ` (${errors} errors)` : ''}`,
      `${number(value.min)} – ${number(value.max)}`,
      number(of('p50'), 2),
      number(of('p99'), 2),
      percent(of('serverCpu')),
      number(cpuEach, 2),
      percent(of('generatorCpu')) + (isGeneratorLimited(of('generatorCpu'), of('serverCpu')) ? ' *' : ''),
    ];
  });
}

/** @param {number} generator @param {number} server shares of one core */
export function isGeneratorLimited(generator, server) {
  return generator >= GENERATOR_BUSY && server < SERVER_BUSY;
}

/** @param {string[]} head @param {string[][]} rows */
function table(head, rows) {
  return [head, head.map(() => '---'), ...rows].map(cells => `| ${cells.join(' | ')} |`).join('\n');
}

/** @param {number} value @param {number} [digits] */
export function number(value, digits = 0) {
  if (!Number.isFinite(value)) return '–';
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** @param {number} share */
export function percent(share) {
  return Number.isFinite(share) ? `${Math.round(share * 100)} %` : '–';
}

/** @param {string} contender */
export function title(contender) {
  return contenders[/** @type {import('./contenders.js').ContenderName} */ (contender)].title;
}

/** @param {string} folder */
function version(folder) {
  return JSON.parse(readFileSync(new URL(`${folder}/package.json`, import.meta.url), 'utf8')).version;
}
