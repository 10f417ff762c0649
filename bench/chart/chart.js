// @ts-check
/** The picture of a run: throughput as bars, latency as dots, growth as lines. What was not measured is left out. */

import { serverCpuEach, spread } from '../statistics.js';
import { barPanel } from './bars.js';
import { linePanel } from './lines.js';
import { percentilePanel } from './percentiles.js';
import { element, moved, text } from './svg.js';
import { stylesheet } from './theme.js';

/**
 * @typedef {import('../report/markdown.js').Result} Result
 * @typedef {import('../report/markdown.js').WorkloadResult} WorkloadResult
 * @typedef {{ height: number, content: string }} Panel
 */

const WIDTH = 1000;
const MARGIN = 24;
const GAP = 28;
const ROW_GAP = 22;

/** Workloads shown as bars, in this order. */
const BARS = [
  'echo-16',
  'echo-1',
  'cpu-100',
  'fanout-1000-16',
  'chat',
  'http-json',
  'http-publish',
  'memory',
];
const PERCENTILES = ['latency', 'mixed'];
const SERIES = ['lanes', 'connections', 'subscribers'];

/** Where a line ends there is little room. @type {Record<string, string>} */
const SHORT = {
  threadgate: 'threadgate',
  ws: 'ws',
  cluster: 'cluster of ws',
  postmessage: 'postMessage',
  piscina: 'Piscina tasks',
  go: 'Go, gorilla',
  nchan: 'nchan',
};

/** @param {Result} result @returns {string} SVG */
export function chart(result) {
  const find = (/** @type {string} */ name) =>
    result.workloads.find(({ workload }) => workload.name === name);
  const half = (WIDTH - 2 * MARGIN - GAP) / 2;
  const third = (WIDTH - 2 * MARGIN - 2 * GAP) / 3;
  const some = (/** @type {WorkloadResult | undefined} */ found) => (found ? [found] : []);
  const rows = [
    ...inRows(
      BARS.flatMap(name => some(find(name))).map(each => bars(result, each, half)),
      2,
    ),
    ...inRows(
      PERCENTILES.flatMap(name => some(find(name))).map(each => percentiles(result, each, half)),
      2,
    ),
    ...inRows(
      SERIES.map(name => series(result, name, third)).filter(panel => panel !== undefined),
      3,
    ),
  ];
  let y = 76;
  const content = rows.map(({ panels, columns }) => {
    const width = columns === 2 ? half : third;
    const row = panels.map((panel, i) => moved(MARGIN + i * (width + GAP), y, panel.content)).join('\n');
    y += Math.max(...panels.map(({ height }) => height)) + ROW_GAP;
    return row;
  });
  const { environment } = result;
  const subtitle =
    `${environment.cpu}, ${environment.cores} cores shared with the load generator · Node ${environment.node} · ` +
    `${environment.date.slice(0, 10)} · medians of several rounds, thin lines: their spread`;
  return `${element(
    'svg',
    {
      xmlns: 'http://www.w3.org/2000/svg',
      viewBox: `0 0 ${WIDTH} ${y}`,
      width: WIDTH,
      height: y,
      role: 'img',
    },
    element('title', {}, 'threadgate beside its peers'),
    element('style', {}, stylesheet()),
    element('rect', { x: 0.5, y: 0.5, width: WIDTH - 1, height: y - 1, rx: 8, class: 'page' }),
    text(MARGIN, 36, 'threadgate beside its peers', { class: 'title' }),
    text(MARGIN, 56, subtitle, { class: 'muted' }),
    '\n',
    content.join('\n'),
  )}\n`;
}

/** @param {Panel[]} panels @param {number} columns @returns {{ panels: Panel[], columns: number }[]} */
function inRows(panels, columns) {
  return Array.from({ length: Math.ceil(panels.length / columns) }, (_, i) => ({
    panels: panels.slice(i * columns, (i + 1) * columns),
    columns,
  }));
}

/** @param {Result} result @param {WorkloadResult} found @param {number} width */
function bars({ contenders }, { workload, samples }, width) {
  const direction = workload.better === 'lower' ? 'less is better' : 'more is better';
  const list = Object.entries(samples).map(([name, rounds]) => ({
    name,
    title: contenders[name]?.title ?? name,
    spread: spread(rounds.map(({ value }) => value)),
  }));
  const sign = workload.better === 'lower' ? 1 : -1;
  list.sort((a, b) => sign * (rank(a.spread.median, sign) - rank(b.spread.median, sign)));
  return barPanel({ title: workload.title, subtitle: `${workload.unit}, ${direction}`, bars: list }, width);
}

/** What failed comes last. @param {number} value @param {number} sign */
function rank(value, sign) {
  return Number.isFinite(value) ? value : sign * Number.MAX_VALUE;
}

/** @param {Result} result @param {WorkloadResult} found @param {number} width */
function percentiles({ contenders }, { workload, samples }, width) {
  const rows = Object.entries(samples).map(([name, rounds]) => ({
    name,
    title: contenders[name]?.title ?? name,
    percentiles: /** @type {[number, number, number]} */ (
      /** @type {const} */ (['p50', 'p99', 'p999']).map(
        key => spread(rounds.map(sample => sample[key])).median,
      )
    ),
  }));
  rows.sort((a, b) => rank(a.percentiles[1], 1) - rank(b.percentiles[1], 1));
  const subtitle = 'latency: bar p50, dot p99, ring p99.9; less is better';
  return percentilePanel({ title: workload.title, subtitle, rows }, width);
}

/** @param {Result} result @param {string} name @param {number} width @returns {Panel | undefined} */
function series({ workloads, contenders }, name, width) {
  const points = workloads.filter(({ workload }) => workload.series?.name === name);
  const first = points[0]?.workload;
  if (!first?.series) return undefined;
  const byCpu = first.series.shows === 'cpu';
  const names = [...new Set(points.flatMap(({ samples }) => Object.keys(samples)))];
  const lines = names.map(contender => ({
    name: contender,
    title: SHORT[contender] ?? contenders[contender]?.title ?? contender,
    points: points
      .map(({ workload, samples }) => ({
        x: workload.series?.x ?? 0,
        y: spread((samples[contender] ?? []).map(byCpu ? serverCpuEach : ({ value }) => value)).median,
      }))
      .filter(({ y }) => Number.isFinite(y)),
  }));
  const subtitle = byCpu
    ? "µs of the server's CPU for each message; less is better"
    : `${first.unit}; more is better`;
  return linePanel(
    {
      title: first.series.title,
      subtitle,
      axis: first.series.axis,
      lines: lines.filter(({ points: all }) => all.length > 0),
    },
    width,
  );
}
