/** Guaranteed messages of the gateway, against one that follows a script; and its sign of life. */
import { WebSocket as StandardWebSocket } from 'undici';
import { describe, expect, test } from 'vitest';
import type { Client, ClientOptions, WebSocketClass } from '../../dist/src/client/index.js';
import { until } from '../support/until.js';
import { becomes, FAST, next, startClient, statesOf, take } from './clients.js';
import { frame, MARK, said, startScript, type WELCOME } from './script.js';

async function start(options: ClientOptions = {}, welcome: Partial<typeof WELCOME> = {}) {
  const gateway = await startScript();
  const client = startClient(gateway.url, { ...FAST, guaranteed: true, ...options });
  const connection = (await gateway.connection()).welcome(welcome);
  await client.ready;
  return { gateway, client, connection };
}

function heardBy(client: Client): unknown[] {
  const heard: unknown[] = [];
  client.on('message', data => heard.push(data));
  return heard;
}

describe('a guaranteed message of the gateway', () => {
  test('comes like any other, text as text and bytes as bytes', async () => {
    const { client, connection } = await start();
    const messages = take(client, 4);
    connection.message(1, 'é€').message(2, Uint8Array.of(1, 2)).message(3, '');
    connection.socket.send('beside them');
    expect(await messages).toEqual(['é€', Uint8Array.of(1, 2).buffer, '', 'beside them']);
  });

  test('is acknowledged when it was handed over, with those around it', async () => {
    const { client, connection } = await start();
    const heard = heardBy(client);
    let acknowledged = 0;
    for (let number = 1; number <= 100; number++) connection.message(number, `message ${number}`);
    for (let number = 0; number < 100; acknowledged++) {
      const one = await connection.next();
      expect(one).toMatchObject({ kind: 2 });
      number = (one as { number: number }).number;
      expect(heard.length).toBeGreaterThanOrEqual(number);
    }
    expect(acknowledged).toBeLessThan(50);
  });

  test('is acknowledged at once where much came, however slow timers are', async () => {
    const { connection } = await start();
    const piece = new Uint8Array(40_000);
    connection.message(1, piece).message(2, piece);
    expect(await connection.next()).toEqual({ kind: 2, number: 2 });
  });

  test('that is doubled is dropped, and acknowledged again', async () => {
    const { gateway, client, connection } = await start();
    const heard = heardBy(client);
    connection.message(1, 'a').message(2, 'b');
    await until('both come', () => heard.length === 2);
    connection.socket.terminate();
    const again = await gateway.connection();
    expect(again.offered[0]).toMatch(/\.2\.0$/);
    again.welcome({ resumed: true }).message(1, 'a').message(2, 'b');
    expect(await again.next()).toMatchObject({ kind: 2, number: 2 });
    again.message(2, 'b').message(3, 'c');
    await until('the next comes', () => heard.length === 3);
    expect(heard).toEqual(['a', 'b', 'c']);
  });

  test('goes through a loop once, over reconnects', async () => {
    const { gateway, client, connection } = await start();
    const heard: unknown[] = [];
    const loop = (async () => {
      for await (const message of client) if (heard.push(message) === 4) break;
    })();
    connection.message(1, 'a').message(2, 'b');
    await connection.next();
    connection.socket.terminate();
    (await gateway.connection()).welcome({ resumed: true }).message(2, 'b').message(3, 'c').message(4, 'd');
    await loop;
    expect(heard).toEqual(['a', 'b', 'c', 'd']);
  });

  test.each([
    ['one is missing', frame(1, Uint8Array.of(0), 2, 'x')],
    ['a number is too large', frame(1, Uint8Array.of(0), 2 ** 53, 'x')],
    ['text is no UTF-8', frame(1, Uint8Array.of(0), 1, Uint8Array.of(255))],
    ['it was cut short', frame(2, Uint8Array.of(0, 0))],
    ['its kind is unknown', frame(9)],
    ['it is a ping', frame(5)],
    ['it has no kind', Buffer.from(MARK, 'hex')],
  ])('that cannot be ends the connection with 4400, and the client comes back: %s', async (_what, bad) => {
    const { gateway, client, connection } = await start({ WebSocket: StandardWebSocket as never });
    const heard = heardBy(client);
    const lost = next(client, 'waiting');
    connection.socket.send(bad);
    connection.socket.send('not heard any more');
    expect((await lost).error).toMatchObject({ cause: { code: 'ERR_THREADGATE_CLIENT_PROTOCOL' } });
    expect(await connection.closed).toEqual({ code: 4400, reason: 'bad frame' });
    (await gateway.connection()).welcome({ resumed: true }).message(1, 'whole');
    await until('it goes on', () => heard.length > 0);
    expect(heard).toEqual(['whole']);
  });

  test('is told from bytes of the app by the mark alone', async () => {
    const { client, connection } = await start();
    const messages = take(client, 3);
    const almost = Buffer.from(MARK, 'hex');
    almost[7] = (almost[7] as number) ^ 1;
    for (const bytes of [Uint8Array.of(), Uint8Array.of(1), almost]) connection.socket.send(bytes);
    expect((await messages).map(each => (each as ArrayBuffer).byteLength)).toEqual([0, 1, 8]);
  });
});

describe('a gap', () => {
  test('is told when the gateway lost the session, with what is known', async () => {
    const { gateway, client, connection } = await start();
    const told: unknown[] = [];
    client.on('gap', gap => told.push(client.status.state, gap));
    client.on('message', data => told.push(data));
    connection.go(0);
    for (const data of ['a', 'b']) client.send(data, { guaranteed: true });
    await connection.take(2);
    connection.message(1, 'x');
    await connection.next();
    connection.socket.terminate();
    await next(client, 'waiting');
    client.send('c', { guaranteed: true });
    const again = (await gateway.connection()).welcome({ mark: '0011223344556677' });
    await client.ready;
    again.socket.send('y');
    await until('it goes on', () => told.length === 4);
    expect(told).toEqual(['x', 'open', { received: 1, resent: 2 }, 'y']);
  });

  test('is told though the welcome that said so was lost with its connection', async () => {
    const { gateway, client, connection } = await start();
    const gap = new Promise(resolve => client.on('gap', resolve));
    connection.go(0);
    client.send('a', { guaranteed: true });
    await connection.take(1);
    connection.socket.terminate();
    // The connection between, on which the gateway began anew, is one that the client never saw open.
    await next(client, 'waiting');
    (await gateway.connection()).welcome({ resumed: true, mark: '0011223344556677' });
    expect(await gap).toEqual({ received: 0, resent: 1 });
  });

  test('is none at the first session, nor when it is resumed', async () => {
    const gateway = await startScript();
    const client = startClient(gateway.url, { ...FAST, guaranteed: true });
    const gaps: unknown[] = [];
    client.on('gap', gap => gaps.push(gap));
    const connection = (await gateway.connection()).welcome({ resumed: false });
    await client.ready;
    for (let i = 0, last = connection; i < 3; i++) {
      last.socket.terminate();
      await next(client, 'waiting');
      last = (await gateway.connection()).welcome({ resumed: true });
      await client.ready;
    }
    expect(gaps).toEqual([]);
  });
});

describe('a WebSocket without pings, with a session', () => {
  const options = { ...FAST, WebSocket: StandardWebSocket as unknown as WebSocketClass };

  test('asks for a sign of life after silence, and anything is one', async () => {
    const { client, connection } = await start({ ...options, pingInterval: 30, pingTimeout: 5000 });
    expect(client.status).toMatchObject({ pings: true });
    const states = statesOf(client);
    for (let i = 0; i < 6; i++) {
      expect(await connection.next()).toEqual({ kind: 5 });
      if (i % 2 === 0) connection.pong();
      else connection.socket.send('not a pong');
    }
    expect(states).toEqual([]);
  });

  test('notices a gateway that is gone, within pingInterval and pingTimeout, and comes back', async () => {
    const { gateway, client, connection } = await start({ ...options, pingInterval: 30, pingTimeout: 30 });
    const before = performance.now();
    const { error } = await next(client, 'waiting');
    expect(performance.now() - before).toBeLessThan(1000);
    expect(error).toHaveProperty('cause.message', 'no answer to a ping within 30 ms');
    expect(await connection.next()).toEqual({ kind: 5 });
    (await gateway.connection()).welcome({ resumed: true });
    await client.ready;
  });

  test('asks for none where pingInterval is 0', async () => {
    const { client } = await start({ ...options, pingInterval: 0 });
    expect(client.status).toMatchObject({ pings: false });
  });

  test('has guaranteed messages both ways', async () => {
    const { client, connection } = await start(options);
    const message = take(client, 1);
    connection.go(0).message(1, 'x');
    const sent = client.send('a', { guaranteed: true });
    expect(await message).toEqual(['x']);
    const heard = await connection.take(2);
    expect(heard).toEqual(expect.arrayContaining([said(1, 'a'), { kind: 2, number: 1 }]));
    connection.acknowledge(1);
    await sent;
  });

  test('takes an answer without a session for a failed attempt', async () => {
    const gateway = await startScript();
    gateway.choose = () => false;
    const sure = startClient(gateway.url, { ...options, guaranteed: true });
    expect((await becomes(sure, 'waiting')).error).toMatchObject({
      code: 'ERR_THREADGATE_CLIENT_CONNECT',
      message: expect.stringContaining('without a session'), // it keeps to itself why, as browsers do
    });
    const preferring = startClient(gateway.url, { ...options, guaranteed: 'preferred' });
    expect(await becomes(preferring, 'open')).toMatchObject({ session: undefined, pings: false });
  });
});
