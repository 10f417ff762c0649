/** Batches by themselves, on one thread. */
import { beforeEach, describe, expect, test } from 'vitest';
import { BATCH_BYTES, BatchReader, BatchWriter } from '../../dist/src/wire/batch.js';
import { RECORD_HEADER_BYTES } from '../../dist/src/wire/layout.js';
import { Outbound } from '../../dist/src/wire/records.js';

/** The main thread's side: what a lane told it, and the batches that it knows. */
class Main {
  readonly told: string[] = [];
  readonly batches = new Map<number, BatchReader>();

  added(index: number, memory: SharedArrayBuffer): void {
    this.told.push(`added ${index}`);
    this.batches.set(index, new BatchReader(index, memory));
  }

  announced(index: number): void {
    this.told.push(`announced ${index}`);
  }

  dropped(index: number): void {
    this.told.push(`dropped ${index}`);
    this.batches.delete(index);
  }

  batch(index: number): BatchReader {
    const batch = this.batches.get(index);
    if (batch === undefined) throw new Error(`there is no batch ${index}`);
    return batch;
  }

  /** The targets of all records that are visible in a batch. */
  targets(index: number): number[] {
    const batch = this.batch(index);
    const targets: number[] = [];
    batch.open();
    while (batch.next()) targets.push(batch.target);
    return targets;
  }

  free(index: number): void {
    this.batch(index).free();
  }
}

let main: Main;
let writer: BatchWriter;

beforeEach(() => {
  main = new Main();
  writer = new BatchWriter(main);
});

function write(target: number, payload: Uint8Array = new Uint8Array(8), limit = payload.length): void {
  writer.begin(Outbound.send, 0, 0, target, 0, limit);
  writer.bytes.set(payload, writer.offset);
  writer.end(payload.length);
}

/** Fills one batch of its own with one record and announces it. */
function sendBatch(target: number): void {
  write(target);
  writer.announce();
}

describe('a record', () => {
  test('arrives with all of its fields and its payload', () => {
    writer.begin(Outbound.publish, 3, 65_535, 77, -5, 4);
    writer.bytes.set([1, 2, 3, 4], writer.offset);
    writer.end(4);
    writer.announce();
    const batch = main.batch(0);
    batch.open();
    expect(batch.next()).toBe(true);
    const { type, flags, aux, target, tag, offset, length } = batch;
    expect({ type, flags, aux, target, tag }).toEqual({
      type: Outbound.publish,
      flags: 3,
      aux: 65_535,
      target: 77,
      tag: -5,
    });
    expect([...new Uint8Array(batch.memory, offset, length)]).toEqual([1, 2, 3, 4]);
    expect([...batch.bytes.subarray(offset, offset + length)]).toEqual([1, 2, 3, 4]);
    expect(batch.next()).toBe(false);
  });

  test('may turn out shorter than what was reserved for it, and the next one follows at once', () => {
    write(1, Buffer.from('ab'), 3000);
    write(2, Buffer.from('cd'));
    writer.announce();
    const batch = main.batch(0);
    batch.open();
    batch.next();
    expect(batch.length).toBe(2);
    const end = batch.offset + 8;
    batch.next();
    expect(batch.offset).toBe(end + RECORD_HEADER_BYTES);
    expect(batch.bytes.toString('utf8', batch.offset, batch.offset + batch.length)).toBe('cd');
  });

  test.each([0, 1, 7, 8, 9])('of %d bytes leaves the next one aligned to 8', length => {
    write(1, Buffer.alloc(length, 1));
    write(2, Buffer.alloc(length, 2));
    expect(writer.offset % 8).toBe(0);
    writer.announce();
    expect(main.targets(0)).toEqual([1, 2]);
  });

  test('that was announced is read again from the start by every open', () => {
    write(1);
    write(2);
    writer.announce();
    expect(main.targets(0)).toEqual([1, 2]);
    expect(main.targets(0)).toEqual([1, 2]);
  });
});

describe('what one hook writes', () => {
  const kilobyte = new Uint8Array(1024 - RECORD_HEADER_BYTES);

  test('stands in one batch: it moves on as a whole where the batch at hand gets full', () => {
    for (let target = 0; target < 200; target++) {
      write(target, kilobyte);
      writer.commit();
    }
    for (let target = 200; target < 300; target++) write(target, kilobyte);
    expect(main.told).toEqual(['added 0', 'announced 0', 'added 1']);
    expect(main.targets(0)).toEqual(Array.from({ length: 200 }, (_, i) => i));
    expect(main.targets(1)).toEqual([]);
    writer.commit();
    expect(main.targets(1)).toEqual(Array.from({ length: 100 }, (_, i) => 200 + i));
  });

  test('may be larger than a batch: none of it is seen before all of it is', () => {
    for (let target = 0; target < 1000; target++) write(target, kilobyte);
    expect(main.told.some(told => told.startsWith('announced'))).toBe(false);
    for (const index of main.batches.keys()) expect(main.targets(index)).toEqual([]);
    writer.commitDone(7);
    const last = [...main.batches.keys()].at(-1) as number;
    expect(main.targets(last)).toEqual(Array.from({ length: 1000 }, (_, i) => i));
    expect(main.batch(last).doneMark).toBe(7);
    write(1000);
    writer.commitDone(8);
    expect(main.targets(last)).toHaveLength(1000);
    expect([...main.batches.keys()].map(index => main.targets(index))).toContainEqual([1000]);
  });

  test('beyond some megabytes is handed over in parts, so that it need not all be held', () => {
    const large = new Uint8Array(1024 * 1024);
    for (let target = 0; target < 20; target++) write(target, large);
    expect(main.told.some(told => told.startsWith('announced'))).toBe(true);
    writer.announce();
    const announced = main.told.flatMap(told =>
      told.startsWith('announced ') ? Number(told.slice(10)) : [],
    );
    expect(announced.flatMap(index => main.targets(index))).toEqual(Array.from({ length: 20 }, (_, i) => i));
  });

  test('that has moved counts as undelivered until the batch that it stands in now is handed back', () => {
    const sequences: number[] = [];
    for (let target = 0; target < 300; target++) {
      write(target, kilobyte);
      sequences.push(writer.currentSequence);
    }
    writer.announce();
    const first = sequences[0] as number;
    expect(writer.currentSequence).toBeGreaterThan(first);
    expect(writer.delivered(first)).toBe(false);
    main.free(Number(main.told.findLast(told => told.startsWith('announced'))?.slice(10)));
    expect(writer.delivered(first)).toBe(true);
  });
});

describe('being done with the ring', () => {
  test('is told by the same store that makes the records visible', () => {
    write(1);
    expect(main.targets(0)).toEqual([]);
    expect(main.batch(0).doneMark).toBe(0);
    writer.commitDone(0xffff);
    expect(main.targets(0)).toEqual([1]);
    expect(main.batch(0).doneMark).toBe(0xffff);
  });

  test('is told without a record too, in a batch that is not announced for it', () => {
    writer.commitDone(5);
    writer.announce();
    expect(main.told).toEqual(['added 0']);
    expect(main.batch(0).doneMark).toBe(5);
  });

  test('is known from the next batch before anything stands in it', () => {
    write(1);
    writer.commitDone(9);
    writer.announce();
    write(2);
    expect(main.batch(1).doneMark).toBe(9);
    expect(main.targets(1)).toEqual([]);
  });
});

describe('committing', () => {
  test('makes records visible before anything was announced', () => {
    write(1);
    write(2);
    writer.commit();
    expect(main.told).toEqual(['added 0']);
    expect(main.targets(0)).toEqual([1, 2]);
  });

  test('is all or nothing: what was written since is invisible', () => {
    write(1);
    writer.commit();
    write(2);
    write(3);
    expect(main.targets(0)).toEqual([1]);
    writer.commit();
    expect(main.targets(0)).toEqual([1, 2, 3]);
  });

  test('is part of announcing', () => {
    write(1);
    writer.announce();
    expect(main.targets(0)).toEqual([1]);
  });

  test('never shows what an earlier use of the same batch left behind', () => {
    for (let target = 1; target <= 20; target++) write(target);
    writer.announce();
    main.free(0);
    write(30);
    expect(main.targets(0)).toEqual([]);
    writer.commit();
    expect(main.targets(0)).toEqual([30]);
  });
});

describe('announcing', () => {
  test('tells of a batch before its first announcement', () => {
    sendBatch(1);
    expect(main.told).toEqual(['added 0', 'announced 0']);
  });

  test('says nothing when nothing was written', () => {
    writer.announce();
    sendBatch(1);
    writer.announce();
    writer.announce();
    expect(main.told).toEqual(['added 0', 'announced 0']);
  });

  test('leaves nothing pending', () => {
    write(1);
    expect(writer.pending).toBeGreaterThan(0);
    writer.announce();
    expect(writer.pending).toBe(0);
  });
});

describe('the pool', () => {
  test('uses a batch again once it was handed back', () => {
    for (let target = 0; target < 50; target++) {
      sendBatch(target);
      expect(main.targets(0)).toEqual([target]);
      main.free(0);
    }
    expect(writer.poolSize).toBe(1);
  });

  test('grows by one when none is free, and never makes the lane wait', () => {
    for (let target = 0; target < 10; target++) sendBatch(target);
    expect(writer.poolSize).toBe(10);
    for (let index = 0; index < 10; index++) expect(main.targets(index)).toEqual([index]);
  });

  test('never writes to a batch that main still holds', () => {
    sendBatch(1);
    sendBatch(2);
    main.free(1);
    sendBatch(3);
    expect(main.targets(0)).toEqual([1]);
    expect(main.targets(1)).toEqual([3]);
  });

  test('drops what it has not needed for a while, one by one, and says so', () => {
    for (let target = 0; target < 20; target++) sendBatch(target);
    for (let index = 0; index < 20; index++) main.free(index);
    sendBatch(99);
    expect(writer.poolSize).toBe(20);
    for (let target = 0; target < 1000; target++) {
      for (const batch of main.batches.values()) batch.free();
      sendBatch(target);
    }
    const dropped = main.told.filter(line => line.startsWith('dropped')).length;
    expect(dropped).toBe(20 - writer.poolSize);
    expect(writer.poolSize).toBeLessThanOrEqual(4);
    expect(main.batches.size).toBe(writer.poolSize);
  });

  test('gives no index twice', () => {
    for (let round = 0; round < 3; round++) {
      for (let target = 0; target < 8; target++) sendBatch(target);
      for (const index of [...main.batches.keys()]) main.free(index);
    }
    const added = main.told.filter(line => line.startsWith('added'));
    expect(new Set(added).size).toBe(added.length);
  });
});

describe('a batch', () => {
  const payload = 1000;
  const recordBytes = RECORD_HEADER_BYTES + payload;

  test('that is full is announced, and the record goes to the next one', () => {
    const fit = Math.floor(BATCH_BYTES / recordBytes);
    for (let target = 0; target <= fit; target++) {
      write(target, new Uint8Array(payload));
      writer.commit();
    }
    expect(main.told).toEqual(['added 0', 'announced 0', 'added 1']);
    expect(main.targets(0)).toHaveLength(fit);
    writer.announce();
    expect(main.targets(1)).toEqual([fit]);
  });

  test('is filled to its last byte by a record that fits exactly', () => {
    write(1, new Uint8Array(BATCH_BYTES - RECORD_HEADER_BYTES));
    writer.announce();
    expect(main.told).toEqual(['added 0', 'announced 0']);
    expect(main.targets(0)).toEqual([1]);
  });
});

describe('a record larger than a batch', () => {
  const huge = Buffer.alloc(3 * BATCH_BYTES + 5, 'huge');

  test('gets a batch of its own, in its place among the others', () => {
    write(1);
    writer.commit();
    write(2, huge);
    writer.commit();
    write(3);
    writer.announce();
    expect(main.told).toEqual(['added 0', 'announced 0', 'added 1', 'announced 1', 'added 2', 'announced 2']);
    expect(main.targets(0)).toEqual([1]);
    expect(main.targets(1)).toEqual([2]);
    expect(main.targets(2)).toEqual([3]);
    const batch = main.batch(1);
    batch.open();
    batch.next();
    expect(batch.bytes.subarray(batch.offset, batch.offset + batch.length).equals(huge)).toBe(true);
  });

  test('has its batch dropped as soon as it was handed back: so much memory is not kept', () => {
    write(1, huge);
    writer.announce();
    main.free(0);
    sendBatch(2);
    expect(main.told).toContain('dropped 0');
    expect(writer.poolSize).toBe(1);
  });

  test('has its batch dropped also where nothing but such records is written', () => {
    for (let index = 0; index < 10; index++) {
      write(index, huge);
      writer.announce();
      main.free(index);
    }
    expect(writer.poolSize).toBe(1);
  });
});

describe('the sequence', () => {
  test('tells in which order batches were written, whatever their index', () => {
    for (let target = 0; target < 3; target++) sendBatch(target);
    main.free(0);
    sendBatch(3);
    const taken = [...main.batches.values()].filter(batch => batch.taken);
    const order = taken.sort((a, b) => a.sequence - b.sequence).map(batch => main.targets(batch.index)[0]);
    expect(order).toEqual([1, 2, 3]);
  });

  test('says of a batch that was handed back that it is delivered, and of no other', () => {
    write(1);
    const first = writer.currentSequence;
    expect(writer.delivered(first)).toBe(false);
    writer.announce();
    expect(writer.delivered(first)).toBe(false);
    main.free(0);
    expect(writer.delivered(first)).toBe(true);
    write(2);
    expect(writer.delivered(writer.currentSequence)).toBe(false);
    expect(writer.delivered(first)).toBe(true);
  });

  test('says so too of a batch that was dropped', () => {
    write(1, Buffer.alloc(BATCH_BYTES + 1));
    const sequence = writer.currentSequence;
    writer.announce();
    main.free(0);
    sendBatch(2);
    expect(main.told).toContain('dropped 0');
    expect(writer.delivered(sequence)).toBe(true);
  });
});

test('a batch is taken from its first record until main hands it back', () => {
  write(1);
  expect(main.batch(0).taken).toBe(true);
  writer.announce();
  expect(main.batch(0).taken).toBe(true);
  main.free(0);
  expect(main.batch(0).taken).toBe(false);
});
