// @ts-check
/** A panel of latencies: for each contender the median, p99 and p99.9 as dots on one logarithmic axis. */

import { compact } from '../report/format.js';
import { logarithmic } from './scale.js';
import { element, text } from './svg.js';
import { barClass } from './theme.js';

const ROW = 20;
const HEAD = 58;
const FOOT = 22;
const LABELS = 190;
const RIGHT = 20;

/**
 * @typedef {object} Row
 * @property {string} name of the contender
 * @property {string} title
 * @property {[number, number, number]} percentiles p50, p99, p99.9 in milliseconds
 */

/**
 * @param {{ title: string, subtitle: string, rows: Row[] }} panel
 * @param {number} width
 * @returns {{ height: number, content: string }}
 */
export function percentilePanel({ title, subtitle, rows }, width) {
  const all = rows.flatMap(({ percentiles }) => percentiles).filter(ms => ms > 0);
  const length = width - LABELS - RIGHT;
  const { place, ticks } = logarithmic(Math.min(...all), Math.max(...all), length);
  const bottom = HEAD + rows.length * ROW;
  const grid = ticks.map(tick => {
    const x = LABELS + place(tick);
    return (
      element('path', { d: `M${x.toFixed(1)} ${HEAD - 8}V${bottom}`, class: 'grid' }) +
      text(x, bottom + 14, `${compact(tick)} ms`, { class: 'muted small middle' })
    );
  });
  const content = [
    text(0, 14, title, { class: 'heading' }),
    text(0, 31, subtitle, { class: 'muted small' }),
    ...grid,
    ...rows.map((row, i) => dots(row, HEAD + i * ROW + ROW / 2, ms => LABELS + place(ms))),
  ];
  return { height: bottom + FOOT, content: content.join('') };
}

/** @param {Row} row @param {number} y @param {(ms: number) => number} place */
function dots({ name, title, percentiles }, y, place) {
  const strength = name.startsWith('threadgate') ? 'strong' : '';
  const label = text(LABELS - 8, y + 4, title, { class: `end small ${strength}` });
  const [p50, p99, p999] = percentiles;
  if (!(p50 > 0)) return label + text(LABELS, y + 4, 'failed', { class: 'muted small' });
  const colour = barClass(name);
  const stroke = colour.replace('fill-', 'stroke-');
  return [
    label,
    element('path', {
      d: `M${place(p50).toFixed(1)} ${y}H${place(p999).toFixed(1)}`,
      class: stroke,
      'stroke-width': 2,
    }),
    element('circle', { cx: place(p999), cy: y, r: 3.5, class: `hollow ${stroke}` }),
    element('circle', { cx: place(p99), cy: y, r: 5, class: colour }),
    element('rect', { x: place(p50) - 1.5, y: y - 5, width: 3, height: 10, rx: 1, class: colour }),
  ].join('');
}
