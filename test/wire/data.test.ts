/** What becomes of data that is sent, and which names topics may have. */
import { describe, expect, test } from 'vitest';
import { encodeData } from '../../dist/src/wire/data.js';
import { checkName } from '../../dist/src/wire/topics.js';

describe('text is made of', () => {
  test.each<[string, unknown, string]>([
    ['a string', 'äöü 🦄', 'äöü 🦄'],
    ['an object, as JSON', { a: [1, null] }, '{"a":[1,null]}'],
    ['an array, as JSON', [1, 'x'], '[1,"x"]'],
    ['a number', 1.5, '1.5'],
    ['a boolean', false, 'false'],
    ['a bigint', 2n ** 64n, '18446744073709551616'],
    ['null: nothing', null, ''],
    ['undefined: nothing', undefined, ''],
    ['an object with toJSON', new Date(0), '"1970-01-01T00:00:00.000Z"'],
  ])('%s', (_what, data, text) => {
    const encoded = encodeData(data);
    expect(encoded.binary).toBe(false);
    expect(Buffer.from(encoded.bytes).toString()).toBe(text);
  });
});

describe('bytes are made of', () => {
  const memory = Uint8Array.of(0, 1, 2, 3, 4, 5, 6, 7).buffer;
  test.each<[string, unknown, number[]]>([
    ['a Uint8Array', Uint8Array.of(1, 2), [1, 2]],
    ['a Buffer', Buffer.from([1, 2]), [1, 2]],
    ['an ArrayBuffer', Uint8Array.of(3, 4).buffer, [3, 4]],
    ['a SharedArrayBuffer', new SharedArrayBuffer(2), [0, 0]],
    ['a part of a larger buffer', new Uint8Array(memory, 2, 3), [2, 3, 4]],
    ['a view of wider elements', new Uint16Array(memory, 2, 2), [2, 3, 4, 5]],
    ['a DataView', new DataView(memory, 6, 2), [6, 7]],
  ])('%s', (_what, data, bytes) => {
    const encoded = encodeData(data);
    expect(encoded.binary).toBe(true);
    expect([...encoded.bytes]).toEqual(bytes);
  });
});

describe('refused with ERR_THREADGATE_DATA is', () => {
  const circular: Record<string, unknown> = {};
  circular.self = circular;
  test.each<[string, unknown]>([
    ['a Blob', new Blob(['x'])],
    ['a function', () => {}],
    ['a symbol', Symbol('x')],
    ['a circular object', circular],
    ['an object that has no JSON form', { toJSON: () => undefined }],
  ])('%s', (_what, data) => {
    expect(() => encodeData(data)).toThrow(expect.objectContaining({ code: 'ERR_THREADGATE_DATA' }));
  });
});

describe('a name of a topic or namespace', () => {
  test.each(['', 'a', '/chat/ä', '#', '+', 'x'.repeat(16 * 1024)])('may be %j', name => {
    expect(() => checkName('topic', name)).not.toThrow();
  });

  test.each<[string, unknown]>([
    ['contain NUL', 'a\0b'],
    ['be longer than 16 KiB', 'x'.repeat(16 * 1024 + 1)],
    ['be longer than 16 KiB in UTF-8', 'ä'.repeat(8 * 1024 + 1)],
    ['be a number', 7],
  ])('cannot %s', (_what, name) => {
    expect(() => checkName('topic', name as string)).toThrow(
      expect.objectContaining({ code: 'ERR_THREADGATE_TOPIC' }),
    );
  });
});
