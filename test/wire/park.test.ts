/** The park by itself, on one thread, beside a ring. */
import { beforeEach, describe, expect, test } from 'vitest';
import { type ParkPlace, ParkReader, ParkWriter } from '../../dist/src/wire/park.js';
import { Inbound } from '../../dist/src/wire/records.js';
import { createRingMemory } from '../../dist/src/wire/ring.js';
import { RingReader } from '../../dist/src/wire/ring-reader.js';
import { RingWriter } from '../../dist/src/wire/ring-writer.js';

let writer: RingWriter;
let ring: RingReader;
let main: ParkReader;
let park: ParkWriter;
let blocks: Set<number>;

beforeEach(() => {
  const memory = createRingMemory(1 << 20);
  writer = new RingWriter(memory);
  ring = new RingReader(memory);
  main = new ParkReader();
  blocks = new Set();
  park = new ParkWriter({
    parkAdded(index, shared) {
      main.add(index, shared);
      blocks.add(index);
    },
    parkDropped(index) {
      main.drop(index);
      blocks.delete(index);
    },
  });
});

/** Sends a record through the ring and parks it. */
function parkOne(target: number, payload: Uint8Array = Buffer.from(`payload ${target}`)): ParkPlace {
  writer.begin(Inbound.message, 1, 3, target, 2 * target + 1, payload.length);
  writer.bytes.set(payload, writer.offset);
  writer.publish();
  if (!ring.next()) throw new Error('nothing came');
  return park.park(ring, ring.flags, ring.block.subarray(ring.offset, ring.offset + ring.length));
}

function waiting(): number[] {
  return [...main.records()].map(({ target }) => target);
}

describe('a parked record', () => {
  test('is there for main with all of its fields, and no longer in the ring', () => {
    parkOne(5);
    const [record, ...more] = [...main.records()];
    expect(more).toEqual([]);
    expect(record).toMatchObject({ type: Inbound.message, flags: 1, aux: 3, target: 5, tag: 11 });
    expect(Buffer.from(record?.payload ?? []).toString()).toBe('payload 5');
    expect(writer.fill).toBe(0);
    expect(writer.takenOrParked(main.lastFilled)).toBe(writer.end);
  });

  test('is not seen any more once it is begun; those around it are', () => {
    const places = [1, 2, 3].map(target => parkOne(target));
    park.begin(places[1] as ParkPlace);
    expect(waiting()).toEqual([1, 3]);
  });

  test('may be larger than a block', () => {
    const large = Buffer.alloc(100_000, 7);
    parkOne(1);
    const place = parkOne(2, large);
    parkOne(3);
    expect(waiting()).toEqual([1, 2, 3]);
    expect([...main.records()][1]?.payload.length).toBe(100_000);
    park.begin(place);
    expect(waiting()).toEqual([1, 3]);
  });
});

describe('many parked records', () => {
  test('come in the order in which they were parked, also after blocks were used again', () => {
    const places: [number, ParkPlace][] = [];
    for (let target = 0; target < 20_000; target++) {
      places.push([target, parkOne(target)]);
      // Most leave in order, some wait for long.
      while (places.length > 50) {
        const [[, place]] = places.splice(target % 7 === 0 ? 20 : 0, 1) as [[number, ParkPlace]];
        park.begin(place);
      }
      if (target % 997 === 0) expect(waiting()).toEqual(places.map(([waits]) => waits));
    }
    expect(waiting()).toEqual(places.map(([waits]) => waits));
    expect(blocks.size).toBeLessThan(20);
  });

  test('leave little memory behind', () => {
    const places = Array.from({ length: 20_000 }, (_, target) => parkOne(target));
    expect(blocks.size).toBeGreaterThan(5);
    for (const place of places) park.begin(place);
    expect(waiting()).toEqual([]);
    expect(blocks.size).toBeLessThanOrEqual(6);
  });

  test('leave little memory behind, also where each had a block of its own and was begun before the next came', () => {
    for (let target = 0; target < 100; target++) park.begin(parkOne(target, Buffer.alloc(50_000)));
    expect(waiting()).toEqual([]);
    expect(blocks.size).toBeLessThanOrEqual(6);
  });
});

describe('wherever the thread ends while a record goes from the ring to the park, main finds it once', () => {
  /** The shared memory after each store, as the lane's death would leave it. */
  function statesOf(action: () => void): { left: number[] }[] {
    const states: { left: number[] }[] = [];
    const look = (): void => {
      const from = writer.takenOrParked(main.lastFilled);
      const inRing = [...writer.recordsFrom(from)].map(({ target }) => target);
      states.push({ left: [...waiting(), ...inRing] });
    };
    const { store } = Atomics;
    Atomics.store = ((...args: Parameters<typeof store>) => {
      look();
      const result = store(...args);
      look();
      return result;
    }) as typeof store;
    try {
      action();
    } finally {
      Atomics.store = store;
    }
    return states;
  }

  test.each([
    ['into the block at hand', 10],
    ['into another block', 30_000],
    ['into a block of its own', 100_000],
  ])('%s', (_, length) => {
    parkOne(1, Buffer.alloc(10_000));
    writer.begin(Inbound.message, 0, 0, 2, 5, length);
    writer.publish();
    ring.next();
    const payload = ring.block.subarray(ring.offset, ring.offset + ring.length);
    const states = statesOf(() => park.park(ring, 0, payload));
    expect(states.length).toBeGreaterThanOrEqual(8);
    for (const { left } of states) expect(left).toEqual([1, 2]);
  });

  test('and also when it leaves the park: until it is begun', () => {
    const place = parkOne(1);
    parkOne(2);
    const states = statesOf(() => park.begin(place));
    expect(states.map(({ left }) => left)).toEqual([[1, 2], [2]]);
  });
});
