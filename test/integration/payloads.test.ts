/** Messages of every size and kind, and the protocol's rules for them. */
import { createHash, randomBytes } from 'node:crypto';
import { WebSocket as UndiciWebSocket } from 'undici';
import { describe, expect, test } from 'vitest';
import { connect } from '../support/client.js';
import { sharedGateway, startGateway } from '../support/gateway.js';
import { chooseSeed, Random } from '../support/random.js';
import { closeOf, encodeFrame, Opcode, openRawWebSocket } from '../support/raw.js';

const KiB = 1024;
const MiB = KiB * KiB;

const gateway = sharedGateway('echo.mjs', { lanes: 2 });

describe('a message', () => {
  test('of no bytes is a message: text and binary', async () => {
    const client = await connect(gateway().port);
    client.send('');
    client.send(Buffer.alloc(0));
    expect(await client.take(2)).toEqual(['', Buffer.alloc(0)]);
  });

  test.each([1, 125, 126, 127, 65_535, 65_536, 65_537, 262_127, 262_128, 262_129, MiB])(
    'of %d bytes comes back as it was',
    async size => {
      const client = await connect(gateway().port);
      const data = randomBytes(size);
      client.send(data);
      expect(data.equals((await client.next()) as Buffer)).toBe(true);
      const text = 'ü'.repeat(size >> 1);
      client.send(text);
      expect((await client.next()) === text).toBe(true);
    },
  );

  test('of 16 MiB comes back, where the options allow it', async () => {
    const { port } = await startGateway('echo.mjs', {
      maxPayload: 16 * MiB,
      maxBackpressure: 32 * MiB,
      maxInboundPerConnection: 64 * MiB,
    });
    const client = await connect(port);
    const data = randomBytes(16 * MiB);
    for (let i = 0; i < 3; i++) {
      client.send(data);
      const back = (await client.next()) as Buffer;
      expect(back.length).toBe(data.length);
      expect(digest(back)).toBe(digest(data));
    }
  }, 40_000);

  const seed = chooseSeed();
  test(`larger than the ring keeps its place among small ones (TEST_SEED=${seed})`, async () => {
    const random = new Random(seed);
    const { port } = await startGateway('echo.mjs', { lanes: 1, ringBytes: 4 * KiB });
    const client = await connect(port);
    const sent = Array.from({ length: 300 }, (_, i) =>
      Buffer.alloc(random.chance(0.2) ? random.between(0, 200_000) : random.between(0, 1500), i),
    );
    for (const data of sent) client.send(data);
    for (const data of sent) expect(data.equals((await client.next()) as Buffer)).toBe(true);
  });

  test('may be in text of every script', async () => {
    const client = await connect(gateway().port);
    for (const text of ['naïve', 'Ἀθῆναι', '日本語', '👩‍👩‍👧‍👦', '\u0000\u007f', '\ufeffbom', '𐀀']) {
      client.send(text);
      expect(await client.next()).toBe(text);
    }
  });

  test('of undici comes back too', async () => {
    const socket = new UndiciWebSocket(`ws://127.0.0.1:${gateway().port}/`);
    socket.binaryType = 'arraybuffer';
    const seen: unknown[] = [];
    await new Promise<void>((resolve, reject) => {
      socket.onerror = reject;
      socket.onopen = () => {
        socket.send('text');
        socket.send(Uint8Array.of(1, 2));
      };
      socket.onmessage = ({ data }) => {
        seen.push(typeof data === 'string' ? data : [...new Uint8Array(data as ArrayBuffer)]);
        if (seen.length === 2) resolve();
      };
    });
    expect(seen).toEqual(['text', [1, 2]]);
    const closed = new Promise(resolve => {
      socket.onclose = resolve;
    });
    socket.close();
    await closed;
  });
});

function digest(data: Uint8Array): string {
  return createHash('sha1').update(data).digest('hex');
}

describe('a fragmented message', () => {
  test('is one message', async () => {
    const raw = await openRawWebSocket(gateway().port);
    raw.frame(Opcode.text, 'one ', { fin: false });
    raw.frame(Opcode.continuation, 'two ', { fin: false });
    raw.frame(Opcode.continuation, '', { fin: false });
    raw.frame(Opcode.continuation, 'three');
    expect((await raw.nextFrame()).payload.toString()).toBe('one two three');
  });

  test('may be interrupted by a ping, which is answered meanwhile', async () => {
    const raw = await openRawWebSocket(gateway().port);
    raw.frame(Opcode.binary, 'a', { fin: false });
    raw.frame(Opcode.ping, 'now');
    expect(await raw.nextFrame()).toMatchObject({ opcode: Opcode.pong, payload: Buffer.from('now') });
    raw.frame(Opcode.continuation, 'b');
    expect(await raw.nextFrame()).toMatchObject({ opcode: Opcode.binary, payload: Buffer.from('ab') });
  });

  test('may be cut within a character', async () => {
    const raw = await openRawWebSocket(gateway().port);
    const text = Buffer.from('ä');
    raw.frame(Opcode.text, text.subarray(0, 1), { fin: false });
    raw.frame(Opcode.continuation, text.subarray(1));
    expect((await raw.nextFrame()).payload.toString()).toBe('ä');
  });

  test('may arrive byte by byte', async () => {
    const raw = await openRawWebSocket(gateway().port);
    raw.socket.setNoDelay(true);
    const bytes = Buffer.concat([
      encodeFrame(Opcode.text, 'slow ', { fin: false }),
      encodeFrame(Opcode.continuation, 'motion'),
    ]);
    for (const byte of bytes) {
      raw.write(Uint8Array.of(byte));
      await raw.flushed();
    }
    expect((await raw.nextFrame()).payload.toString()).toBe('slow motion');
  });
});

describe('what the protocol forbids ends the connection:', () => {
  test.each<[string, Buffer]>([
    ['text that is no UTF-8', encodeFrame(Opcode.text, Uint8Array.of(0xc3, 0x28))],
    ['half a surrogate pair in UTF-8', encodeFrame(Opcode.text, Uint8Array.of(0xed, 0xa0, 0x80))],
    ['an opcode that there is not', encodeFrame(3, 'x')],
    ['a compressed frame where nothing was agreed', encodeFrame(Opcode.text, 'x', { rsv1: true })],
    ['a continuation of nothing', encodeFrame(Opcode.continuation, 'x')],
    ['a ping in fragments', encodeFrame(Opcode.ping, 'x', { fin: false })],
    ['a ping of 126 bytes', encodeFrame(Opcode.ping, Buffer.alloc(126))],
  ])('%s', async (_what, bytes) => {
    const raw = await openRawWebSocket(gateway().port);
    raw.write(bytes);
    const rest = await raw.readToEnd();
    // Nothing of it was echoed: at most a close frame came.
    expect(rest === '' || rest.charCodeAt(0) === (0x80 | Opcode.close)).toBe(true);
  });

  test('and does the other connections no harm', async () => {
    const bystander = await connect(gateway().port);
    const raw = await openRawWebSocket(gateway().port);
    raw.write(encodeFrame(Opcode.text, Uint8Array.of(0xff)));
    await raw.closed;
    bystander.send('unharmed');
    expect(await bystander.next()).toBe('unharmed');
  });
});

describe('maxPayload', () => {
  const limited = sharedGateway('echo.mjs', { lanes: 1, maxPayload: 1000 });

  test('lets a message of exactly that many bytes pass', async () => {
    const client = await connect(limited().port);
    client.send('x'.repeat(1000));
    expect(await client.next()).toBe('x'.repeat(1000));
  });

  test('ends the connection of one that sends a byte more, and hands nothing to the app', async () => {
    const client = await connect(limited().port);
    client.send('x'.repeat(1001));
    expect([1006, 1009]).toContain((await client.closed).code);
    expect(client.inbox).toEqual([]);
  });

  test('counts the fragments together', async () => {
    const raw = await openRawWebSocket(limited().port);
    raw.frame(Opcode.text, 'x'.repeat(600), { fin: false });
    raw.frame(Opcode.continuation, 'x'.repeat(600));
    await raw.closed;
  });

  test('does not wait for a message whose announced length is too much', async () => {
    const raw = await openRawWebSocket(limited().port);
    raw.write(encodeFrame(Opcode.binary, Buffer.alloc(100_000)).subarray(0, 20));
    await raw.closed;
  });
});

describe('permessage-deflate', () => {
  test('is not agreed on by default', async () => {
    const client = await connect(gateway().port, { perMessageDeflate: true });
    expect(client.socket.extensions).toBe('');
    client.send('x'.repeat(5000));
    expect(await client.next()).toBe('x'.repeat(5000));
  });

  describe.each(['shared', 'dedicated'] as const)('%s', compression => {
    const compressing = sharedGateway('compress.mjs', { lanes: 2, compression });

    test('takes compressed messages, and gives back compressed and plain ones', async () => {
      const client = await connect(compressing().port, { perMessageDeflate: { threshold: 0 } });
      expect(client.socket.extensions).toContain('permessage-deflate');
      for (const text of ['plain', 'compress', `compress ${'again and '.repeat(2000)}`, 'compress ü', '']) {
        client.send(text);
        expect(await client.next()).toBe(text);
      }
      client.send(Buffer.alloc(50_000, 7));
      expect(await client.next()).toEqual(Buffer.alloc(50_000, 7));
    });

    test('marks and shrinks only what send asks to compress', async () => {
      const raw = await openRawWebSocket(compressing().port, '/', [
        'Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover; server_no_context_takeover',
      ]);
      const text = `compress ${'x'.repeat(5000)}`;
      raw.frame(Opcode.text, text);
      const small = await raw.nextFrame();
      expect(small.rsv1).toBe(true);
      expect(small.payload.length).toBeLessThan(500);
      raw.frame(Opcode.text, 'x'.repeat(5000));
      expect(await raw.nextFrame()).toMatchObject({ rsv1: false, payload: Buffer.from('x'.repeat(5000)) });
    });

    test('keeps a client that did not ask for it plain', async () => {
      const raw = await openRawWebSocket(compressing().port);
      raw.frame(Opcode.text, `compress ${'x'.repeat(5000)}`);
      expect(await raw.nextFrame()).toMatchObject({ rsv1: false });
    });

    test('compresses publications that ask for it', async () => {
      const client = await connect(compressing().port, { perMessageDeflate: true });
      client.send('subscribe');
      expect(await client.next()).toBe('subscribed');
      await compressing().publish('t', 'x'.repeat(10_000), { compress: true });
      expect(await client.next()).toBe('x'.repeat(10_000));
    });

    test('bounds a message by its size when it is unpacked', async () => {
      const client = await connect(compressing().port, { perMessageDeflate: { threshold: 0 } });
      // 8 MiB of zeros are 8 KiB on the wire.
      client.send(Buffer.alloc(8 * MiB));
      expect([1006, 1009]).toContain((await client.closed).code);
      expect(client.inbox).toEqual([]);
    });
  });

  test('ends the connection when what is to be unpacked is no deflate stream', async () => {
    const { port } = await startGateway('compress.mjs', { compression: 'shared' });
    const raw = await openRawWebSocket(port, '/', ['Sec-WebSocket-Extensions: permessage-deflate']);
    raw.frame(Opcode.text, Buffer.alloc(50, 0xff), { rsv1: true });
    await raw.closed;
  });
});

test('the close frames of client and gateway tell each other their code and reason', async () => {
  const raw = await openRawWebSocket(gateway().port);
  raw.frame(Opcode.close, Buffer.concat([Buffer.from([0x0f, 0xa0]), Buffer.from('bye')]));
  const frame = await raw.nextFrame();
  expect(frame.opcode).toBe(Opcode.close);
  expect(closeOf(frame).code).toBe(4000);
  await raw.closed;
});

test('a client that is silent for longer than idleTimeout is pinged, and stays when it answers', async () => {
  const { port } = await startGateway('echo.mjs', { idleTimeout: 8 });
  const client = await connect(port);
  await new Promise(resolve => client.socket.once('ping', resolve));
  client.send('still here');
  expect(await client.next()).toBe('still here');
});
