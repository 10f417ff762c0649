/** Every member of Message. */
import { describe, expect, test } from 'vitest';
import { connect } from '../support/client.js';
import { sharedGateway } from '../support/gateway.js';

const UUID_V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const gateway = sharedGateway('message.mjs', { lanes: 1 });

interface Shown {
  id: string;
  data: unknown;
  kept: string[];
  [member: string]: unknown;
}

describe('a message', () => {
  test('of text gives a string, and the same in every other form', async () => {
    const client = await connect(gateway().port);
    const bytes = [...Buffer.from('hä?')];
    expect(await client.ask<Shown>('hä?')).toMatchObject({
      id: expect.stringMatching(UUID_V4),
      sameId: true,
      samePeer: true,
      isBinary: false,
      data: 'hä?',
      rawData: 'hä?',
      text: 'hä?',
      string: 'hä?',
      template: 'hä?',
      uint8Array: { Uint8Array: bytes },
      arrayBuffer: { ArrayBuffer: bytes },
      blob: 'hä?',
    });
  });

  test('of bytes gives a Uint8Array, and the same in every other form', async () => {
    const client = await connect(gateway().port);
    client.send(Uint8Array.of(72, 105));
    expect(await client.nextJson<Shown>()).toMatchObject({
      isBinary: true,
      data: { Uint8Array: [72, 105] },
      rawData: { Uint8Array: [72, 105] },
      text: 'Hi',
      string: 'Hi',
      uint8Array: { Uint8Array: [72, 105] },
      arrayBuffer: { ArrayBuffer: [72, 105] },
      blob: 'Hi',
    });
  });

  test('may be empty', async () => {
    const client = await connect(gateway().port);
    expect(await client.ask<Shown>('')).toMatchObject({ isBinary: false, data: '', text: '' });
    client.send(new Uint8Array(0));
    expect(await client.nextJson<Shown>()).toMatchObject({
      isBinary: true,
      data: { Uint8Array: [] },
      arrayBuffer: { ArrayBuffer: [] },
    });
  });

  test('has an id of its own', async () => {
    const client = await connect(gateway().port);
    const first = await client.ask<Shown>('1');
    const second = await client.ask<Shown>('2');
    expect(first.id).not.toBe(second.id);
  });

  test('may be kept: later messages do not change it', async () => {
    const client = await connect(gateway().port);
    const before = (await client.ask<Shown>('kept from here')).kept.length;
    const texts = Array.from({ length: 200 }, (_, i) => `${i} ${'x'.repeat((i * 37) % 400)}`);
    let last: Shown | undefined;
    for (const text of texts) last = await client.ask<Shown>(text);
    expect(last?.kept.slice(before)).toEqual(texts);
  });

  test.each<[string, unknown]>([
    ['arraybuffer', { ArrayBuffer: [1, 2] }],
    ['nodebuffer', { Buffer: [1, 2] }],
    ['uint8array', { Uint8Array: [1, 2] }],
    ['blob', { Blob: 2 }],
    ['text', '\u0001\u0002'],
  ])("has its data as the binaryType '%s' asks for", async (binaryType, data) => {
    const client = await connect(gateway().port, { path: `/${binaryType}` });
    client.send(Uint8Array.of(1, 2));
    expect((await client.nextJson<Shown>()).data).toEqual(data);
  });
});
