// @ts-check
/** What else than the server may have set a figure. */

import { spread } from '../statistics.js';

/** @typedef {import('../statistics.js').Sample} Sample */

/** From this share of a core on, a thread counts as busy all the time; from this share of all cores on, the machine. */
const BUSY = 0.95;
/** What others may take of a core before a figure counts as disturbed. */
const DISTURBED = 0.1;

/** @typedef {Partial<Record<'generatorCpu' | 'busiestThread' | 'serverCpu' | 'othersCpu', number>>} Shares of one core */

/** The generator had no time left, and no thread of the server was as busy. @param {Shares} shares */
export function isGeneratorLimited({ generatorCpu = 0, busiestThread = 0 }) {
  return generatorCpu >= BUSY && busiestThread < BUSY;
}

/** Server and generator had no core left between them. @param {Shares} shares @param {number} cores */
export function isMachineLimited({ generatorCpu = 0, serverCpu = 0 }, cores) {
  return generatorCpu + serverCpu >= BUSY * cores;
}

/** Other processes, or the host of this virtual machine, took part of the machine. @param {Shares} shares */
export function isDisturbed({ othersCpu = 0 }) {
  return othersCpu >= DISTURBED;
}

/** The rounds in which nobody was disturbed. @param {Record<string, Sample[]>} samples */
export function quietRounds(samples) {
  const disturbed = new Set(
    Object.values(samples).flatMap(list =>
      list.flatMap((sample, round) => (isDisturbed(sample) ? round : [])),
    ),
  );
  return Object.fromEntries(
    Object.entries(samples).map(([name, list]) => [name, list.filter((_, round) => !disturbed.has(round))]),
  );
}

/**
 * The marks of a row of figures, from the medians of its samples.
 *
 * @param {Sample[]} samples @param {number} cores
 */
export function marks(samples, cores) {
  const median = (/** @type {keyof Shares} */ key) => spread(samples.map(sample => sample[key])).median;
  const shares = {
    generatorCpu: median('generatorCpu'),
    busiestThread: median('busiestThread'),
    serverCpu: median('serverCpu'),
  };
  return [
    isGeneratorLimited(shares) ? '\\*' : '',
    isMachineLimited(shares, cores) ? '†' : '',
    isDisturbed({ othersCpu: median('othersCpu') }) ? '‡' : '',
  ].join('');
}

export const MARKS_EXPLAINED = [
  '\\* limited by the load generator: it was busy all the time, and no thread of the server was',
  '† limited by the machine: server and generator together used all cores',
  '‡ disturbed: other processes, or the host of a virtual machine, took a tenth of a core or more',
];
