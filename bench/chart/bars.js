// @ts-check
/** A panel of horizontal bars, one for each contender, with the spread of the rounds as a thin line. */

import { compact } from '../report/format.js';
import { element, text } from './svg.js';
import { barClass } from './theme.js';

const ROW = 20;
const BAR = 12;
const HEAD = 46;
const LABELS = 190;
const VALUES = 62;

/**
 * @typedef {object} Bar
 * @property {string} name of the contender
 * @property {string} title
 * @property {import('../statistics.js').Spread} spread
 *
 * @typedef {object} Panel
 * @property {string} title
 * @property {string} subtitle
 * @property {Bar[]} bars
 */

/** @param {Panel} panel @param {number} width @returns {{ height: number, content: string }} */
export function barPanel({ title, subtitle, bars }, width) {
  const most = Math.max(...bars.map(({ spread }) => spread.max).filter(Number.isFinite), 0);
  const scale = (/** @type {number} */ value) => (value / (most || 1)) * (width - LABELS - VALUES);
  const rows = bars.map((bar, i) => row(bar, HEAD + i * ROW, scale, most));
  const content = [
    text(0, 14, title, { class: 'heading' }),
    text(0, 31, subtitle, { class: 'muted small' }),
    ...rows,
  ];
  return { height: HEAD + bars.length * ROW, content: content.join('') };
}

/** @param {Bar} bar @param {number} y @param {(value: number) => number} scale @param {number} most */
function row({ name, title, spread }, y, scale, most) {
  const strength = name.startsWith('threadgate') ? 'strong' : '';
  const label = text(LABELS - 8, y + BAR - 2, title, { class: `end small ${strength}` });
  if (!Number.isFinite(spread.median)) {
    return label + text(LABELS, y + BAR - 2, 'failed', { class: 'muted small' });
  }
  const middle = y + BAR / 2;
  return [
    label,
    element('rect', {
      x: LABELS,
      y,
      width: Math.max(1, scale(spread.median)),
      height: BAR,
      rx: 2,
      class: barClass(name),
    }),
    spread.max - spread.min > most * 0.002
      ? element('path', {
          d: `M${at(LABELS + scale(spread.min))} ${middle}H${at(LABELS + scale(spread.max))}`,
          class: 'stroke-text',
          'stroke-opacity': 0.55,
        })
      : '',
    text(LABELS + scale(spread.max) + 6, y + BAR - 2, compact(spread.median), { class: `small ${strength}` }),
  ].join('');
}

/** @param {number} place */
function at(place) {
  return place.toFixed(1);
}
