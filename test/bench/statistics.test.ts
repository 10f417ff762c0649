import { describe, expect, test } from 'vitest';
import { quietRounds } from '../../bench/report/limits.js';
import { judge, ratioInterval, ratios, spread, verdicts } from '../../bench/statistics.js';
import type { Workload } from '../../bench/workloads.js';
import { Random } from '../support/random.js';

const workload: Workload = {
  name: 'echo',
  title: 'echo',
  work: 'echo',
  load: 'websocket',
  options: {},
  unit: 'msg/s',
  contenders: ['uws', 'threadgate'],
};
const samples = (...values: number[]) => values.map(value => ({ value }));

describe('spread', () => {
  test('of an odd number of figures is the middle one', () => {
    expect(spread([9, 1, 5])).toEqual({ median: 5, min: 1, max: 9 });
  });

  test('of an even number lies between the two in the middle', () => {
    expect(spread([4, 1, 2, 3])).toEqual({ median: 2.5, min: 1, max: 4 });
  });

  test('leaves out what was not measured', () => {
    expect(spread([Number.NaN, 2, undefined, null])).toEqual({ median: 2, min: 2, max: 2 });
  });

  test('of nothing is nothing', () => {
    expect(spread([])).toEqual({ median: Number.NaN, min: Number.NaN, max: Number.NaN });
  });
});

describe('ratios', () => {
  test('are taken within a round, so that a slow moment of the machine does not show', () => {
    const measured = { uws: samples(100, 10), threadgate: samples(90, 9) };
    expect(ratios(workload, measured, 'threadgate', 'uws')).toEqual([0.9, 0.9]);
  });

  test('compare what the workload names', () => {
    const measured = { uws: [{ value: 1, p99: 8 }], threadgate: [{ value: 1, p99: 2 }] };
    expect(ratios({ ...workload, metric: 'p99' }, measured, 'threadgate', 'uws')).toEqual([0.25]);
  });

  test('of a round that failed are none', () => {
    const failed = [{ value: Number.NaN, failure: 'broken' }];
    expect(ratios(workload, { uws: failed, threadgate: samples(1) }, 'threadgate', 'uws')).toEqual([
      Number.NaN,
    ]);
  });
});

describe('verdicts', () => {
  const measured = { uws: samples(100, 100, 100), threadgate: samples(80, 82, 84) };

  test.each([
    { atLeast: 0.8, aim: undefined, reached: 'aim', okWithinNoise: true },
    { atLeast: 0.8, aim: 0.9, reached: 'floor', okWithinNoise: true },
    { atLeast: 0.85, aim: 0.9, reached: 'nothing', okWithinNoise: true },
    { atLeast: 0.95, aim: undefined, reached: 'nothing', okWithinNoise: false },
  ])(
    'a floor of $atLeast and an aim of $aim under a median of 0.82',
    ({ atLeast, aim, reached, okWithinNoise }) => {
      const limits = [{ contender: 'threadgate', baseline: 'uws', atLeast, aim } as const];
      expect(verdicts({ ...workload, limits }, measured)).toMatchObject([{ reached, okWithinNoise }]);
    },
  );

  test.each([
    { atMost: 82, reached: 'aim', okWithinNoise: true },
    { atMost: 80, reached: 'nothing', okWithinNoise: true },
    { atMost: 70, reached: 'nothing', okWithinNoise: false },
  ])('a ceiling of $atMost over a median of 82', ({ atMost, reached, okWithinNoise }) => {
    const limits = [{ contender: 'threadgate', atMost } as const];
    expect(verdicts({ ...workload, limits }, measured)).toMatchObject([{ reached, okWithinNoise }]);
  });

  test('there is none for a contender that was not there', () => {
    const limits = [{ contender: 'threadgate', baseline: 'ws', atLeast: 1 } as const];
    expect(verdicts({ ...workload, limits }, measured)).toEqual([]);
  });

  test('a contender that failed misses its floor', () => {
    const limits = [{ contender: 'threadgate', baseline: 'uws', atLeast: 0.5 } as const];
    const failed = { uws: samples(1), threadgate: samples(Number.NaN) };
    expect(verdicts({ ...workload, limits }, failed)).toMatchObject([
      { reached: 'nothing', okWithinNoise: false },
    ]);
  });
});

describe('the interval of a ratio', () => {
  test("is Student's, over logarithms", () => {
    // Mean and deviation of the logarithms are 0 and 0.1, n is 4, t is 5.841.
    const d = 0.1 * Math.sqrt(3 / 4);
    const { mean, low, high } = ratioInterval([Math.exp(d), Math.exp(-d), Math.exp(d), Math.exp(-d)]);
    expect(mean).toBeCloseTo(1, 10);
    expect(low).toBeCloseTo(Math.exp((-5.841 * 0.1) / 2), 10);
    expect(high).toBeCloseTo(Math.exp((5.841 * 0.1) / 2), 10);
  });

  test('is everything for a single round', () => {
    expect(ratioInterval([1.5])).toMatchObject({ low: 0, high: Number.POSITIVE_INFINITY });
  });
});

describe('two builds', () => {
  // Always the same seed: this tests the statistics, not luck.
  const random = new Random(7);
  /** Ratios of eight rounds around `truth`, each with noise of about 5 %. */
  const rounds = (truth: number) =>
    Array.from({ length: 8 }, () => {
      const noise = random.next() + random.next() + random.next() + random.next() - 2;
      return truth * Math.exp(noise * 0.085);
    });

  test('that are the same show no difference, but for one time in a hundred', () => {
    const seen = Array.from({ length: 1000 }, () => judge(rounds(1), 'higher').verdict);
    expect(seen.filter(verdict => verdict !== 'no difference').length).toBeLessThan(25);
  });

  test('of which one is a sixth faster show it nearly always', () => {
    const seen = Array.from({ length: 1000 }, () => judge(rounds(7 / 6), 'higher').verdict);
    expect(seen.filter(verdict => verdict === 'better').length).toBeGreaterThan(950);
  });

  test('differ by nothing where they differ by less than 2 %, however sure', () => {
    expect(judge([1.01, 1.011, 1.01, 1.011], 'higher').verdict).toBe('no difference');
  });

  test.each([
    { better: 'higher', verdict: 'worse' },
    { better: 'lower', verdict: 'better' },
  ] as const)('a smaller figure is $verdict where $better is better', ({ better, verdict }) => {
    expect(judge([0.9, 0.91, 0.9, 0.89], better).verdict).toBe(verdict);
  });

  test.each([[[]], [[Number.NaN]], [[1.02]], [[0.7, 1.4, 0.9]]])('cannot be judged from %j', values => {
    expect(judge(values, 'higher').verdict).toBe('too noisy to tell');
  });
});

test('a round in which anybody was disturbed is left out for all', () => {
  const calm = { value: 1, othersCpu: 0.02 };
  const disturbed = { value: 1, othersCpu: 0.3 };
  const failed = { value: Number.NaN, failure: 'it ended' };
  const rounds = { uws: [calm, calm, calm], threadgate: [calm, disturbed, failed] };
  expect(quietRounds(rounds)).toEqual({ uws: [calm, calm], threadgate: [calm, failed] });
});
