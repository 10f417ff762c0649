import { describe, expect, test } from 'vitest';
import { Histogram } from '../../bench/load/histogram.js';
import { chooseSeed, Random } from '../support/random.js';

describe('the histogram', () => {
  const seed = chooseSeed();
  test(`finds percentiles to 1.6 %, from microseconds to minutes (seed ${seed})`, () => {
    const random = new Random(seed);
    const histogram = new Histogram();
    const all = Array.from({ length: 20_000 }, () => Math.exp(random.next() * Math.log(1e8)));
    for (const microseconds of all) histogram.record(microseconds);
    all.sort((a, b) => a - b);
    for (const share of [0.5, 0.9, 0.99, 0.999]) {
      const exact = (all[Math.ceil(all.length * share) - 1] ?? Number.NaN) / 1000;
      expect(Math.abs(histogram.percentile(share) / exact - 1)).toBeLessThan(0.016);
    }
  });

  test('counts what is below a microsecond, or before its time, as nothing', () => {
    const histogram = new Histogram();
    histogram.record(-5);
    histogram.record(0.2);
    expect(histogram.percentile(1)).toBe(0.0005);
  });

  test('has no percentiles before anything was recorded, and after a reset', () => {
    const histogram = new Histogram();
    expect(histogram.percentile(0.5)).toBeNaN();
    histogram.record(5);
    histogram.reset();
    expect(histogram.percentile(0.5)).toBeNaN();
  });
});
