/** The ring by itself, on one thread. With a thread on either side: random.test.ts. */
import { beforeEach, describe, expect, test } from 'vitest';
import { RECORD_HEADER_BYTES, RING_HEADER_BYTES } from '../../dist/src/wire/layout.js';
import { Inbound } from '../../dist/src/wire/records.js';
import { aligned, createRingMemory, largestPayload } from '../../dist/src/wire/ring.js';
import { RingReader } from '../../dist/src/wire/ring-reader.js';
import { RingWriter } from '../../dist/src/wire/ring-writer.js';

const CAPACITY = 4096;
const LARGEST = largestPayload(CAPACITY);

let memory: SharedArrayBuffer;
let writer: RingWriter;
let reader: RingReader;

beforeEach(() => {
  memory = createRingMemory(CAPACITY);
  writer = new RingWriter(memory);
  reader = new RingReader(memory);
});

/** Bytes that tell one record from another. */
function content(length: number, seed: number): Buffer {
  return Buffer.from(Array.from({ length }, (_, i) => (seed * 31 + i * 7) & 0xff));
}

function write(payload: Uint8Array, target = 0): boolean {
  if (!writer.begin(Inbound.message, 0, 0, target, 0, payload.length)) return false;
  writer.bytes.set(payload, writer.offset);
  return true;
}

function put(payload: Uint8Array, target = 0): void {
  expect(write(payload, target)).toBe(true);
  writer.publish();
}

function payload(): Buffer {
  return Buffer.from(reader.block.subarray(reader.offset, reader.offset + reader.length));
}

function take(): Buffer {
  expect(reader.next()).toBe(true);
  reader.take(0, 0);
  return payload();
}

/** The payload of a record that takes up exactly so many bytes of the ring. */
function payloadFor(recordBytes: number): number {
  return recordBytes - RECORD_HEADER_BYTES;
}

describe('a record', () => {
  test('arrives with all of its fields', () => {
    writer.begin(Inbound.request, 5, 65_535, 2 ** 31 - 1, -7, 3);
    writer.bytes.set([1, 2, 3], writer.offset);
    writer.publish();
    expect(reader.next()).toBe(true);
    const { type, flags, aux, target, tag } = reader;
    expect({ type, flags, aux, target, tag }).toEqual({
      type: Inbound.request,
      flags: 5,
      aux: 65_535,
      target: 2 ** 31 - 1,
      tag: -7,
    });
    expect([...payload()]).toEqual([1, 2, 3]);
  });

  test('may be empty', () => {
    put(Buffer.alloc(0), 4);
    expect(reader.next()).toBe(true);
    expect(reader.length).toBe(0);
    expect(reader.target).toBe(4);
  });

  test('is invisible until it is published', () => {
    write(content(8, 1));
    expect(writer.unpublished).toBeGreaterThan(0);
    expect(reader.next()).toBe(false);
    writer.publish();
    expect(writer.unpublished).toBe(0);
    expect(take()).toEqual(content(8, 1));
  });

  test('begins at a multiple of 8, whatever the length of those before', () => {
    for (let length = 0; length < 20; length++) {
      put(content(length, length));
      expect(writer.offset % 8).toBe(0);
    }
    for (let length = 0; length < 20; length++) expect(take()).toEqual(content(length, length));
  });

  test('keeps its bytes for its reader after the ring has been overwritten many times', () => {
    put(content(100, 1));
    const first = take();
    const { block, offset, length } = reader;
    for (let i = 0; i < 200; i++) {
      put(content(100, i + 2));
      take();
    }
    expect(Buffer.from(block.subarray(offset, offset + length))).toEqual(first);
    expect(block.buffer).not.toBe(memory);
  });
});

describe('several records', () => {
  test('become visible all at once and come in order', () => {
    for (let i = 0; i < 10; i++) write(content(i, i), i);
    expect(reader.next()).toBe(false);
    writer.publish();
    for (let i = 0; i < 10; i++) {
      expect(take()).toEqual(content(i, i));
      expect(reader.target).toBe(i);
    }
    expect(reader.next()).toBe(false);
  });

  test('that were published after the reader had begun to read come after the rest', () => {
    put(content(8, 1));
    put(content(8, 2));
    expect(take()).toEqual(content(8, 1));
    put(content(8, 3));
    expect(take()).toEqual(content(8, 2));
    expect(take()).toEqual(content(8, 3));
  });
});

describe('a full ring', () => {
  const size = 64;

  function fill(): number {
    let count = 0;
    while (write(content(payloadFor(size), count))) count++;
    writer.publish();
    return count;
  }

  test('holds exactly as many bytes as it was made for', () => {
    expect(fill()).toBe(CAPACITY / size);
    expect(writer.fill).toBe(CAPACITY);
    for (let i = 0; i < CAPACITY / size; i++) expect(take()).toEqual(content(payloadFor(size), i));
    expect(writer.fill).toBe(0);
  });

  test('refuses one byte more, and loses nothing by refusing', () => {
    const count = fill();
    expect(writer.begin(Inbound.message, 0, 0, 0, 0, 0)).toBe(false);
    expect(writer.unpublished).toBe(0);
    for (let i = 0; i < count; i++) expect(take()).toEqual(content(payloadFor(size), i));
    expect(reader.next()).toBe(false);
  });

  test('takes records again as soon as some were read', () => {
    const count = fill();
    take();
    expect(write(content(payloadFor(size), 99))).toBe(true);
    writer.publish();
    for (let i = 1; i < count; i++) expect(take()).toEqual(content(payloadFor(size), i));
    expect(take()).toEqual(content(payloadFor(size), 99));
  });

  test('can be filled and emptied again and again', () => {
    for (let round = 0; round < 5; round++) {
      const count = fill();
      expect(count).toBe(CAPACITY / size);
      for (let i = 0; i < count; i++) expect(take()).toEqual(content(payloadFor(size), i));
    }
  });
});

describe('the end of the memory', () => {
  test('is reached by a record that fits exactly, and the next one begins at the start', () => {
    put(Buffer.alloc(payloadFor(1024)));
    put(Buffer.alloc(payloadFor(1024)));
    put(Buffer.alloc(payloadFor(1024)));
    for (let i = 0; i < 3; i++) take();
    put(content(payloadFor(1024), 7));
    expect(writer.offset).toBe(3072 + RECORD_HEADER_BYTES);
    put(content(16, 8));
    expect(writer.offset).toBe(RECORD_HEADER_BYTES);
    expect(take()).toEqual(content(payloadFor(1024), 7));
    expect(take()).toEqual(content(16, 8));
  });

  test.each([8, 16, 24, 504])('with only %d bytes left before it is skipped', left => {
    let used = 0;
    while (CAPACITY - used - left >= 1024) {
      put(Buffer.alloc(payloadFor(1024)));
      take();
      used += 1024;
    }
    const rest = CAPACITY - left - used;
    if (rest > 0) {
      put(Buffer.alloc(payloadFor(rest)));
      take();
    }
    const record = content(payloadFor(left + 8), left);
    put(record);
    expect(writer.offset).toBe(RECORD_HEADER_BYTES);
    expect(take()).toEqual(record);
    expect(writer.fill).toBe(0);
  });

  test('is not skipped where the room at the start is still taken', () => {
    for (let i = 0; i < 3; i++) put(Buffer.alloc(payloadFor(1024)));
    put(Buffer.alloc(payloadFor(1000)));
    expect(write(Buffer.alloc(payloadFor(32)))).toBe(false);
    expect(writer.unpublished).toBe(0);
    take();
    // The reader copies whole runs: now there is room, and the pad is written.
    expect(write(content(payloadFor(32), 5))).toBe(true);
    writer.publish();
    for (let i = 0; i < 3; i++) take();
    expect(take()).toEqual(content(payloadFor(32), 5));
  });
});

describe('the largest payload', () => {
  test('fits into an empty ring from every position', () => {
    for (let step = 0; step < CAPACITY / 8; step++) {
      put(Buffer.alloc(0));
      take();
      const record = content(LARGEST, step);
      put(record);
      expect(take()).toEqual(record);
    }
  });

  test('is copied whole though it is larger than the blocks that records are copied into', () => {
    const big = 1 << 20;
    memory = createRingMemory(big);
    writer = new RingWriter(memory);
    reader = new RingReader(memory);
    const record = content(largestPayload(big), 3);
    put(content(10, 1));
    put(record);
    put(content(10, 2));
    expect(take()).toEqual(content(10, 1));
    expect(take().equals(record)).toBe(true);
    expect(take()).toEqual(content(10, 2));
  });
});

test('the positions may pass 2³² bytes', () => {
  const capacity = 1 << 20;
  memory = createRingMemory(capacity);
  writer = new RingWriter(memory);
  reader = new RingReader(memory);
  const length = largestPayload(capacity);
  const rounds = Math.ceil((2 ** 32 + 4 * capacity) / aligned(length + RECORD_HEADER_BYTES));
  for (let i = 0; i < rounds; i++) {
    if (!writer.begin(Inbound.message, 0, 0, i, i, length)) throw new Error(`no room in round ${i}`);
    writer.bytes[writer.offset + length - 1] = i & 0xff;
    writer.publish();
    if (!reader.next() || reader.target !== i) throw new Error(`round ${i} brought ${reader.target}`);
    reader.take(0, 0);
    if (reader.block[reader.offset + length - 1] !== (i & 0xff))
      throw new Error(`wrong content in round ${i}`);
  }
  expect(writer.fill).toBe(0);
  expect(reader.next()).toBe(false);
});

test('records write nothing outside the memory that is theirs', () => {
  const header = Buffer.from(memory, 0, RING_HEADER_BYTES);
  const cells = [16, 17, 18, 19, 25, 32, 48, 0].map(cell => cell * 4);
  for (let i = 0; i < 100; i++) {
    put(Buffer.alloc(LARGEST, 0xff));
    take();
  }
  const others = [...header].filter((_, at) => !cells.some(cell => at >= cell && at < cell + 4));
  expect(others.every(byte => byte === 0)).toBe(true);
});

describe('a record that was read', () => {
  test('keeps its room until it is taken', () => {
    const size = 64;
    for (let i = 0; i < CAPACITY / size; i++) write(content(payloadFor(size), i));
    writer.publish();
    reader.next();
    reader.next();
    expect(write(content(payloadFor(size), 0))).toBe(false);
    reader.take(0, 0);
    expect(writer.fill).toBe(CAPACITY - 2 * size);
    expect(write(content(payloadFor(size), 0))).toBe(true);
  });

  test('is still there for another reader until it is taken, with all that came after it, published or not', () => {
    for (let i = 0; i < 5; i++) put(content(i, i), i);
    write(content(5, 5), 5);
    take();
    reader.next();
    const left = [...writer.recordsFrom(writer.taken)];
    expect(left.map(({ target }) => target)).toEqual([1, 2, 3, 4, 5]);
    expect(left.map(({ payload: bytes }) => Buffer.from(bytes))).toEqual(
      [1, 2, 3, 4, 5].map(i => content(i, i)),
    );
  });

  test('is still there across the end of the memory', () => {
    for (let target = 0; target < 100; target++) {
      put(content(200, target), target);
      put(content(700, target), target);
      const left = [...writer.recordsFrom(writer.taken)];
      expect(left.map(({ payload: { length } }) => length)).toEqual([200, 700]);
      expect(Buffer.from(left[1]?.payload ?? [])).toEqual(content(700, target));
      take();
      take();
    }
  });

  test('tells whose it is when it is taken', () => {
    put(content(8, 1), 77);
    reader.next();
    reader.take(77, 5);
    expect(writer.current).toEqual({ type: Inbound.message, slot: 77, tag: 5 });
  });

  test('is left out with all others up to a position', () => {
    put(content(8, 1), 1);
    put(content(8, 2), 2);
    reader.next();
    const from = writer.end;
    put(content(8, 3), 3);
    reader.skipTo(from);
    expect(take()).toEqual(content(8, 3));
    expect(writer.fill).toBe(0);
  });
});

describe('going to sleep', () => {
  test('is granted when nothing waits, and the next publication says that the reader must be woken', () => {
    expect(reader.sleep()).toBe(true);
    write(content(8, 1));
    expect(writer.publish()).toBe(true);
  });

  test('is announced to the writer once: who wakes it clears the mark', () => {
    reader.sleep();
    write(content(8, 1));
    expect(writer.publish()).toBe(true);
    write(content(8, 2));
    expect(writer.publish()).toBe(false);
  });

  test('is refused when a record came in meanwhile, and then needs no wake-up', () => {
    put(content(8, 1));
    expect(reader.sleep()).toBe(false);
    write(content(8, 2));
    expect(writer.publish()).toBe(false);
    expect(take()).toEqual(content(8, 1));
    expect(take()).toEqual(content(8, 2));
  });

  test('is not asked for by a reader that reads: nobody wakes it', () => {
    put(content(8, 1));
    take();
    write(content(8, 2));
    expect(writer.publish()).toBe(false);
  });

  test('ends when the reader wakes by itself', () => {
    reader.sleep();
    reader.wake();
    write(content(8, 1));
    expect(writer.publish()).toBe(false);
  });
});

describe('asking for room', () => {
  test('is seen by the reader once', () => {
    expect(reader.takeStarved()).toBe(false);
    writer.starve();
    expect(reader.takeStarved()).toBe(true);
    expect(reader.takeStarved()).toBe(false);
  });
});

test('settled bytes add up, beyond 2³¹ too', () => {
  reader.settle(2 ** 31 - 1);
  reader.settle(1000);
  expect(writer.settled >>> 0).toBe(2 ** 31 + 999);
});
