import { describe, expect, test } from 'vitest';
import { Backlog, type SpilledRecord } from '../../dist/src/lanes/backlog.js';
import { chooseSeed, Random } from '../support/random.js';

function record(target: number, length = 0): SpilledRecord {
  return {
    type: 2,
    flags: 0,
    aux: 0,
    target,
    tag: 0,
    payload: new Uint8Array(new SharedArrayBuffer(length)),
  };
}

describe('the backlog', () => {
  test('is empty at first, and has no head then', () => {
    const backlog = new Backlog();
    expect(backlog.empty).toBe(true);
    expect(backlog.head).toBeUndefined();
    expect(backlog.bytes).toBe(0);
  });

  test('gives records back in the order in which they came', () => {
    const backlog = new Backlog();
    for (let target = 0; target < 3; target++) backlog.push(record(target));
    const order: (number | undefined)[] = [];
    while (!backlog.empty) {
      order.push(backlog.head?.target);
      backlog.shift();
    }
    expect(order).toEqual([0, 1, 2]);
  });

  test('counts the bytes that wait', () => {
    const backlog = new Backlog();
    backlog.push(record(1, 100));
    backlog.push(record(2, 23));
    expect(backlog.bytes).toBe(123);
    backlog.shift();
    expect(backlog.bytes).toBe(23);
    backlog.shift();
    expect(backlog.bytes).toBe(0);
  });

  test('survives a shift too many', () => {
    const backlog = new Backlog();
    backlog.shift();
    backlog.push(record(1));
    expect(backlog.head?.target).toBe(1);
  });

  const seed = chooseSeed();
  test(`keeps order and count over a hundred thousand random steps (TEST_SEED=${seed})`, () => {
    const random = new Random(seed);
    const backlog = new Backlog();
    let pushed = 0;
    let shifted = 0;
    let bytes = 0;
    for (let step = 0; step < 100_000; step++) {
      // Long stretches of growing and of shrinking.
      if (random.chance(Math.floor(step / 10_000) % 2 === 0 ? 0.7 : 0.3)) {
        backlog.push(record(pushed, pushed % 5));
        bytes += pushed++ % 5;
      } else if (shifted < pushed) {
        if (backlog.head?.target !== shifted)
          throw new Error(`${backlog.head?.target} came before ${shifted}`);
        backlog.shift();
        bytes -= shifted++ % 5;
      }
    }
    expect(pushed).toBeGreaterThan(40_000);
    expect(backlog.bytes).toBe(bytes);
    expect(backlog.empty).toBe(pushed === shifted);
  });
});
