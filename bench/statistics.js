// @ts-check
/** From single measurements to medians, spreads, and ratios within a round. */

/**
 * One measurement: what a load generator printed, or why there is nothing.
 *
 * @typedef {object} Sample
 * @property {number} value in the workload's unit
 * @property {number} [p50] milliseconds
 * @property {number} [p99] milliseconds
 * @property {number} [seconds]
 * @property {number} [serverCpu] share of one core
 * @property {number} [generatorCpu] share of one core
 * @property {number} [stolenCpu] share of one core
 * @property {number} errors
 * @property {string} [failure]
 *
 * @typedef {object} Spread
 * @property {number} median
 * @property {number} min
 * @property {number} max
 *
 * @typedef {object} Verdict
 * @property {string} contender
 * @property {string} [baseline]
 * @property {Spread} measured
 * @property {number} limit
 * @property {'at least' | 'at most'} direction
 * @property {boolean} ok
 * @property {boolean} okWithinNoise
 */

/** How far a figure may be on the wrong side of its limit before `--check` objects. */
const NOISE = 0.1;

/** Numbers that are not finite are left out. @param {(number | undefined | null)[]} numbers @returns {Spread} */
export function spread(numbers) {
  const sorted = numbers
    .filter(n => typeof n === 'number' && Number.isFinite(n))
    .sort((a, b) => Number(a) - Number(b));
  const at = (/** @type {number} */ i) => sorted[i] ?? Number.NaN;
  const middle = (sorted.length - 1) / 2;
  return {
    median: (at(Math.floor(middle)) + at(Math.ceil(middle))) / 2,
    min: at(0),
    max: at(sorted.length - 1),
  };
}

/**
 * Each limit against what was measured. Ratios are taken within a round, where both contenders saw the same machine, and
 * only then is their median taken.
 *
 * @param {import('./workloads.js').Workload} workload
 * @param {Partial<Record<string, Sample[]>>} samples by contender, one per round
 * @returns {Verdict[]}
 */
export function verdicts({ limits }, samples) {
  return limits
    .filter(limit => samples[limit.contender] && (!('baseline' in limit) || samples[limit.baseline]))
    .map(limit => {
      const values = (samples[limit.contender] ?? []).map(sample => sample.value);
      if ('atMost' in limit) {
        const measured = spread(values);
        const { contender, atMost } = limit;
        const ok = measured.median <= atMost;
        const okWithinNoise = measured.median <= atMost * (1 + NOISE);
        return { contender, measured, limit: atMost, direction: 'at most', ok, okWithinNoise };
      }
      const { contender, baseline, atLeast } = limit;
      const measured = spread(
        values.map((value, round) => value / Number(samples[baseline]?.[round]?.value)),
      );
      const ok = measured.median >= atLeast;
      const okWithinNoise = measured.median >= atLeast * (1 - NOISE);
      return { contender, baseline, measured, limit: atLeast, direction: 'at least', ok, okWithinNoise };
    });
}
