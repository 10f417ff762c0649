// @ts-check
/** The result of a run as Markdown. */

import { figure, generatorCpuEach, ratios, serverCpuEach, spread } from '../statistics.js';
import { compact, number, percent, titleFor } from './format.js';
import { MARKS_EXPLAINED, marks } from './limits.js';

/**
 * @typedef {import('../statistics.js').Sample} Sample
 * @typedef {import('../workloads.js').Workload} Workload
 *
 * @typedef {object} WorkloadResult
 * @property {Workload} workload
 * @property {{ date: string, rounds: number, seconds: number }} measured
 * @property {Record<string, Sample[]>} samples by contender, one per round
 * @property {import('../statistics.js').Verdict[]} verdicts
 *
 * @typedef {object} Result what a run has found, as it is written to the JSON file
 * @property {import('./environment.js').Environment} environment
 * @property {import('../turns.js').Method} method of the last run
 * @property {string} command of the last run
 * @property {Record<string, { title: string, settings: string }>} contenders
 * @property {Record<string, string>} skipped what each contender that could not take part needs
 * @property {WorkloadResult[]} workloads
 */

/** What ratios are taken to. */
const BASELINE = 'uws';

/** @typedef {{ name: string, head: string, unit?: string }} Column */

/** The columns of the summary. @type {Column[]} */
const SUMMARY = [
  { name: 'echo-16', head: 'echo, 16 in flight, msg/s' },
  { name: 'echo-1', head: 'echo, 1 in flight, msg/s' },
  { name: 'cpu-100', head: '100 µs of CPU each, msg/s' },
  { name: 'fanout-1000-16', head: 'to 1,000 subscribers, deliveries/s' },
  { name: 'chat', head: 'JSON chat, deliveries/s' },
  { name: 'http', head: 'HTTP, req/s' },
  { name: 'mixed', head: 'light under heavy, p99 ms (less is better)' },
  { name: 'memory', head: 'idle connection, bytes (less is better)' },
];

/** @param {Result} result */
export function markdown(result) {
  const { skipped, contenders, workloads } = result;
  return `# Benchmark

${describeMachine(result)}
Contenders took turns, round after round. Server, load generator and everything else share the machine's cores. Figures are medians of the rounds; a ratio is the median of the rounds' own ratios.

## Summary

${summary(result)}

## Floors and aims

${floors(result)}

## Figures

"server" and "generator" are shares of one core, all threads of a process added up; "µs each" is CPU for each message.

${MARKS_EXPLAINED.map(line => `- ${line}`).join('\n')}

${workloads
  .filter(({ workload }) => !workload.series)
  .map(each => section(result, each))
  .join('\n\n')}

${seriesNames(workloads)
  .map(name => seriesSection(result, name))
  .join('\n\n')}

## Settings

${Object.values(contenders)
  .map(({ title, settings }) => `- ${title}: ${settings}`)
  .join('\n')}
${Object.entries(skipped)
  .map(([name, need]) => `- ${contenders[name]?.title ?? name} was skipped: it needs ${need}`)
  .join('\n')}
`;
}

/** Machine, versions and date in one paragraph. @param {Result} result */
export function describeMachine({ environment, workloads }) {
  const { cpu, cores, memoryGiB, os, node, versions, date } = environment;
  const packages = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  const others = workloads.flatMap(({ samples }) =>
    Object.values(samples).flatMap(list => list.map(sample => sample.othersCpu)),
  );
  return [
    `${cpu}, ${cores} cores, ${memoryGiB} GiB · ${os} · Node ${node} · ${packages.join(', ')}`,
    `· ${date.slice(0, 10)} · taken by other processes and the machine's host: ${percent(spread(others).median)} of a core ` +
      `(median), ${percent(spread(others).max)} (most).`,
  ].join('\n');
}

/** One row per contender: the figure that counts, its ratio to the baseline, and its marks. @param {Result} result */
export function summary({ workloads, contenders, environment }) {
  const columns = SUMMARY.flatMap(({ name, head }) => {
    const found = workloads.find(({ workload }) => workload.name === name);
    return found ? [{ head, ...found }] : [];
  });
  if (columns.length === 0) return 'None of its workloads was measured.';
  const names = Object.keys(contenders).filter(name => columns.some(({ samples }) => samples[name]));
  const rows = names.map(name => [
    name.startsWith('threadgate') ? `**${contenders[name]?.title}**` : (contenders[name]?.title ?? name),
    ...columns.map(({ workload, samples }) => {
      const list = samples[name];
      if (!list) return '';
      const { median } = spread(list.map(sample => figure(workload, sample)));
      if (!Number.isFinite(median)) return 'failed';
      const ratio = spread(ratios(workload, samples, name, BASELINE)).median;
      const marked = compact(median) + marks(list, environment.cores);
      return Number.isFinite(ratio) ? `${marked} · ${number(ratio, 2)}` : marked;
    }),
  ]);
  const head = ['figure · ratio to uWebSockets.js', ...columns.map(column => column.head)];
  const legend = MARKS_EXPLAINED.filter(line =>
    rows.flat().some(cell => cell.includes(line.slice(0, line.indexOf(' ')))),
  );
  return [table(head, rows), legend.join('; ')].filter(Boolean).join('\n\n');
}

/** What threadgate must reach, what it should, and what it does. @param {Result} result */
export function floors(result) {
  return table(
    ['workload', 'measured', 'median', 'min – max', 'floor', 'aim', 'reached'],
    result.workloads.flatMap(each => verdictRows(result, each)),
  );
}

/** @param {Result} result @param {WorkloadResult} workloadResult */
function verdictRows({ contenders }, { workload, verdicts }) {
  const title = (/** @type {string} */ name) => contenders[name]?.title ?? name;
  const what = `${workload.title}${workload.metric === 'p99' ? ', p99' : ''}`;
  return verdicts.map(({ contender, baseline, measured, limit, aim, direction, reached }) => {
    const digits = baseline ? 2 : 0;
    return [
      what,
      baseline ? `${title(contender)} ÷ ${title(baseline)}` : `${title(contender)}, ${workload.unit}`,
      number(measured.median, digits),
      `${number(measured.min, digits)} – ${number(measured.max, digits)}`,
      `${direction} ${number(limit, digits)}`,
      number(aim, digits),
      reached,
    ];
  });
}

/** @param {Result} result @param {WorkloadResult} workloadResult */
function section({ contenders, environment }, { workload, measured, samples }) {
  const extras = [
    ...new Set(Object.values(samples).flatMap(list => list.flatMap(one => Object.keys(one.extras ?? {})))),
  ];
  const head = [
    'contender',
    workload.unit,
    'min – max',
    '÷ uWebSockets.js',
    'p50 ms',
    'p99 ms',
    'p99.9 ms',
    'server',
    'µs each',
    'generator',
    'µs each',
    ...extras,
  ];
  const rows = Object.entries(samples).map(([name, list]) => {
    const middle = (/** @type {(sample: Sample) => number | undefined} */ of) => spread(list.map(of)).median;
    const value = spread(list.map(sample => sample.value));
    const failures = list.flatMap(({ failure }) => (failure ? [failure] : []));
    const title = contenders[name]?.title ?? name;
    if (failures.length === list.length) return [title, `failed: ${failures[0]}`];
    return [
      title,
      number(value.median) +
        marks(list, environment.cores) +
        (failures.length > 0 ? ` (${failures.length} rounds failed: ${failures[0]})` : ''),
      `${number(value.min)} – ${number(value.max)}`,
      number(spread(ratios(workload, samples, name, BASELINE)).median, 2),
      ...[middle(({ p50 }) => p50), middle(({ p99 }) => p99), middle(({ p999 }) => p999)].map(ms =>
        number(ms, 2),
      ),
      percent(middle(({ serverCpu }) => serverCpu)),
      number(middle(serverCpuEach), 2),
      percent(middle(({ generatorCpu }) => generatorCpu)),
      number(middle(generatorCpuEach), 2),
      ...extras.map(extra => compact(middle(sample => sample.extras?.[extra]))),
    ];
  });
  const compared = workload.metric === 'p99' ? ' (ratios are of p99)' : '';
  return `### ${workload.title} · \`${workload.name}\`${compared}\n\n${when(measured)}\n\n${table(head, rows)}`;
}

/** @param {WorkloadResult['measured']} measured */
function when({ date, rounds, seconds }) {
  return `${rounds} ${rounds === 1 ? 'round' : 'rounds'} of ${seconds} s, ${date.slice(0, 10)}`;
}

/** @param {WorkloadResult[]} workloads @returns {string[]} */
function seriesNames(workloads) {
  return [...new Set(workloads.flatMap(({ workload }) => workload.series?.name ?? []))];
}

/** A series in one table: contenders down, the growing number across. @param {Result} result @param {string} name */
function seriesSection({ workloads, contenders }, name) {
  const points = workloads.filter(({ workload }) => workload.series?.name === name);
  const { workload, measured } = /** @type {WorkloadResult} */ (points[0]);
  const { series, unit } = workload;
  const shown = series?.shows === 'cpu' ? "the server's CPU for each message, and p99" : unit;
  const names = [...new Set(points.flatMap(({ samples }) => Object.keys(samples)))];
  const rows = names.map(contender => [
    titleFor(contenders[contender]?.title ?? contender, workload),
    ...points.map(({ samples }) => {
      const list = samples[contender];
      if (!list) return '';
      if (list.every(({ failure }) => failure)) return 'failed';
      if (series?.shows === 'value') return number(spread(list.map(({ value }) => value)).median);
      const p99 = spread(list.map(sample => sample.p99)).median;
      return `${number(spread(list.map(serverCpuEach)).median, 1)} µs, ${number(p99, 2)} ms`;
    }),
  ]);
  const head = [
    series?.axis ?? '',
    ...points.map(({ workload }) => number(workload.series?.x ?? Number.NaN)),
  ];
  return `### ${series?.title} · \`${name}-…\`: ${shown}\n\n${when(measured)}\n\n${table(head, rows)}`;
}

/** @param {string[]} head @param {string[][]} rows */
function table(head, rows) {
  return [head, head.map(() => '---'), ...rows].map(cells => `| ${cells.join(' | ')} |`).join('\n');
}
