// @ts-check
/** What stands on the command line, checked. */

import { InvalidArgumentError } from 'commander';
import { workloads } from './workloads.js';

/** @param {string} text */
export function parsePositive(text) {
  const value = Number(text);
  if (!(value > 0 && Number.isFinite(value))) throw new InvalidArgumentError('It must be a number above 0.');
  return value;
}

/** @param {string} text */
export function parseWhole(text) {
  const value = parsePositive(text);
  if (!Number.isInteger(value)) throw new InvalidArgumentError('It must be a whole number.');
  return value;
}

/**
 * A name means that workload; anything else all whose names begin so.
 *
 * @param {string} text @param {string[] | undefined} before
 * @returns {string[]} names
 */
export function parseWorkloads(text, before = []) {
  const all = workloads.map(({ name }) => name);
  const meant = all.includes(text) ? [text] : all.filter(name => name.startsWith(text));
  if (meant.length === 0) throw new InvalidArgumentError('No such workload.');
  return [...before, ...meant];
}
