// @ts-check
/** Writes a result: JSON, Markdown, the chart, and the README's part. */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { chart } from '../chart/chart.js';
import { describeMachine, floors, markdown, summary } from './markdown.js';

const results = new URL('../results/', import.meta.url);
const readme = new URL('../../README.md', import.meta.url);

/**
 * A whole run is written as `latest`, which is what the README shows; any other as `partial`.
 *
 * @param {import('./markdown.js').Result} result
 * @param {{ partial?: boolean, readme?: boolean }} options
 * @returns {{ text: string, files: string[] }}
 */
export function writeReport(result, { partial = false, readme: intoReadme = false }) {
  const name = partial ? 'partial' : 'latest';
  const text = markdown(result);
  const files = {
    [`${name}.json`]: json(result),
    [`${name}.md`]: text,
    [`${name}.svg`]: chart(result),
  };
  mkdirSync(results, { recursive: true });
  for (const [file, content] of Object.entries(files)) writeFileSync(new URL(file, results), content);
  if (intoReadme) writeFileSync(readme, withTables(readFileSync(readme, 'utf8'), result));
  return { text, files: Object.keys(files).map(file => `bench/results/${file}`) };
}

/** A line for each workload, so that a difference between two runs can be read. @param {import('./markdown.js').Result} result */
function json({ workloads, ...rest }) {
  const rounded = (/** @type {string} */ _key, /** @type {unknown} */ value) =>
    typeof value === 'number' ? Number(value.toPrecision(6)) : value;
  const head = JSON.stringify(rest, null, 1).slice(0, -'\n}'.length);
  return `${head},\n "workloads": [\n${workloads.map(each => JSON.stringify(each, rounded)).join(',\n')}\n ]\n}\n`;
}

/** @param {string} text of the README @param {import('./markdown.js').Result} result */
export function withTables(text, result) {
  const table = `${summary(result)}\n\n${describeMachine(result)}`;
  return between(between(text, 'bench:table', table), 'bench:floors', floors(result));
}

/** Puts content between the two markers of that name. @param {string} text @param {string} name @param {string} content */
function between(text, name, content) {
  const [start, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
  const from = text.indexOf(start) + start.length;
  const to = text.indexOf(end);
  if (from < start.length || to < from) throw new Error(`the README has no ${start} … ${end}`);
  return `${text.slice(0, from)}\n${content}\n${text.slice(to)}`;
}
