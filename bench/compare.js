// @ts-check
/**
 * Two builds of threadgate in turn: the working tree's and that of a git ref, for judging a change. Servers, apps and load
 * are the working tree's for both, so only the builds differ. Rounds alternate which one goes first.
 */

import { execFileSync, spawnSync } from 'node:child_process';
import { constants, cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { parsePositive, parseWhole, parseWorkloads } from './arguments.js';
import { contenders } from './contenders.js';
import { number } from './report/format.js';
import { quietRounds } from './report/limits.js';
import { describeSample } from './report/terminal.js';
import { judge, ratios, serverCpuEach } from './statistics.js';
import { takeRounds } from './turns.js';
import { workloads } from './workloads.js';

const DEFAULT = ['echo-16', 'echo-1', 'fanout-1000-16', 'cpu-100', 'http'];
const root = fileURLToPath(new URL('..', import.meta.url));

const program = new Command('npm run bench:compare --')
  .description(
    'Builds a git ref beside the working tree and measures both in turn. A difference counts where the interval that\nholds the true ratio with a confidence of 99 % excludes 1, and it is more than 2 %.',
  )
  .argument('<ref>', 'branch, tag or commit to compare with')
  .option(
    '--only <name...>',
    `workloads, or the beginning of several names (default: ${DEFAULT.join(', ')})`,
    parseWorkloads,
  )
  .option('--lanes <n>', 'lanes of both', parseWhole, 1)
  .option('--rounds <n>', 'rounds of each workload', parseWhole, 8)
  .option('--seconds <n>', 'seconds of each measurement', parsePositive, 1.5)
  .parse();

const [ref = ''] = program.args;
const given = program.opts();
const method = { rounds: given.rounds, seconds: given.seconds, tries: 4 };
const commit = resolved(ref);
const folder = mkdtempSync(join(tmpdir(), 'threadgate-bench-compare-'));
for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM'])) process.on(signal, () => process.exit(1));
process.on('exit', cleanUp);

console.log(`building ${ref} (${commit.slice(0, 10)})`);
build();

const builds = {
  [ref]: contender(join(folder, 'dist')),
  'working tree': contender(join(root, 'dist')),
};

const rows = [];
for (const name of given.only ?? DEFAULT) {
  const workload = workloads.find(each => each.name === name);
  if (!workload) throw new Error(`no workload ${name}`);
  console.log(`\n${workload.title} (${name})`);
  const samples = await takeRounds(
    workload,
    builds,
    method,
    (build, round, sample) => {
      const measured = describeSample(sample, workload, Number.NaN);
      console.log(`${String(round).padStart(4)}/${given.rounds}  ${build.padEnd(20)} ${measured}`);
    },
    { alternate: true },
  );
  const quiet = quietRounds(samples);
  const values = ratios(workload, quiet, 'working tree', ref);
  const cpu = ratios(workload, quiet, 'working tree', ref, serverCpuEach);
  rows.push({
    name,
    lines: [
      line(workload.metric === 'p99' ? 'p99' : workload.unit, judge(values, workload.better ?? 'higher')),
      line('CPU each', judge(cpu, 'lower')),
    ],
    failed: Object.values(samples)
      .flat()
      .filter(sample => sample.failure).length,
    leftOut: (samples[ref]?.length ?? 0) - values.length,
  });
}

console.log(`\nworking tree ÷ ${ref}, ${given.rounds} rounds: median (99 % interval of the mean)\n`);
for (const { name, lines, failed, leftOut } of rows) {
  console.log([name, ...lines].join('\n'));
  if (failed > 0) console.log(`  ${failed} measurements failed`);
  if (leftOut > 0) console.log(`  ${leftOut} rounds, disturbed by other processes, are left out`);
}
if (rows.some(({ failed }) => failed > 0)) process.exitCode = 1;

/** @param {string} what @param {import('./statistics.js').Judgement} judgement */
function line(what, { median, low, high, verdict }) {
  const interval = Number.isFinite(high)
    ? `${number(median, 3)} (${number(low, 3)} – ${number(high, 3)})`
    : '';
  return `  ${what.padEnd(13)} ${interval.padEnd(24)} ${verdict}`;
}

/** @param {string} dist @returns {import('./contenders.js').Contender} */
function contender(dist) {
  const { threadgate } = contenders;
  return { ...threadgate, threads: given.lanes, command: [...threadgate.command, '--dist', dist] };
}

/** @param {string} name of a ref @returns {string} its commit */
function resolved(name) {
  const { status, stdout } = git('rev-parse', '--verify', '--quiet', `${name}^{commit}`);
  if (status !== 0) program.error(`error: git knows no commit '${name}'`);
  return stdout.trim();
}

/** The ref's own build, in a worktree of its own. */
function build() {
  const { status, stderr } = git('worktree', 'add', '--detach', folder, commit);
  if (status !== 0) throw new Error(stderr);
  if (sameLock()) copyPackages();
  else run('npm', 'install', '--no-fund', '--no-audit', '--ignore-scripts');
  run('npm', 'run', 'build', '--silent');
}

/** Whether both need the same packages. */
function sameLock() {
  const [theirs, ours] = [folder, root].map(each => readFileSync(join(each, 'package-lock.json'), 'utf8'));
  return theirs === ours;
}

/** A copy, since for TypeScript packages behind a link belong to another project. */
function copyPackages() {
  const [from, to] = [root, folder].map(each => join(each, 'node_modules'));
  cpSync(/** @type {string} */ (from), /** @type {string} */ (to), {
    recursive: true,
    verbatimSymlinks: true,
    mode: constants.COPYFILE_FICLONE,
  });
}

/** @param {string} command @param {...string} args */
function run(command, ...args) {
  execFileSync(command, args, { cwd: folder, stdio: 'inherit' });
}

/** @param {...string} args */
function git(...args) {
  return spawnSync('git', args, { cwd: root, encoding: 'utf8' });
}

function cleanUp() {
  git('worktree', 'remove', '--force', folder);
  rmSync(folder, { recursive: true, force: true });
}
