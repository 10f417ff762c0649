// @ts-check
/** A panel of lines: how a figure changes as one number grows, a line for each contender, named at its end. */

import { compact } from '../report/format.js';
import { apart, linear } from './scale.js';
import { element, text } from './svg.js';
import { lineClass } from './theme.js';

const HEAD = 50;
const FOOT = 40;
const LEFT = 42;
const LABELS = 104;
const PLOT = 190;
const LABEL_GAP = 14;

/**
 * @typedef {object} Line
 * @property {string} name of the contender
 * @property {string} title
 * @property {{ x: number, y: number }[]} points
 */

/**
 * @param {{ title: string, subtitle: string, axis: string, lines: Line[] }} panel every line has its points at the
 *   same xs, some of which may be missing; they are drawn evenly spaced
 * @param {number} width
 * @returns {{ height: number, content: string }}
 */
export function linePanel({ title, subtitle, axis, lines }, width) {
  const xs = [...new Set(lines.flatMap(({ points }) => points.map(({ x }) => x)))].sort((a, b) => a - b);
  const most = Math.max(...lines.flatMap(({ points }) => points.map(({ y }) => y)), 0);
  const { place, ticks } = linear(most, PLOT);
  const right = width - LABELS;
  const bottom = HEAD + PLOT;
  const placeX = (/** @type {number} */ x) =>
    LEFT + (xs.length > 1 ? (xs.indexOf(x) / (xs.length - 1)) * (right - LEFT) : 0);
  const placeY = (/** @type {number} */ y) => bottom - place(y);
  const grid = ticks.map(
    tick =>
      element('path', {
        d: `M${LEFT} ${placeY(tick).toFixed(1)}H${right}`,
        class: tick === 0 ? 'axis' : 'grid',
      }) + text(LEFT - 6, placeY(tick) + 4, compact(tick), { class: 'muted small end' }),
  );
  const marks = xs.map(x => text(placeX(x), bottom + 16, compact(x), { class: 'muted small middle' }));
  const ends = lines.map(({ points }) => placeY(points.at(-1)?.y ?? 0) - HEAD);
  const labels = apart(ends, LABEL_GAP, PLOT).map((y, i) => {
    const { name, title: label } = /** @type {Line} */ (lines[i]);
    return text(right + 9, HEAD + y + 4, label, { class: `label small ${lineClass(name)}` });
  });
  const content = [
    text(0, 14, title, { class: 'heading' }),
    text(0, 31, subtitle, { class: 'muted small' }),
    ...grid,
    ...marks,
    text((LEFT + right) / 2, bottom + 32, axis, { class: 'muted small middle' }),
    ...lines.map(line => drawn(line, placeX, placeY)),
    ...labels,
  ];
  return { height: bottom + FOOT, content: content.join('') };
}

/** @param {Line} line @param {(x: number) => number} placeX @param {(y: number) => number} placeY */
function drawn({ name, points }, placeX, placeY) {
  const colour = lineClass(name);
  const path = points.map(({ x, y }) => `${placeX(x).toFixed(1)} ${placeY(y).toFixed(1)}`).join('L');
  return (
    element('path', { d: `M${path}`, class: `line ${colour}` }) +
    points
      .map(({ x, y }) => element('circle', { cx: placeX(x), cy: placeY(y), r: 3, class: colour }))
      .join('')
  );
}
