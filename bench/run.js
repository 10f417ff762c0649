// @ts-check
/** The benchmark's command: chooses workloads and contenders, has them measured, and writes what was found. */

import { existsSync, readFileSync } from 'node:fs';
import { Command, Option } from 'commander';
import { parsePositive, parseWhole, parseWorkloads } from './arguments.js';
import { contenderNames, contenders } from './contenders.js';
import { environment } from './report/environment.js';
import { writeReport } from './report/files.js';
import { titleFor } from './report/format.js';
import { isDisturbed } from './report/limits.js';
import { describeSample } from './report/terminal.js';
import { verdicts } from './statistics.js';
import { roundsOf, secondsOf, takeRounds } from './turns.js';
import { workloads } from './workloads.js';

/**
 * @typedef {import('./workloads.js').Workload} Workload
 * @typedef {import('./contenders.js').ContenderName} ContenderName
 */

const LATEST = new URL('results/latest.json', import.meta.url);
const DEFAULT = { rounds: 3, seconds: 1, tries: 3 };
const QUICK = { rounds: 2, seconds: 0.6, tries: 1 };
/** Seconds of a turn beside its measuring: starting, connecting, warming up, stopping. */
const TURN_OVERHEAD = 1.7;

const program = new Command('npm run bench --')
  .description(
    `Measures threadgate beside its peers on this machine; writes bench/results/. All of it takes about ${minutes(DEFAULT)} minutes on a quiet machine. bench/README.md says how it is done.`,
  )
  .addOption(
    new Option(
      '--only <name...>',
      `workloads, or the beginning of several names: ${names(workloads)}`,
    ).argParser(parseWorkloads),
  )
  .addOption(new Option('--contenders <name...>', 'who takes part').choices(contenderNames))
  .option('--rounds <n>', 'rounds of each workload', parseWhole, DEFAULT.rounds)
  .option('--seconds <n>', 'seconds of each measurement', parsePositive, DEFAULT.seconds)
  .option('--quick', 'only what has a floor: a first look, in about two minutes')
  .option('--check', 'exit with 1 when a figure misses its floor by more than a tenth')
  .option('--update', 'put the measured workloads into bench/results/latest.*, beside those that stand there')
  .option('--readme', "put summary and floors between the README's markers")
  .option('--from <file>', 'measure nothing: write the report anew from a JSON file of an earlier run')
  .parse();

const given = program.opts();
if (given.from) {
  writeReport(readResult(given.from), { partial: !given.from.endsWith('latest.json'), readme: given.readme });
} else {
  await measure();
}

async function measure() {
  const method = given.quick ? QUICK : { ...DEFAULT, rounds: given.rounds, seconds: given.seconds };
  const chosen = chosenWorkloads();
  const skipped = missingContenders(chosen);
  for (const [name, need] of Object.entries(skipped)) {
    console.log(`${contenders[/** @type {ContenderName} */ (name)].title} is skipped: it needs ${need}`);
  }
  const ready = chosen
    .map(workload => ({
      workload,
      takingPart: Object.fromEntries(
        workload.contenders.filter(name => !(name in skipped)).map(name => [name, contenders[name]]),
      ),
    }))
    .filter(({ takingPart }) => Object.keys(takingPart).length > 0);
  const turns = ready.reduce(
    (sum, { workload, takingPart }) => sum + Object.keys(takingPart).length * roundsOf(workload, method),
    0,
  );
  if (turns === 0) program.error('error: nobody is left to take part');
  console.log(`${turns} turns, about ${Math.ceil((turns * (method.seconds + TURN_OVERHEAD)) / 60)} minutes`);

  /** @type {import('./report/markdown.js').Result} */
  const result = {
    environment: environment(),
    method,
    command: ['npm run bench --', ...process.argv.slice(2)].join(' ').replace(/ --$/, ''),
    contenders: Object.fromEntries(contenderNames.map(name => [name, described(name)])),
    skipped,
    workloads: [],
  };
  for (const name of contenderNames) {
    if (ready.some(({ takingPart }) => name in takingPart)) contenders[name].prepare?.();
  }
  let turn = 0;
  for (const { workload, takingPart } of ready) {
    console.log(`\n${workload.title} (${workload.name})`);
    const samples = await takeRounds(workload, takingPart, method, (name, round, sample) => {
      const title = titleFor(contenders[/** @type {ContenderName} */ (name)].title, workload);
      const progress = `${String(++turn).padStart(4)}/${turns}  round ${round}`;
      console.log(
        `${progress}  ${title.padEnd(35)} ${describeSample(sample, workload, result.environment.cores)}`,
      );
    });
    const measured = {
      date: new Date().toISOString(),
      rounds: roundsOf(workload, method),
      seconds: secondsOf(workload, method),
    };
    result.workloads.push({ workload, measured, samples, verdicts: verdicts(workload, samples) });
    // After each workload, so that a run which is broken off has not been for nothing.
    writeReport(result, { partial: true });
  }
  const { text, files } = given.update
    ? writeReport(existsSync(LATEST) ? updated(readResult(LATEST), result) : result, { readme: given.readme })
    : writeReport(result, { partial: isPartial(), readme: given.readme });
  console.log(`\n${text.slice(0, text.indexOf('\n## Figures'))}\n\nwritten: ${files.join(', ')}`);
  const all = result.workloads.flatMap(({ samples }) => Object.values(samples).flat());
  const disturbed = all.filter(isDisturbed).length;
  if (disturbed > 0)
    console.log(`${disturbed} of ${all.length} measurements were disturbed by other processes`);
  if (given.check && hasMissed(result)) process.exitCode = 1;
}

/** @param {string | URL} file @returns {import('./report/markdown.js').Result} */
function readResult(file) {
  if (!existsSync(file)) program.error(`error: there is no file '${file}'`);
  // JSON has no NaN, which stands for what could not be measured: it was written as null.
  return JSON.parse(readFileSync(file, 'utf8'), (_key, value) => value ?? Number.NaN);
}

/**
 * The newer figures where there are any, else the older ones.
 *
 * @param {import('./report/markdown.js').Result} older @param {import('./report/markdown.js').Result} newer
 */
function updated(older, newer) {
  const all = [...newer.workloads, ...older.workloads];
  const found = workloads.flatMap(({ name }) => all.find(({ workload }) => workload.name === name) ?? []);
  return { ...newer, workloads: found };
}

/** A limit without a verdict was not measured, because a contender was skipped: that is no pass. @param {import('./report/markdown.js').Result} result */
function hasMissed(result) {
  return result.workloads.some(
    ({ workload, verdicts: reached }) =>
      reached.length < (workload.limits?.length ?? 0) || reached.some(verdict => !verdict.okWithinNoise),
  );
}

/** @returns {Workload[]} */
function chosenWorkloads() {
  return workloads
    .filter(({ name, limits = [] }) => {
      if (given.only) return given.only.includes(name);
      return !given.quick || limits.length > 0;
    })
    .map(workload => ({
      ...workload,
      contenders: workload.contenders.filter(name => isChosen(name, workload)),
    }));
}

/** @param {ContenderName} name @param {Workload} workload */
function isChosen(name, { limits = [] }) {
  if (given.contenders) return given.contenders.includes(name);
  // A quick look at floors needs those between whom they stand, and the baseline of all ratios.
  if (!given.quick || given.only) return true;
  return name === 'uws' || limits.some(({ contender, baseline }) => name === contender || name === baseline);
}

/** @param {Workload[]} chosen @returns {Record<string, string>} what they need */
function missingContenders(chosen) {
  const wanted = contenderNames.filter(name => chosen.some(workload => workload.contenders.includes(name)));
  return Object.fromEntries(
    wanted.flatMap(name => {
      const need = contenders[name].missing?.();
      return need ? [[name, need]] : [];
    }),
  );
}

/** Whether this is less than what the README shows. */
function isPartial() {
  return Boolean(given.quick || given.only || given.contenders);
}

/** @param {ContenderName} name */
function described(name) {
  const { title, settings } = contenders[name];
  return { title, settings };
}

/** @param {import('./turns.js').Method} method */
function minutes(method) {
  const turns = workloads.reduce(
    (sum, workload) => sum + workload.contenders.length * roundsOf(workload, method),
    0,
  );
  return Math.ceil((turns * (method.seconds + TURN_OVERHEAD)) / 60);
}

/** @param {Workload[]} list */
function names(list) {
  return list.map(({ name }) => name).join(', ');
}
