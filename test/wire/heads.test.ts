/** The allocator of heads' memory, and the format of a head. */
import { describe, expect, test } from 'vitest';
import { formatHead, formatHeader, Head } from '../../dist/src/wire/head.js';
import { HeadAllocator } from '../../dist/src/wire/heads.js';
import { chooseSeed, Random } from '../support/random.js';

const LARGEST = 128 * 1024;

describe('the allocator', () => {
  test('gives a released piece to the next of its size', () => {
    const heads = new HeadAllocator(new SharedArrayBuffer(LARGEST));
    const first = heads.allocate(300) as number;
    heads.allocate(300);
    heads.release(first, 300);
    expect(heads.allocate(260)).toBe(first);
  });

  test('says when there is no room, and has room again after a release', () => {
    const heads = new HeadAllocator(new SharedArrayBuffer(LARGEST));
    const pieces = Array.from({ length: 8 }, () => heads.allocate(LARGEST / 8));
    expect(pieces).not.toContain(undefined);
    expect(heads.allocate(1)).toBeUndefined();
    heads.release(pieces[3] as number, LARGEST / 8);
    expect(heads.allocate(1)).toBe(pieces[3]);
  });

  test('has all its memory for any size again once all pieces are released, whatever their sizes were', () => {
    const heads = new HeadAllocator(new SharedArrayBuffer(4 * LARGEST));
    for (const length of [15_000, 400, 130_000, 1, 5000]) {
      const pieces: number[] = [];
      for (let at = heads.allocate(length); at !== undefined; at = heads.allocate(length)) pieces.push(at);
      expect(pieces.length).toBe((4 * LARGEST) / 2 ** Math.max(7, Math.ceil(Math.log2(length))));
      for (const at of pieces) heads.release(at, length);
    }
  });

  test(`takes ${LARGEST} bytes and not one more`, () => {
    const heads = new HeadAllocator(new SharedArrayBuffer(4 * LARGEST));
    expect(heads.allocate(LARGEST)).toBe(0);
    expect(heads.allocate(LARGEST + 1)).toBeUndefined();
  });

  const seed = chooseSeed();
  test(`never gives out memory that is in use (TEST_SEED=${seed})`, () => {
    const random = new Random(seed);
    const memory = new SharedArrayBuffer(1 << 20);
    const heads = new HeadAllocator(memory);
    const used = new Map<number, { length: number; mark: number }>();
    for (let mark = 1; mark <= 20_000; mark++) {
      if (random.chance(0.55)) {
        const length = random.between(0, 5000);
        const offset = heads.allocate(length);
        if (offset === undefined) continue;
        expect(used.has(offset)).toBe(false);
        expect(offset + length).toBeLessThanOrEqual(memory.byteLength);
        heads.bytes.fill(mark & 0xff, offset, offset + length);
        used.set(offset, { length, mark });
      } else {
        const [entry] = used;
        if (entry === undefined) continue;
        const [offset, { length, mark: written }] = entry;
        const bytes = heads.bytes.subarray(offset, offset + length);
        if (!bytes.equals(Buffer.alloc(length, written & 0xff))) throw new Error(`${offset} was overwritten`);
        heads.release(offset, length);
        used.delete(offset);
      }
    }
    expect(used.size).toBeGreaterThan(0);
  });
});

describe('a head', () => {
  const text = formatHead(
    'GET',
    '/room/7?name=Ada&x=1',
    '10.0.0.7',
    '/lobby',
    'chat.v2',
    formatHeader('host', 'example.org:81') +
      formatHeader('cookie', 'a=1') +
      formatHeader('x-empty', '') +
      formatHeader('cookie', 'b=2'),
  );

  test('gives back every field', () => {
    const { method, target, path, remoteAddress, namespace, protocol } = new Head(text);
    expect({ method, target, path, remoteAddress, namespace, protocol }).toEqual({
      method: 'GET',
      target: '/room/7?name=Ada&x=1',
      path: '/room/7',
      remoteAddress: '10.0.0.7',
      namespace: '/lobby',
      protocol: 'chat.v2',
    });
  });

  test('gives back all headers in order, empty and repeated ones too', () => {
    expect(new Head(text).headers()).toEqual([
      ['host', 'example.org:81'],
      ['cookie', 'a=1'],
      ['x-empty', ''],
      ['cookie', 'b=2'],
    ]);
  });

  test('finds the first header of a name, and tells an empty one from none', () => {
    const head = new Head(text);
    expect(head.header('cookie')).toBe('a=1');
    expect(head.header('x-empty')).toBe('');
    expect(head.header('x-none')).toBeUndefined();
  });

  test('takes no header value for a header name', () => {
    const head = new Head(
      formatHead('GET', '/', '', '', '', formatHeader('x', 'host') + formatHeader('y', 'z')),
    );
    expect(head.header('host')).toBeUndefined();
  });

  test('makes the URL of the Host header, and of X-Forwarded-Proto', () => {
    expect(new Head(text).url).toBe('http://example.org:81/room/7?name=Ada&x=1');
    const headers = formatHeader('x-forwarded-proto', 'https') + formatHeader('host', 'h');
    expect(new Head(formatHead('GET', '/', '', '', '', headers)).url).toBe('https://h/');
  });

  test('without headers has none', () => {
    const head = new Head(formatHead('POST', '/', '::1', '', '', ''));
    expect(head.headers()).toEqual([]);
    expect(head.url).toBe('http://localhost/');
  });
});
