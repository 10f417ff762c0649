/** How a client asks for a session, and what it makes of the answers. */
import { describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { encodeFrame } from '../support/raw.js';
import { becomes, FAST, failure, next, startClient, statesOf } from './clients.js';
import { frame, SESSION, startScript, WELCOME } from './script.js';
import { startServer } from './server.js';

const NO_SESSION = { code: 'ERR_THREADGATE_CLIENT_NO_SESSION' };
const PROTOCOL = { code: 'ERR_THREADGATE_CLIENT_PROTOCOL' };
const CONNECT = { code: 'ERR_THREADGATE_CLIENT_CONNECT' };

const SURE = { ...FAST, guaranteed: true } as const;
const PREFERRED = { ...FAST, guaranteed: 'preferred' } as const;

describe('a client that asks for a session', () => {
  test('offers it, and is open once it began', async () => {
    const gateway = await startScript();
    const client = startClient(gateway.url, SURE);
    const connection = await gateway.connection();
    expect(connection.offered).toEqual([
      expect.stringMatching(/^session\.[A-Za-z0-9_-]{22}\.0\.0$/),
      'threadgate.v1',
    ]);
    expect(client.status.state).toBe('connecting');
    connection.welcome();
    expect(await becomes(client, 'open')).toMatchObject({ protocol: '', session: SESSION, pings: true });
  });

  test('offers it with each subprotocol of the app, and says which of them was chosen', async () => {
    const gateway = await startScript();
    gateway.choose = () => 'threadgate.v1+talk';
    const client = startClient(gateway.url, { ...SURE, protocols: ['chat', 'talk'] });
    const connection = (await gateway.connection()).welcome();
    expect(connection.offered.slice(1)).toEqual([
      'threadgate.v1+chat',
      'threadgate.v1+talk',
      'threadgate.v1',
    ]);
    expect(await becomes(client, 'open')).toMatchObject({ protocol: 'talk', session: SESSION });
  });

  test('keeps its name for life, and says how far each direction got', async () => {
    const gateway = await startScript();
    const client = startClient(gateway.url, SURE);
    const sent = client.send('a', { guaranteed: true });
    const first = (await gateway.connection()).welcome().go(0);
    await first.next();
    first.message(1, 'x').message(2, 'y').acknowledge(1);
    await Promise.all([sent, first.next()]);
    first.socket.terminate();
    const second = await gateway.connection();
    const name = first.offered[0]?.replace(/\.0\.0$/, '');
    expect(second.offered[0]).toBe(`${name}.2.1`);
    const other = startClient(gateway.url, SURE);
    expect((await gateway.connection()).offered[0]).not.toContain(name);
    await other.close();
  });

  test('takes an answer without one for a failed attempt, and says so', async () => {
    const gateway = await startScript();
    for (const choose of [() => false as const, (offered: string[]) => offered[0] as string]) {
      gateway.choose = choose;
      const client = startClient(gateway.url, SURE);
      expect((await becomes(client, 'waiting')).error).toMatchObject(NO_SESSION);
      await client.close();
    }
  });

  test.each([
    ['text that is no JSON', 'hello'],
    ['JSON that is no object', 'null'],
    ['no mark', JSON.stringify({ ...WELCOME, mark: undefined })],
    ['a short mark', JSON.stringify({ ...WELCOME, mark: '9f86d0' })],
    ['no window', JSON.stringify({ ...WELCOME, window: '1' })],
    ['a binary message', Buffer.from(JSON.stringify(WELCOME))],
  ])('takes a first message that is no welcome for a failed attempt: %s', async (_name, message) => {
    const gateway = await startScript();
    const client = startClient(gateway.url, SURE);
    const connection = await gateway.connection();
    connection.socket.send(message);
    const { error } = await next(client, 'waiting');
    expect(error).toMatchObject(CONNECT);
    expect(error).toMatchObject({ cause: PROTOCOL });
    await connection.closed;
    (await gateway.connection()).welcome();
    await client.ready;
  });

  test('gives up a server that chose it and says nothing, after connectTimeout', async () => {
    const gateway = await startScript();
    const client = startClient(gateway.url, { ...SURE, connectTimeout: 50 });
    const connection = await gateway.connection();
    expect((await next(client, 'waiting')).error).toMatchObject({
      ...CONNECT,
      cause: { message: 'not within 50 ms' },
    });
    await connection.closed;
  });

  test('hears a close code that comes before it began', async () => {
    const gateway = await startScript();
    const client = startClient(gateway.url, SURE);
    (await gateway.connection()).socket.close(1012, 'restart');
    expect((await next(client, 'waiting')).error).toMatchObject({ closeCode: 1012, reason: 'restart' });
    (await gateway.connection()).socket.close(4401, 'who are you');
    expect((await becomes(client, 'closed')).error).toMatchObject({
      code: 'ERR_THREADGATE_CLIENT_REFUSED',
      closeCode: 4401,
    });
  });

  test('comes back at 4409: only an attempt of its own that came late can have taken its session', async () => {
    const gateway = await startScript();
    const client = startClient(gateway.url, SURE);
    const connection = (await gateway.connection()).welcome();
    await client.ready;
    connection.socket.close(4409, 'the session goes on over another connection');
    (await gateway.connection()).welcome({ resumed: true });
    await client.ready;
  });

  test('misses nothing, though all came together with the answer to the upgrade', async () => {
    const gateway = await startScript();
    const client = startClient(gateway.url, SURE);
    const { socket } = await gateway.connection();
    const tcp = (socket as unknown as { _socket: import('node:net').Socket })._socket;
    tcp.cork();
    tcp.write(encodeFrame(1, JSON.stringify(WELCOME), { masked: false }));
    tcp.write(encodeFrame(2, frame(1, Uint8Array.of(0), 1, 'with guarantee'), { masked: false }));
    tcp.write(encodeFrame(1, 'without', { masked: false }));
    tcp.uncork();
    await client.ready;
    const messages: unknown[] = [];
    for await (const message of client) if (messages.push(message) === 2) break;
    expect(messages).toEqual(['with guarantee', 'without']);
  });
});

describe('a client that prefers a session', () => {
  test.each(['chooses nothing', 'chooses the first', 'closes those that offer'])(
    'goes without, in the same attempt, where a server %s',
    async what => {
      const gateway = await startScript();
      gateway.choose = offered => (what === 'chooses nothing' ? false : (offered[0] as string));
      const client = startClient(gateway.url, { ...PREFERRED, protocols: 'chat' });
      const states = statesOf(client);
      const first = await gateway.connection();
      expect(first.offered).toHaveLength(3);
      if (what === 'closes those that offer') first.socket.terminate();
      gateway.choose = ([offered]) => offered ?? false;
      const second = await gateway.connection();
      expect(second.offered).toEqual(['chat']);
      const status = await becomes(client, 'open');
      expect(status).toMatchObject({ protocol: 'chat', session: undefined });
      expect(states).toEqual(['connecting', 'open']);
      second.socket.send(frame(1, Uint8Array.of(0), 1, 'x'));
      second.socket.send('plain');
      const messages: unknown[] = [];
      for await (const message of client) if (messages.push(message) === 2) break;
      expect(messages).toEqual([expect.any(ArrayBuffer), 'plain']);
    },
  );

  test('works with the server of the package ws as it is', async () => {
    const server = await startServer();
    server.onMessage = (text, socket) => socket.send(`you said ${text}`);
    const client = startClient(server.url, PREFERRED);
    await client.ready;
    expect(client.status).toMatchObject({ protocol: '', session: undefined });
    const echo = new Promise(resolve => client.on('message', resolve));
    await client.send('hello');
    expect(await echo).toBe('you said hello');
  });

  test('has one where there is one, and from then on goes without no more', async () => {
    const gateway = await startScript();
    const client = startClient(gateway.url, PREFERRED);
    const first = (await gateway.connection()).welcome();
    expect(await becomes(client, 'open')).toMatchObject({ session: SESSION });
    gateway.choose = offered => offered[0] as string;
    first.socket.terminate();
    await next(client, 'waiting');
    expect((await next(client, 'waiting')).error).toMatchObject(NO_SESSION);
    gateway.choose = () => 'threadgate.v1';
    const again = next(client, 'open');
    for (;;) {
      const connection = await Promise.race([gateway.connection(), again.then(() => undefined)]);
      if (connection === undefined) break;
      connection.welcome({ resumed: true });
    }
    expect((await again).session).toBe(SESSION);
  });

  test('asks again after each loss, as long as there was none', async () => {
    const gateway = await startScript();
    gateway.choose = () => false;
    const client = startClient(gateway.url, PREFERRED);
    await client.ready;
    gateway.choose = () => 'threadgate.v1';
    const lost = next(client, 'waiting');
    for (let i = 0; i < 2; i++) (await gateway.connection()).socket.terminate(); // the offer, and the one without
    await lost;
    (await gateway.connection()).welcome();
    expect(await becomes(client, 'open')).toMatchObject({ session: SESSION });
  });
});

test('a client that asks for nothing offers nothing', async () => {
  const gateway = await startScript();
  gateway.choose = ([offered]) => offered ?? false;
  const client = startClient(gateway.url, { WebSocket });
  expect((await gateway.connection()).offered).toEqual([]);
  expect(await becomes(client, 'open')).toMatchObject({ protocol: '', session: undefined, pings: true });
});

test.each([{ guaranteed: 'yes' }, { maxGuaranteed: -1 }])(
  'an option that cannot be is refused: %j',
  async options => {
    expect(await failure((async () => startClient('ws://127.0.0.1', options as never))())).toMatchObject({
      code: 'ERR_THREADGATE_CLIENT_OPTION',
    });
  },
);
