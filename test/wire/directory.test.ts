/** The directory by itself, on one thread: the writer is main's side, the reader any lane's. */
import { randomBytes } from 'node:crypto';
import { beforeEach, describe, expect, test } from 'vitest';
import { createDirectoryMemory, Directory, DirectoryWriter } from '../../dist/src/wire/directory.js';

const CAPACITY = 4;
const UUID_V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

let writer: DirectoryWriter;
let reader: Directory;

beforeEach(() => {
  const memory = createDirectoryMemory(CAPACITY);
  writer = new DirectoryWriter(memory);
  reader = new Directory(memory);
});

const ENTRY = {
  lane: 0,
  namespace: 0,
  headOffset: 0,
  headLength: 0,
  contextOffset: 0,
  contextLength: 0,
  session: undefined as Uint8Array | undefined,
};

function open(entry: Partial<typeof ENTRY> = {}, random = randomBytes(16)): { slot: number; tag: number } {
  const slot = writer.take();
  if (slot === undefined) throw new Error('no slot is free');
  return { slot, tag: writer.fill(slot, { ...ENTRY, ...entry }, random, 0) };
}

function end({ slot, tag }: { slot: number; tag: number }): void {
  writer.close(slot, tag);
  writer.release(slot);
}

describe('a slot', () => {
  test("names its connection's session, and no earlier one's", () => {
    const first = open({ session: Buffer.from('0123456789abcdef') });
    expect(reader.session(first.slot)).toBe('30313233343536373839616263646566');
    end(first);
    const second = open();
    expect(second.slot).toBe(first.slot);
    expect(reader.session(second.slot)).toBeUndefined();
  });

  test('shows every thread what it was filled with', () => {
    const { slot, tag } = open({ lane: 3, namespace: 9 });
    writer.setBuffered(slot, 1234);
    expect(reader.tag(slot)).toBe(tag);
    expect(reader.lane(slot)).toBe(3);
    expect(reader.namespace(slot)).toBe(9);
    expect(reader.buffered(slot)).toBe(1234);
    expect(reader.isOpen(slot, tag)).toBe(true);
  });

  test('is empty before its first connection: no tag of a connection can match', () => {
    expect(reader.tag(0) & 1).toBe(0);
    expect(reader.isOpen(0, 1)).toBe(false);
  });

  test('has the mark of an open connection in its tag until it is closed', () => {
    const peer = open();
    expect(peer.tag & 1).toBe(1);
    writer.close(peer.slot, peer.tag);
    expect(reader.tag(peer.slot) & 1).toBe(0);
  });

  test('stays readable between close and release', () => {
    const peer = open({ lane: 2, namespace: 5 });
    const id = reader.id(peer.slot);
    writer.close(peer.slot, peer.tag);
    expect(reader.isOpen(peer.slot, peer.tag)).toBe(false);
    expect(reader.sameAs(peer.slot, peer.tag)).toBe(true);
    expect(reader.id(peer.slot)).toBe(id);
    expect(reader.namespace(peer.slot)).toBe(5);
  });

  test('says nothing is buffered once it is closed', () => {
    const peer = open();
    writer.setBuffered(peer.slot, 99);
    writer.close(peer.slot, peer.tag);
    expect(reader.buffered(peer.slot)).toBe(0);
  });

  test('is given to no other connection before it is released', () => {
    const peer = open();
    writer.close(peer.slot, peer.tag);
    expect(open().slot).not.toBe(peer.slot);
  });
});

describe('a stale tag', () => {
  test('matches nothing once the slot was released', () => {
    const peer = open();
    end(peer);
    expect(reader.isOpen(peer.slot, peer.tag)).toBe(false);
    expect(reader.sameAs(peer.slot, peer.tag)).toBe(false);
  });

  test("does not match the slot's next owner, nor any of the thousand after", () => {
    const first = open();
    end(first);
    const tags = new Set([first.tag]);
    for (let i = 0; i < 1000; i++) {
      const next = open();
      expect(next.slot).toBe(first.slot);
      expect(reader.isOpen(first.slot, first.tag)).toBe(false);
      expect(reader.sameAs(first.slot, first.tag)).toBe(false);
      tags.add(next.tag);
      end(next);
    }
    expect(tags.size).toBe(1001);
  });

  test('is never 0, which stands for nobody', () => {
    for (let i = 0; i < 100; i++) {
      const peer = open();
      expect(peer.tag).not.toBe(0);
      end(peer);
    }
  });
});

describe('all slots', () => {
  test('can be taken, and then there is none', () => {
    const slots = Array.from({ length: CAPACITY }, () => open().slot);
    expect(new Set(slots).size).toBe(CAPACITY);
    expect(writer.full).toBe(true);
    expect(writer.take()).toBeUndefined();
  });

  test('can be taken again after one was released', () => {
    const peers = Array.from({ length: CAPACITY }, () => open());
    const [first] = peers;
    if (first === undefined) throw new Error('nothing was opened');
    end(first);
    expect(writer.full).toBe(false);
    expect(open().slot).toBe(first.slot);
  });

  test('that are open are counted, and those that were ever used are below the high water mark', () => {
    const peers = [open(), open(), open()];
    expect(reader.openCount).toBe(3);
    expect(reader.highWater).toBe(3);
    for (const peer of peers) end(peer);
    expect(reader.openCount).toBe(0);
    expect(reader.highWater).toBe(3);
  });
});

describe('an id', () => {
  test('is a UUID of version 4, whatever the random bytes', () => {
    const patterns = [Buffer.alloc(16, 0), Buffer.alloc(16, 0xff), Buffer.from('0123456789abcdef')];
    for (let i = 0; i < 500; i++) patterns.push(randomBytes(16));
    for (const random of patterns) {
      const peer = open({}, random);
      expect(reader.id(peer.slot)).toMatch(UUID_V4);
      end(peer);
    }
  });

  test('keeps all bits that a UUID leaves to chance: no two connections share one', () => {
    const ids = new Set<string>();
    for (let bit = 0; bit < 128; bit++) {
      const random = Buffer.alloc(16);
      random[bit >> 3] = 0x80 >> (bit & 7);
      const peer = open({}, random);
      ids.add(reader.id(peer.slot));
      end(peer);
    }
    // 122 free bits, and the one id of those that fell on the six fixed bits.
    expect(ids.size).toBe(123);
  });
});

describe('settled bytes', () => {
  test('add up for their slot alone, and begin anew with its next connection', () => {
    const a = open();
    const b = open();
    reader.settle(a.slot, 100);
    reader.settle(a.slot, 50);
    reader.settle(b.slot, 1);
    expect(writer.settled(a.slot)).toBe(150);
    expect(writer.settled(b.slot)).toBe(1);
    end(a);
    const next = open();
    expect(next.slot).toBe(a.slot);
    expect(writer.settled(next.slot)).toBe(0);
  });
});

test("a connection's head and context are read where they were written", () => {
  const head = Buffer.from('GET\n/path\n127.0.0.1\n/path\n');
  const context = Buffer.from([1, 2, 3]);
  writer.heads.set(head, 512);
  writer.heads.set(context, 2048);
  const { slot } = open({
    headOffset: 512,
    headLength: head.length,
    contextOffset: 2048,
    contextLength: context.length,
  });
  expect(reader.headText(slot)).toBe(head.toString());
  const copy = reader.contextBytes(slot);
  writer.heads.fill(0);
  expect([...(copy ?? [])]).toEqual([1, 2, 3]);
  expect(reader.contextBytes(open().slot)).toBeUndefined();
});
