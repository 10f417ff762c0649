/** What becomes of the messages that a client sends. */
import { describe, expect, test } from 'vitest';
import { ClientError, type Outgoing } from '../../dist/src/client/index.js';
import { freePort } from '../support/ports.js';
import { until } from '../support/until.js';
import { FAST, failure, next, startClient } from './clients.js';
import { startProxy } from './proxy.js';
import { startServer } from './server.js';

const EXPIRED = { code: 'ERR_THREADGATE_CLIENT_EXPIRED' };
const FULL = { code: 'ERR_THREADGATE_CLIENT_BUFFER_FULL' };
const CLOSED = { code: 'ERR_THREADGATE_CLIENT_CLOSED' };

/** Where nobody listens. */
async function nowhere(): Promise<string> {
  return `ws://127.0.0.1:${await freePort()}`;
}

describe('a message', () => {
  test('is written at once while the connection is open', async () => {
    const server = await startServer();
    const client = startClient(server.url);
    await client.ready;
    expect(await client.send('now', { within: 0 })).toEqual({ outcome: 'written', waited: 0 });
    await until('it arrives', () => server.received.includes('now'));
    expect(client.buffered).toBe(0);
  });

  test('waits for a server that is away, and is written when it comes', async () => {
    const port = await freePort();
    const client = startClient(`ws://127.0.0.1:${port}`, FAST);
    const sent = [
      client.send('a', { within: 30_000 }),
      client.send('b', { within: Number.POSITIVE_INFINITY }),
    ];
    await next(client, 'waiting');
    const server = await startServer({}, port);
    for (const { outcome, waited } of await Promise.all(sent)) {
      expect(outcome).toBe('written');
      expect(waited).toBeGreaterThan(0);
    }
    await until('both arrive', () => server.received.length === 2);
    expect(server.received).toEqual(['a', 'b']);
  });

  test('is given up when its time is over, 50 ms by default', async () => {
    const client = startClient(await nowhere());
    const dropped: unknown[] = [];
    client.on('drop', (error, data) => dropped.push([error.code, data]));
    const before = performance.now();
    expect(await failure(client.send('late'))).toMatchObject(EXPIRED);
    expect(performance.now() - before).toBeGreaterThanOrEqual(50);
    expect(dropped).toEqual([[EXPIRED.code, 'late']]);
    expect(client.buffered).toBe(0);
  });

  test('that may not wait at all is given up at once', async () => {
    const client = startClient(await nowhere());
    expect(await failure(client.send('now or never', { within: 0 }))).toMatchObject(EXPIRED);
  });

  test('is given up in its own time, whatever waits before it', async () => {
    const client = startClient(await nowhere());
    const order: number[] = [];
    const sent = [60, 20, 40].map(within =>
      client.send('x', { within }).catch(() => {
        order.push(within);
      }),
    );
    await Promise.all(sent);
    expect(order).toEqual([20, 40, 60]);
  });

  test('is what it was when it was sent, though its bytes change afterwards', async () => {
    const port = await freePort();
    const client = startClient(`ws://127.0.0.1:${port}`, FAST);
    const shared = new Uint8Array(new SharedArrayBuffer(2)).fill(65);
    const whole = Uint8Array.of(66, 66, 66, 66);
    const sent = ([shared, whole.subarray(1, 3), whole.buffer] satisfies Outgoing[]).map(data =>
      client.send(data, { within: 30_000 }),
    );
    shared.fill(0);
    whole.fill(0);
    const server = await startServer({}, port);
    await Promise.all(sent);
    await until('all arrive', () => server.received.length === 3);
    expect(server.received).toEqual(['AA', 'BB', 'BBBB']);
  });

  test.each([undefined, null, 5, {}, new Blob(['x'])])(
    'that is neither text nor bytes is refused: %s',
    async data => {
      const client = startClient(await nowhere());
      expect(await failure(client.send(data as never))).toMatchObject({ code: 'ERR_THREADGATE_CLIENT_DATA' });
      expect(await failure(client.send('x', { within: -1 }))).toMatchObject({
        code: 'ERR_THREADGATE_CLIENT_OPTION',
      });
    },
  );

  test('that nobody awaits may be lost without ending the process', async () => {
    const client = startClient(await nowhere(), { maxBuffered: 600 });
    const lost = new Promise<void>(resolve => {
      let count = 0;
      client.on('drop', () => ++count === 3 && resolve());
    });
    client.send('expires');
    client.send('x'.repeat(600));
    client.send('never', { within: 0 });
    await lost; // vitest fails on a rejection that nobody handles
  });

  test('is given up when the client is closed, and none is taken after that', async () => {
    const client = startClient(await nowhere());
    const waiting = failure(client.send('waits', { within: 30_000 }));
    await client.close();
    expect(await waiting).toMatchObject(CLOSED);
    expect(await failure(client.send('too late'))).toMatchObject(CLOSED);
  });
});

describe('the buffer', () => {
  test('refuses at once what does not fit, and takes more when there is room', async () => {
    const client = startClient(await nowhere(), { maxBuffered: 1000 });
    const first = failure(client.send('x'.repeat(300), { within: 20 }));
    expect(client.buffered).toBeGreaterThan(600);
    let isWaiting = true;
    const refused = failure(client.send('y'.repeat(300), { within: 1000 })).finally(() => {
      isWaiting = false;
    });
    await Promise.resolve()
      .then(() => {})
      .then(() => {})
      .then(() => {})
      .then(() => {});
    expect(isWaiting).toBe(false);
    expect(await refused).toMatchObject(FULL);
    expect(await first).toMatchObject(EXPIRED);
    expect(client.buffered).toBe(0);
    client.send('z'.repeat(300), { within: 20 });
    expect(client.buffered).toBeGreaterThan(600);
  });

  test('bounds memory, however much is sent while the server is away', async () => {
    const client = startClient(await nowhere(), { maxBuffered: 64 * 1024 });
    let full = 0;
    let kept = 0;
    client.on('drop', ({ code }) => {
      if (code === FULL.code) full += 1;
    });
    for (let i = 0; i < 20_000; i++) {
      client.send(`message ${i}`, { within: Number.POSITIVE_INFINITY });
      kept = Math.max(kept, client.buffered);
    }
    expect(kept).toBeLessThanOrEqual(64 * 1024);
    expect(full).toBeGreaterThan(19_000);
  });

  test('has what waited written before what is sent later', async () => {
    const port = await freePort();
    const client = startClient(`ws://127.0.0.1:${port}`, FAST);
    client.on('status', ({ state }) => {
      if (state === 'open') client.send('sent when it opened', { within: 5000 });
    });
    for (let i = 0; i < 100; i++) client.send(String(i), { within: 30_000 });
    const server = await startServer({}, port);
    await until('all arrive', () => server.received.length === 101);
    expect(server.received).toEqual([
      ...Array.from({ length: 100 }, (_, i) => String(i)),
      'sent when it opened',
    ]);
  });
});

describe('a connection that takes nothing', () => {
  /** More than kernel and WebSocket take, so that the rest waits. */
  const PIECE = new Uint8Array(256 * 1024);
  const PIECES = 80;

  test('keeps messages in the buffer, where those that may be lost grow too old and are given up', async () => {
    const server = await startServer();
    const proxy = await startProxy(server.port);
    const client = startClient(proxy.url, { maxBuffered: 2 ** 26 });
    await client.ready;
    proxy.stalled = true;
    const sent = Array.from({ length: PIECES }, () => client.send(PIECE, { within: 30_000 }));
    expect(await failure(client.send('may be lost', { within: 30 }))).toMatchObject(EXPIRED);
    proxy.resume();
    const outcomes = await Promise.all(sent);
    expect(outcomes.map(({ outcome }) => outcome)).toEqual(Array(PIECES).fill('written'));
    expect(outcomes.at(-1)?.waited).toBeGreaterThanOrEqual(30);
    await until('all arrive', () => server.received.length === PIECES);
    expect(server.received).not.toContain('may be lost');
  });
});

test('every error is a ClientError with its class for a name', async () => {
  const client = startClient(await nowhere());
  const error = await failure(client.send('x', { within: 0 }));
  expect(error).toBeInstanceOf(ClientError);
  expect(error).toHaveProperty('name', 'ExpiredError');
});
