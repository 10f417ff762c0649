import { describe, expect, test } from 'vitest';
import { copyInto } from '../../dist/src/wire/copy.js';

const sizes = [0, 1, 7, 8, 64, 255, 256, 257, 4096, 70_001];
const memories = {
  'from own memory into shared': [ArrayBuffer, SharedArrayBuffer],
  'from shared memory into own': [SharedArrayBuffer, ArrayBuffer],
  'from shared memory into shared': [SharedArrayBuffer, SharedArrayBuffer],
} as const;

describe.each(Object.entries(memories))('copies %s', (_name, [Source, Target]) => {
  test.each(sizes)('%i bytes, wherever they stand, and nothing beside them', size => {
    for (let shift = 0; shift < 8; shift++) {
      const source = new Uint8Array(new Source(size + shift), shift).map((_, i) => 1 + (i % 251));
      const moved = new Uint8Array(new Source(size + shift), shift);
      moved.set(source);
      const target = Buffer.from(new Target(size + 16));
      copyInto(target, 8, moved);
      expect(target.subarray(8, 8 + size).equals(source)).toBe(true);
      expect([...target.subarray(0, 8), ...target.subarray(8 + size)]).toEqual(new Array(16).fill(0));
    }
  });
});

test('refuses what does not fit', () => {
  expect(() => copyInto(Buffer.alloc(100), 1, new Uint8Array(100))).toThrow(RangeError);
  expect(() => copyInto(Buffer.alloc(1000), 1, new Uint8Array(1000))).toThrow(RangeError);
});
