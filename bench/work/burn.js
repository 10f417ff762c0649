// @ts-check
/**
 * CPU work of a known size: the same loop for every contender.
 *
 * It counts iterations and never looks at the clock. A loop that spins until a time has passed costs nothing extra when
 * another thread takes its core away; this one does, as real work would. The runner calibrates once and hands all
 * contenders the same number of iterations.
 */

/** Where results go, so that no compiler can drop the loop. */
const sink = new Int32Array(1);

/** @param {number} iterations */
export function burn(iterations) {
  let x = 1;
  for (let i = 0; i < iterations; i++) {
    x = (Math.imul(x, 1664525) + 1013904223) | 0;
  }
  sink[0] = x;
}

/**
 * How many iterations take this long on an otherwise idle core. The fastest of many tries counts: whatever else runs on
 * the machine can only make a try slower.
 *
 * @param {number} microseconds
 */
export function iterationsFor(microseconds) {
  const probe = 100_000;
  let fastest = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 200; i++) {
    const start = process.hrtime.bigint();
    burn(probe);
    fastest = Math.min(fastest, Number(process.hrtime.bigint() - start));
  }
  return Math.round((microseconds * 1000 * probe) / fastest);
}
