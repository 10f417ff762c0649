/** How a client connects, comes back, and stops coming back. */
import { createServer } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { Backoff } from '../../dist/src/client/backoff.js';
import { type ClientOptions, createClient } from '../../dist/src/client/index.js';
import { startGateway } from '../support/gateway.js';
import { freePort, occupiedPort } from '../support/ports.js';
import { becomes, FAST, failure, next, startClient, statesOf, take } from './clients.js';
import { startProxy } from './proxy.js';
import { startServer } from './server.js';

describe('a client', () => {
  test('connects at once and says each change to who listens from the start', async () => {
    const server = await startServer();
    const client = startClient(server.url);
    expect(client.status).toEqual({ state: 'idle' });
    const states = statesOf(client);
    await client.ready;
    expect(client.status).toMatchObject({ state: 'open', url: server.url, protocol: '' });
    await client.close();
    expect(states).toEqual(['connecting', 'open', 'closed']);
    expect(client.status).toEqual({ state: 'closed', error: undefined });
  });

  test('stays idle until it is told to connect, where it was made so', async () => {
    const server = await startServer();
    const client = startClient(server.url, { autoConnect: false });
    await Promise.resolve();
    expect(client.status.state).toBe('idle');
    client.connect();
    client.connect();
    await client.ready;
    expect(server.count).toBe(1);
  });

  test('speaks with a threadgate gateway, and comes back after its restart', async () => {
    const port = await freePort();
    const first = await startGateway('echo.mjs', { port, lanes: 1 });
    const client = startClient(`ws://127.0.0.1:${port}`, FAST);
    await client.ready;
    const waiting = next(client, 'waiting');
    await first.close();
    expect((await waiting).error).toMatchObject({ code: 'ERR_THREADGATE_CLIENT_LOST', closeCode: 1001 });
    await startGateway('echo.mjs', { port, lanes: 1 });
    await client.ready;
    const echo = take(client, 2);
    await client.send('text');
    await client.send(Uint8Array.of(1, 2));
    expect(await echo).toEqual(['text', Uint8Array.of(1, 2).buffer]);
  });

  test('waits for a server that is not there yet', async () => {
    const port = await freePort();
    const client = startClient(`ws://127.0.0.1:${port}`, FAST);
    const { error, attempt } = await next(client, 'waiting');
    expect(error.code).toBe('ERR_THREADGATE_CLIENT_CONNECT');
    expect(attempt).toBe(2);
    await startServer({}, port);
    await client.ready;
  });

  test('gives up after maxAttempts, and says why', async () => {
    const client = startClient(`ws://127.0.0.1:${await freePort()}`, { ...FAST, maxAttempts: 3 });
    const states = statesOf(client);
    const error = await failure(client.ready);
    expect(error).toMatchObject({ code: 'ERR_THREADGATE_CLIENT_GAVE_UP' });
    expect(error).toHaveProperty('cause.code', 'ERR_THREADGATE_CLIENT_CONNECT');
    expect(client.status).toEqual({ state: 'closed', error });
    const attempt = ['connecting', 'waiting'];
    expect(states).toEqual([...attempt, ...attempt, 'connecting', 'closed']);
  });

  test('gives up an attempt after connectTimeout: the port takes connections and nobody answers', async () => {
    const client = startClient(`ws://127.0.0.1:${await occupiedPort()}`, { connectTimeout: 30, ...FAST });
    const { error } = await next(client, 'waiting');
    expect(error).toHaveProperty('cause.message', 'not within 30 ms');
  });

  test('asks for url and subprotocols before every attempt', async () => {
    const protocols = [new Set(['a', 'token-1']), new Set(['a', 'token-2'])];
    const server = await startServer({
      handleProtocols: offered => {
        expect(offered).toEqual(protocols[server.count]);
        return 'a';
      },
    });
    const paths: (string | undefined)[] = [];
    let asked = 0;
    const client = startClient(async () => `${server.url}/?token=${++asked}`, {
      ...FAST,
      protocols: () => ['a', `token-${asked}`],
    });
    client.on('status', status => status.state === 'open' && paths.push(status.url));
    expect((await becomes(client, 'open')).protocol).toBe('a');
    const again = next(client, 'open');
    for (const socket of server.sockets) socket.close(1012);
    await again;
    expect(paths).toEqual([`${server.url}/?token=1`, `${server.url}/?token=2`]);
  });

  test('takes a url function that fails, or gives nonsense, for a failed attempt', async () => {
    const server = await startServer();
    let asked = 0;
    const client = startClient(() => {
      asked += 1;
      if (asked === 1) throw new Error('no token today');
      return asked === 2 ? 'nonsense' : server.url;
    }, FAST);
    const errors: string[] = [];
    client.on('status', status => status.state === 'waiting' && errors.push(status.error.message));
    await client.ready;
    expect(errors).toEqual([
      expect.stringContaining('no token today'),
      expect.stringMatching(/URL|nonsense/),
    ]);
  });

  test('aborts the signal of a url function that takes too long', async () => {
    const signals: AbortSignal[] = [];
    const client = startClient(
      ({ signal }) => {
        signals.push(signal);
        return new Promise(() => {});
      },
      { connectTimeout: 20, ...FAST },
    );
    await next(client, 'waiting');
    expect(signals[0]?.aborted).toBe(true);
  });

  test('calls every listener though one throws', async () => {
    const server = await startServer();
    const client = startClient(server.url);
    const thrown = new Promise(resolve => {
      const others = process.listeners('uncaughtException');
      process.removeAllListeners('uncaughtException');
      process.once('uncaughtException', resolve);
      onTestFinished(() => {
        for (const other of others) process.on('uncaughtException', other);
      });
    });
    client.on('status', status => {
      if (status.state === 'open') throw new Error('from a listener');
    });
    const states = statesOf(client);
    await client.ready;
    expect(states).toContain('open');
    expect(await thrown).toMatchObject({ message: 'from a listener' });
  });
});

describe('a close code', () => {
  test.each([1000, 1001, 1011, 1012, 1013, 4000, 4399, 4500])('%i means to come back', async code => {
    const server = await startServer();
    const client = startClient(server.url, FAST);
    await client.ready;
    const waiting = next(client, 'waiting');
    for (const socket of server.sockets) socket.close(code, 'why');
    expect((await waiting).error).toMatchObject({ closeCode: code, reason: 'why' });
    await client.ready;
  });

  test('1006, a connection that was cut, means to come back', async () => {
    const server = await startServer();
    const client = startClient(server.url, FAST);
    await client.ready;
    const waiting = next(client, 'waiting');
    for (const socket of server.sockets) socket.terminate();
    expect((await waiting).error).toMatchObject({ closeCode: 1006 });
    await client.ready;
  });

  test.each([1008, 4400, 4401, 4499])('%i means to stay away', async code => {
    const server = await startServer();
    const client = startClient(server.url, FAST);
    await client.ready;
    const closed = next(client, 'closed');
    for (const socket of server.sockets) socket.close(code, 'why');
    const { error } = await closed;
    expect(error).toMatchObject({ code: 'ERR_THREADGATE_CLIENT_REFUSED', closeCode: code, reason: 'why' });
    expect(await failure(client.ready)).toBe(error);
    expect(server.count).toBe(1);
  });

  test('means what shouldReconnect says', async () => {
    const server = await startServer();
    const client = startClient(server.url, { ...FAST, shouldReconnect: code => code !== 1000 });
    await client.ready;
    const closed = next(client, 'closed');
    for (const socket of server.sockets) socket.close(1000);
    expect((await closed).error).toMatchObject({ code: 'ERR_THREADGATE_CLIENT_REFUSED', closeCode: 1000 });
  });
});

describe('the wait before an attempt', () => {
  test('is drawn from all of 0 to a ceiling that doubles up to maxDelay', () => {
    const backoff = new Backoff({ minDelay: 100, maxDelay: 10_000 });
    const ceilings: number[] = [];
    for (let failures = 1; failures <= 9; failures++) {
      backoff.failed();
      ceilings.push(backoff.ceiling);
      const drawn = Array.from({ length: 1000 }, () => backoff.delay() / backoff.ceiling);
      expect(Math.min(...drawn)).toBeLessThan(0.05);
      expect(Math.max(...drawn)).toBeGreaterThan(0.95);
      expect(Math.max(...drawn)).toBeLessThan(1);
    }
    expect(ceilings).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
  });

  test('begins anew only after a connection that lasted longer than the wait before it may have', () => {
    const backoff = new Backoff({ minDelay: 100, maxDelay: 10_000 });
    for (let i = 0; i < 4; i++) backoff.failed();
    backoff.lasted(700);
    expect(backoff.failures).toBe(5);
    backoff.lasted(1600);
    expect(backoff.failures).toBe(0);
    expect(backoff.ceiling).toBe(100);
  });

  test('grows where a server takes everybody and drops them', async () => {
    const server = await startServer();
    server.onConnection = socket => socket.terminate();
    const client = startClient(server.url, { minDelay: 1000, maxDelay: 1000, maxAttempts: 1 });
    expect(
      await failure(
        client.ready
          .then(() => becomes(client, 'closed'))
          .then(({ error }) => {
            throw error;
          }),
      ),
    ).toMatchObject({
      code: 'ERR_THREADGATE_CLIENT_GAVE_UP',
    });
  });
});

describe('a server that is gone though nobody closed', () => {
  test('is noticed by a ping, within pingInterval and pingTimeout, and come back to', async () => {
    const server = await startServer();
    const proxy = await startProxy(server.port);
    const client = startClient(proxy.url, { ...FAST, WebSocket, pingInterval: 40, pingTimeout: 40 });
    expect(await becomes(client, 'open')).toMatchObject({ pings: true });
    const waiting = next(client, 'waiting');
    proxy.stalled = true;
    expect((await waiting).error).toHaveProperty('cause.message', 'no answer to a ping within 40 ms');
    proxy.cut();
    proxy.resume();
    await client.ready;
  });

  test('is not mistaken for one that is silent and answers', async () => {
    const server = await startServer();
    let pings = 0;
    const pinged = new Promise<void>(resolve => {
      server.onConnection = socket => socket.on('ping', () => ++pings === 5 && resolve());
    });
    const client = startClient(server.url, { ...FAST, WebSocket, pingInterval: 10, pingTimeout: 1000 });
    await client.ready;
    const states = statesOf(client);
    await pinged;
    expect(states).toEqual([]);
  });
});

describe('an option', () => {
  test.each([
    ['http', 'ftp://127.0.0.1', {}],
    ['url', 'nonsense', {}],
    ['minDelay', 'ws://127.0.0.1', { minDelay: 0 }],
    ['maxDelay', 'ws://127.0.0.1', { minDelay: 50, maxDelay: 20 }],
    ['within', 'ws://127.0.0.1', { within: Number.NaN }],
    ['maxBuffered', 'ws://127.0.0.1', { maxBuffered: -1 }],
    ['unknown', 'ws://127.0.0.1', { retries: 5 }],
  ])('that cannot be is refused: %s', (_name, url, options) => {
    expect(() => createClient(url, options as ClientOptions)).toThrow(
      expect.objectContaining({ code: 'ERR_THREADGATE_CLIENT_OPTION' }),
    );
  });
});

test('a server that is no WebSocket server is a failed attempt', async () => {
  const server = createServer(socket => {
    socket.on('error', () => {});
    socket.end('HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n');
  }).listen(0, '127.0.0.1');
  await new Promise(resolve => server.once('listening', resolve));
  onTestFinished(() => {
    server.close();
  });
  const { port } = server.address() as { port: number };
  const client = startClient(`ws://127.0.0.1:${port}`, { ...FAST, maxAttempts: 2 });
  expect(await failure(client.ready)).toMatchObject({ code: 'ERR_THREADGATE_CLIENT_GAVE_UP' });
});
