// @ts-check
/** From single measurements to medians, spreads, and ratios within a round. */

/**
 * One measurement: what a load generator printed, or why there is nothing.
 *
 * @typedef {object} Sample
 * @property {number} value in the workload's unit
 * @property {number} [p50] milliseconds
 * @property {number} [p99] milliseconds
 * @property {number} [p999] milliseconds
 * @property {number} [seconds]
 * @property {number} [serverCpu] share of one core
 * @property {number} [busiestThread] share of one core
 * @property {number} [generatorCpu] share of one core
 * @property {number} [othersCpu] share of one core that neither server nor generator had
 * @property {Record<string, number>} [extras] figures that only this kind of load has
 * @property {string} [failure]
 *
 * @typedef {Partial<Record<string, Sample[]>>} Samples by contender, one per round
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
 * @property {number} aim
 * @property {'at least' | 'at most'} direction
 * @property {'aim' | 'floor' | 'nothing'} reached
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

/** What a workload's contenders are compared by. @param {import('./workloads.js').Workload} workload @param {Sample} sample */
export function figure({ metric = 'value' }, sample) {
  return sample[metric] ?? Number.NaN;
}

/** Microseconds of the server's CPU for each message. @param {Sample} sample */
export function serverCpuEach({ serverCpu = Number.NaN, value }) {
  return (serverCpu * 1e6) / value;
}

/** Microseconds of the generator's CPU for each message. @param {Sample} sample */
export function generatorCpuEach({ generatorCpu = Number.NaN, value }) {
  return (generatorCpu * 1e6) / value;
}

/**
 * A contender's figures over a baseline's, each round by itself: there both saw the same machine. Only then is their
 * median taken.
 *
 * @param {import('./workloads.js').Workload} workload
 * @param {Samples} samples
 * @param {string} contender @param {string} baseline
 * @param {(sample: Sample) => number} [of] default: the workload's figure
 * @returns {number[]}
 */
export function ratios(workload, samples, contender, baseline, of = sample => figure(workload, sample)) {
  const base = samples[baseline] ?? [];
  return (samples[contender] ?? []).map((sample, round) => {
    const against = base[round];
    return against ? of(sample) / of(against) : Number.NaN;
  });
}

/**
 * Each limit against what was measured; none for limits of contenders that were not there.
 *
 * @param {import('./workloads.js').Workload} workload
 * @param {Samples} samples
 * @returns {Verdict[]}
 */
export function verdicts(workload, samples) {
  return (workload.limits ?? [])
    .filter(({ contender, baseline }) => samples[contender] && (!baseline || samples[baseline]))
    .map(({ contender, baseline, atLeast, atMost, aim: wanted }) => {
      const values = baseline
        ? ratios(workload, samples, contender, baseline)
        : (samples[contender] ?? []).map(sample => figure(workload, sample));
      const measured = spread(values);
      const { median } = measured;
      const limit = atMost ?? atLeast ?? Number.NaN;
      const aim = wanted ?? limit;
      const [direction, reaches, noise] =
        atMost === undefined
          ? /** @type {const} */ (['at least', (/** @type {number} */ goal) => median >= goal, 1 - NOISE])
          : /** @type {const} */ (['at most', (/** @type {number} */ goal) => median <= goal, 1 + NOISE]);
      return {
        contender,
        baseline,
        measured,
        limit,
        aim,
        direction,
        reached: reaches(aim) ? 'aim' : reaches(limit) ? 'floor' : 'nothing',
        okWithinNoise: reaches(limit * noise),
      };
    });
}

/** Student's t for a two-sided interval of 99 %, by degrees of freedom; beyond them the normal distribution's is near. */
const T99 = [
  63.66, 9.925, 5.841, 4.604, 4.032, 3.707, 3.499, 3.355, 3.25, 3.169, 3.106, 3.055, 3.012, 2.977, 2.947,
];
const T99_MANY = 2.85;

/**
 * The interval that holds the true ratio with a confidence of 99 %, from the ratios of single rounds: Student's t over
 * their logarithms.
 *
 * @param {number[]} values ratios, all above 0
 * @returns {{ mean: number, low: number, high: number }} low 0 and high Infinity when there are fewer than two
 */
export function ratioInterval(values) {
  const logs = values.filter(value => value > 0 && Number.isFinite(value)).map(Math.log);
  const n = logs.length;
  const mean = logs.reduce((sum, log) => sum + log, 0) / n;
  if (n < 2) return { mean: Math.exp(mean), low: 0, high: Number.POSITIVE_INFINITY };
  const variance = logs.reduce((sum, log) => sum + (log - mean) ** 2, 0) / (n - 1);
  const margin = (T99[n - 2] ?? T99_MANY) * Math.sqrt(variance / n);
  return { mean: Math.exp(mean), low: Math.exp(mean - margin), high: Math.exp(mean + margin) };
}

/** Smaller differences than this are nothing, however sure. */
const LEAST_DIFFERENCE = 0.02;
/** Upper over lower end of an interval from which on it says nothing. */
const WIDEST_INTERVAL = 1.25;

/**
 * @typedef {object} Judgement
 * @property {number} median
 * @property {number} low of the interval that holds the true ratio with a confidence of 99 %
 * @property {number} high
 * @property {'no difference' | 'better' | 'worse' | 'too noisy to tell'} verdict
 */

/**
 * Whether ratios of single rounds show a difference beyond noise.
 *
 * @param {number[]} values
 * @param {'higher' | 'lower'} better
 * @returns {Judgement}
 */
export function judge(values, better) {
  const { mean, low, high } = ratioInterval(values);
  const { median } = spread(values);
  if (low <= 1 && high >= 1) {
    return {
      median,
      low,
      high,
      verdict: high / low < WIDEST_INTERVAL ? 'no difference' : 'too noisy to tell',
    };
  }
  if (Math.abs(mean - 1) < LEAST_DIFFERENCE) return { median, low, high, verdict: 'no difference' };
  return { median, low, high, verdict: mean > 1 === (better === 'higher') ? 'better' : 'worse' };
}
