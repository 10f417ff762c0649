import { describe, expect, test } from 'vitest';
import { Backlog } from '../../dist/src/lanes/backlog.js';
import { chooseSeed, Random } from '../support/random.js';

/** Bytes of payload above which a record stands alone. */
const LARGEST = 1000;

/** Pushes a record whose payload is `length` bytes of its target's lowest byte. */
function push(backlog: Backlog, target: number, length = 0): void {
  backlog.push(2, 1, 7, target, target * 2, new Uint8Array(length).fill(target & 0xff));
}

describe('the backlog', () => {
  test('is empty at first, and has no head then', () => {
    const backlog = new Backlog(LARGEST);
    expect(backlog.empty).toBe(true);
    expect(backlog.peek()).toBe(false);
    expect(backlog.bytes).toBe(0);
  });

  test('gives a record back as it was pushed, both parts of its payload together', () => {
    const backlog = new Backlog(LARGEST);
    backlog.push(9, 3, 65_535, -1, -2, Uint8Array.of(1, 2, 3), Uint8Array.of(4, 5));
    expect(backlog.peek()).toBe(true);
    const { type, flags, aux, target, tag, length } = backlog;
    expect({ type, flags, aux, target, tag, length }).toEqual({
      type: 9,
      flags: 3,
      aux: 65_535,
      target: -1,
      tag: -2,
      length: 5,
    });
    expect([...backlog.payload]).toEqual([1, 2, 3, 4, 5]);
  });

  test('counts the bytes that wait', () => {
    const backlog = new Backlog(LARGEST);
    push(backlog, 1, 100);
    push(backlog, 2, 23);
    expect(backlog.bytes).toBe(123);
    backlog.peek();
    backlog.shift();
    expect(backlog.bytes).toBe(23);
    backlog.peek();
    backlog.shift();
    expect(backlog.bytes).toBe(0);
    expect(backlog.empty).toBe(true);
  });

  test('writes memory anew once it was read, but never what a lane may still read', () => {
    const backlog = new Backlog(LARGEST);
    const memory = (length: number) => {
      push(backlog, 1, length);
      backlog.peek();
      const { buffer } = backlog.payload;
      backlog.shift();
      return buffer;
    };
    expect(memory(10)).toBe(memory(10));
    const asMuch = 64 * 1024 - 16;
    const shared = memory(asMuch);
    expect(shared).toBeInstanceOf(SharedArrayBuffer);
    expect(memory(asMuch)).not.toBe(shared);
    expect(memory(10)).not.toBe(shared);
  });

  test('gives a large record shared memory that holds nothing else, so that a lane can read it there', () => {
    const backlog = new Backlog(LARGEST);
    push(backlog, 1, 10);
    push(backlog, 2, 1_000_000);
    push(backlog, 3, 10);
    backlog.peek();
    backlog.shift();
    backlog.peek();
    expect(backlog.payload.buffer.byteLength).toBeLessThan(1_000_064);
    expect(backlog.payload.buffer).toBeInstanceOf(SharedArrayBuffer);
    backlog.shift();
    expect(backlog.peek()).toBe(true);
    expect([...backlog.payload]).toEqual(Array(10).fill(3));
  });

  test('keeps a hundred thousand empty records in little more than their headers', () => {
    const backlog = new Backlog(LARGEST);
    const before = process.memoryUsage().arrayBuffers;
    for (let target = 0; target < 100_000; target++) push(backlog, target);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 * 16 * 100_000);
    expect(backlog.empty).toBe(false);
  });

  const seed = chooseSeed();
  test(`keeps order, content and count over a hundred thousand random steps (TEST_SEED=${seed})`, () => {
    const random = new Random(seed);
    const backlog = new Backlog(LARGEST);
    const lengthOf = (target: number): number => (target % 997 === 0 ? 40_000 : target % 300);
    let pushed = 0;
    let shifted = 0;
    let bytes = 0;
    for (let step = 0; step < 100_000; step++) {
      // Long stretches of growing and of shrinking.
      if (random.chance(Math.floor(step / 10_000) % 2 === 0 ? 0.7 : 0.3)) {
        push(backlog, pushed, lengthOf(pushed));
        bytes += lengthOf(pushed++);
      } else if (backlog.peek()) {
        if (backlog.target !== shifted) throw new Error(`${backlog.target} came before ${shifted}`);
        const { payload } = backlog;
        const whole =
          payload.length === lengthOf(shifted) && payload.every(byte => byte === (shifted & 0xff));
        if (!whole) throw new Error(`the payload of ${shifted} is not what it was`);
        backlog.shift();
        bytes -= lengthOf(shifted++);
      }
    }
    expect(pushed).toBeGreaterThan(40_000);
    expect(backlog.bytes).toBe(bytes);
    expect(backlog.empty).toBe(pushed === shifted);
  });
});
