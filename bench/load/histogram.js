// @ts-check
/**
 * A log-linear histogram of latencies, as HdrHistogram does it: every power of two of microseconds is divided into 64
 * buckets, so a percentile is right to 1.6 %. Recording is an increment: node:perf_hooks has a histogram too, but its
 * `record` costs a call into C++, and this one is called for each message.
 */

const SUB_BITS = 6;
const SUB_BUCKETS = 1 << SUB_BITS;

export class Histogram {
  #counts = new Uint32Array((32 - SUB_BITS + 1) * SUB_BUCKETS);

  /** @param {number} microseconds below 0 counts as 0 */
  record(microseconds) {
    const value = Math.max(0, microseconds | 0);
    const shift = Math.max(0, 31 - SUB_BITS - Math.clz32(value));
    // Below 2 × SUB_BUCKETS the shift is 0 and the bucket is the value itself.
    const bucket = shift * SUB_BUCKETS + (value >>> shift);
    this.#counts[bucket] = Number(this.#counts[bucket]) + 1;
  }

  reset() {
    this.#counts.fill(0);
  }

  /** @param {number} share 0.99 for p99 @returns {number} milliseconds, or NaN when nothing was recorded */
  percentile(share) {
    const total = this.#counts.reduce((sum, count) => sum + count, 0);
    let left = Math.ceil(total * share);
    for (let bucket = 0; bucket < this.#counts.length; bucket++) {
      left -= Number(this.#counts[bucket]);
      if (total > 0 && left <= 0) return middle(bucket) / 1000;
    }
    return Number.NaN;
  }
}

/** The microseconds in the middle of a bucket. @param {number} bucket */
function middle(bucket) {
  if (bucket < 2 * SUB_BUCKETS) return bucket + 0.5;
  const shift = Math.floor(bucket / SUB_BUCKETS) - 1;
  return (bucket - shift * SUB_BUCKETS + 0.5) * 2 ** shift;
}
