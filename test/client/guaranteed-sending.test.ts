/** Guaranteed messages of a client, against a gateway that follows a script. */
import { describe, expect, test } from 'vitest';
import type { Client, ClientOptions, Delivery } from '../../dist/src/client/index.js';
import { freePort } from '../support/ports.js';
import { becomes, FAST, failure, next, startClient, take } from './clients.js';
import { MARK, type ScriptedConnection, said, startScript, type WELCOME } from './script.js';
import { startServer } from './server.js';

const REFUSED = { code: 'ERR_THREADGATE_CLIENT_REFUSED_MESSAGE' };
const TOO_LARGE = { code: 'ERR_THREADGATE_CLIENT_TOO_LARGE' };
const FULL = { code: 'ERR_THREADGATE_CLIENT_BUFFER_FULL' };
const CLOSED = { code: 'ERR_THREADGATE_CLIENT_CLOSED' };
const NO_SESSION = { code: 'ERR_THREADGATE_CLIENT_NO_SESSION' };
const OPTION = { code: 'ERR_THREADGATE_CLIENT_OPTION' };
const DATA = { code: 'ERR_THREADGATE_CLIENT_DATA' };

const HEAD_BYTES = 18;

const send = (client: Client, data: string): Promise<Delivery> => client.send(data, { guaranteed: true });

/** A client, and the gateway's side of its first connection. */
async function start(options: ClientOptions = {}, welcome: Partial<typeof WELCOME> = {}) {
  const gateway = await startScript();
  const client = startClient(gateway.url, { ...FAST, guaranteed: true, ...options });
  const connection = (await gateway.connection()).welcome(welcome);
  await client.ready;
  return { gateway, client, connection };
}

/** What the client says to all that it was told, up to a message that may be lost: it is written when all others were. */
async function heardBy(connection: ScriptedConnection, client: Client) {
  const told = take(client, 1);
  connection.socket.send('your turn');
  await told;
  await client.send('until here', { within: 5000 });
  const all = [];
  for (;;) {
    const one = await connection.next();
    if ('text' in one) return all;
    all.push(one);
  }
}

describe('a guaranteed message', () => {
  test('is written byte by byte as the protocol has it', async () => {
    const { client, connection } = await start();
    const frames: string[] = [];
    connection.socket.on('message', (data: Buffer) => frames.push(data.toString('hex')));
    connection.go(0);
    client.send('é€', { guaranteed: true });
    client.send(Uint8Array.of(0, 255).subarray(1), { guaranteed: true });
    await connection.take(2);
    expect(frames).toEqual([`${MARK}01000000000000000001c3a9e282ac`, `${MARK}01010000000000000002ff`]);
  });

  test('waits for the gateway to say go, and for its acknowledgement', async () => {
    const { client, connection } = await start();
    const sent = send(client, 'a');
    expect(await heardBy(connection, client)).toEqual([]);
    connection.go(0);
    expect(await connection.next()).toEqual(said(1, 'a'));
    expect(client.unacknowledged).toBe(257);
    let delivery: Delivery | undefined;
    void sent.then(result => {
      delivery = result;
    });
    await heardBy(connection, client);
    expect(delivery).toBeUndefined();
    connection.acknowledge(1);
    expect(await sent).toEqual({
      outcome: 'acknowledged',
      waited: expect.any(Number),
      number: 1,
      attempts: 1,
    });
    expect(client.unacknowledged).toBe(0);
  });

  test('counts as acknowledged with each that came after it', async () => {
    const { client, connection } = await start();
    connection.go(0);
    const sent = ['a', 'b', 'c', 'd'].map(data => send(client, data));
    await connection.take(4);
    connection.acknowledge(3).acknowledge(2).acknowledge(3);
    expect((await Promise.all(sent.slice(0, 3))).map(each => 'number' in each && each.number)).toEqual([
      1, 2, 3,
    ]);
    expect(client.unacknowledged).toBe(257);
    connection.acknowledge(4);
    await sent[3];
  });

  test('is sent again on the next connection, before those that come later', async () => {
    const { gateway, client, connection } = await start();
    connection.go(0);
    const sent = ['a', 'b', 'c'].map(data => send(client, data));
    await connection.take(3);
    connection.acknowledge(1);
    await sent[0];
    connection.socket.terminate();
    await next(client, 'waiting');
    sent.push(send(client, 'd'));
    const again = (await gateway.connection()).welcome({ resumed: true });
    await client.ready;
    expect(await heardBy(again, client)).toEqual([]);
    again.go(2); // b had been taken
    expect(await again.take(2)).toEqual([said(3, 'c'), said(4, 'd')]);
    again.acknowledge(4);
    const attempts = (await Promise.all(sent)).map(each => 'attempts' in each && each.attempts);
    expect(attempts).toEqual([1, 1, 2, 1]);
  });

  test('is sent again on the same connection when the gateway asks for it', async () => {
    const { client, connection } = await start();
    connection.go(0);
    const sent = ['a', 'b', 'c'].map(data => send(client, data));
    await connection.take(3);
    connection.go(1);
    expect(await connection.take(2)).toEqual([said(2, 'b'), said(3, 'c')]);
    sent.push(send(client, 'd'));
    expect(await connection.next()).toEqual(said(4, 'd'));
    connection.go(2);
    expect(await connection.take(2)).toEqual([said(3, 'c'), said(4, 'd')]);
    connection.acknowledge(4);
    await Promise.all(sent);
  });

  test('goes to a new session under its old number, marked as one that may have been handled', async () => {
    const { gateway, client, connection } = await start();
    connection.go(0);
    const sent = [send(client, 'a'), send(client, 'b')];
    await connection.take(2);
    connection.acknowledge(1);
    await sent[0];
    connection.socket.terminate();
    await next(client, 'waiting');
    sent.push(send(client, 'c'));
    const again = (await gateway.connection()).welcome({ resumed: false, mark: MARK }).go(1);
    expect(await again.take(2)).toEqual([said(2, 'b', true), said(3, 'c')]);
    again.socket.terminate();
    // It stays in doubt, whichever gateway takes it.
    const third = (await gateway.connection()).welcome({ resumed: true }).go(1);
    expect(await third.take(2)).toEqual([said(2, 'b', true), said(3, 'c')]);
    third.acknowledge(3);
    await Promise.all(sent);
  });

  test('that is refused rejects, and those behind it go on', async () => {
    const { gateway, client, connection } = await start();
    const dropped: unknown[] = [];
    client.on('drop', ({ code }, data) => dropped.push([code, data]));
    connection.go(0);
    const sent = ['a', 'poison', 'c'].map(data => send(client, data));
    await connection.take(3);
    const refused = failure(sent[1] as Promise<Delivery>);
    connection.refuse(2, 'it ended 3 lanes');
    expect(await refused).toMatchObject({ ...REFUSED, reason: 'it ended 3 lanes' });
    // Not acknowledged yet: were the gateway to ask for it, it is there.
    connection.socket.terminate();
    const again = (await gateway.connection()).welcome({ resumed: true }).go(0);
    expect(await again.take(3)).toEqual([said(1, 'a'), said(2, 'poison'), said(3, 'c')]);
    again.refuse(2, 'it ended 3 lanes').acknowledge(3);
    await Promise.all([sent[0], sent[2]]);
    expect(dropped).toEqual([[REFUSED.code, 'poison']]);
    expect(client.unacknowledged).toBe(0);
  });

  test('is what it was when it was sent', async () => {
    const { client, connection } = await start();
    const bytes = Uint8Array.of(1, 2);
    client.send(bytes, { guaranteed: true });
    bytes.fill(0);
    connection.go(0);
    expect(await connection.next()).toEqual({
      kind: 1,
      binary: true,
      doubtful: false,
      number: 1,
      data: '0102',
    });
  });

  test('goes without a deadline, and is text or bytes', async () => {
    const { client } = await start();
    expect(await failure(client.send('x', { guaranteed: true, within: 5 }))).toMatchObject(OPTION);
    expect(await failure(client.send('x', { guaranteed: 1 as never }))).toMatchObject(OPTION);
    expect(await failure(client.send(5 as never, { guaranteed: true }))).toMatchObject(DATA);
  });
});

describe('the window', () => {
  test('bounds what is on its way, and one message may always be', async () => {
    const { client, connection } = await start({}, { window: 2 * (HEAD_BYTES + 10) });
    connection.go(0);
    const sent = ['a', 'b', 'c'].map(data => send(client, data.repeat(10)));
    sent.push(send(client, 'd'.repeat(1000)), send(client, 'e'));
    expect(await heardBy(connection, client)).toHaveLength(2);
    connection.acknowledge(1);
    expect(await connection.next()).toEqual(said(3, 'c'.repeat(10)));
    connection.acknowledge(2);
    expect(await heardBy(connection, client)).toEqual([]);
    connection.acknowledge(3);
    expect(await connection.next()).toMatchObject({ number: 4 });
    expect(await heardBy(connection, client)).toEqual([]);
    connection.acknowledge(4);
    expect(await connection.next()).toEqual(said(5, 'e'));
    connection.acknowledge(5);
    await Promise.all(sent);
  });

  test('is open again at each go', async () => {
    const { client, connection } = await start({}, { window: 2 * (HEAD_BYTES + 1) });
    connection.go(0);
    const sent = ['a', 'b', 'c'].map(data => send(client, data));
    expect(await heardBy(connection, client)).toHaveLength(2);
    connection.go(1);
    expect(await connection.take(2)).toEqual([said(2, 'b'), said(3, 'c')]);
    connection.acknowledge(3);
    await Promise.all(sent);
  });

  test('that is smaller on the next connection changes nothing of what was sent on the one before', async () => {
    const { gateway, client, connection } = await start();
    connection.go(0);
    const sent = ['a', 'b', 'c'].map(data => send(client, data));
    await connection.take(3);
    connection.socket.terminate();
    const again = (await gateway.connection()).welcome({ resumed: true, window: 0 }).go(0);
    expect(await again.next()).toEqual(said(1, 'a'));
    again.go(2);
    expect(await again.next()).toEqual(said(3, 'c'));
    again.acknowledge(3);
    await Promise.all(sent);
  });

  test('keeps nobody else waiting', async () => {
    const { client, connection } = await start({}, { window: 0 });
    connection.go(0);
    for (const data of ['a', 'b']) send(client, data);
    expect(await connection.next()).toEqual(said(1, 'a'));
    expect(await client.send('beside it', { within: 5000 })).toMatchObject({ outcome: 'written' });
    expect(await connection.next()).toEqual({ text: 'beside it' });
  });
});

describe('messages that may be lost', () => {
  test('go beside guaranteed ones, though they had to wait for the connection', async () => {
    const gateway = await startScript();
    const client = startClient(gateway.url, { ...FAST, guaranteed: true });
    send(client, 'a');
    client.send('may be lost', { within: 10_000 });
    const connection = (await gateway.connection()).welcome();
    expect(await connection.next()).toEqual({ text: 'may be lost' });
    connection.go(0);
    expect(await connection.next()).toEqual(said(1, 'a'));
  });
});

describe('a message that is too large', () => {
  test('is given up at once where the gateway said so', async () => {
    const { client, connection } = await start({}, { largest: 4 });
    connection.go(0);
    expect(await failure(send(client, 'é€'))).toMatchObject(TOO_LARGE);
    send(client, 'abcd');
    expect(await connection.next()).toEqual(said(1, 'abcd'));
  });

  test('is given up when the gateway says so, and leaves no hole', async () => {
    const gateway = await startScript();
    const client = startClient(gateway.url, { ...FAST, guaranteed: true });
    const sent = ['a', 'too large', 'b'].map(data => send(client, data));
    // What is sent from a listener goes behind what was sent before.
    const more = (): void => {
      client.off('drop', more);
      send(client, 'c');
    };
    client.on('drop', more);
    const refused = failure(sent[1] as Promise<Delivery>);
    const connection = (await gateway.connection()).welcome({ largest: 4 }).go(0);
    expect(await refused).toMatchObject(TOO_LARGE);
    expect(await connection.take(3)).toEqual([said(1, 'a'), said(2, 'b'), said(3, 'c')]);
  });

  test('for a gateway that comes back with less room, and has its number, is said in the status', async () => {
    const { gateway, client, connection } = await start();
    connection.go(0);
    send(client, 'abcdef');
    await connection.next();
    connection.socket.terminate();
    await next(client, 'waiting');
    (await gateway.connection()).welcome({ largest: 4 });
    expect((await next(client, 'waiting')).error).toMatchObject({ cause: TOO_LARGE });
    const again = (await gateway.connection()).welcome({ largest: 6 }).go(0);
    expect(await again.next()).toEqual(said(1, 'abcdef', true));
  });
});

describe('what is kept', () => {
  test('is bounded: what does not fit is refused at once', async () => {
    const { client, connection } = await start({ maxGuaranteed: 600 });
    const dropped: unknown[] = [];
    client.on('drop', ({ code }, data) => dropped.push([code, data]));
    connection.go(0);
    const sent = [send(client, 'a'), send(client, 'b')];
    expect(await failure(send(client, 'c'))).toMatchObject(FULL);
    expect(dropped).toEqual([[FULL.code, 'c']]);
    await connection.take(2);
    connection.acknowledge(1);
    await sent[0];
    send(client, 'd');
    expect(await connection.next()).toEqual(said(3, 'd'));
  });

  test('bounds memory, however much is sent while the server is away', async () => {
    const url = `ws://127.0.0.1:${await freePort()}`;
    const client = startClient(url, { ...FAST, guaranteed: true, maxGuaranteed: 64 * 1024 });
    let full = 0;
    let kept = 0;
    client.on('drop', ({ code }) => {
      if (code === FULL.code) full += 1;
    });
    for (let i = 0; i < 20_000; i++) {
      send(client, `message ${i}`);
      kept = Math.max(kept, client.unacknowledged);
    }
    expect(kept).toBeLessThanOrEqual(64 * 1024);
    expect(full).toBeGreaterThan(19_000);
  });

  test('is given up when the client is closed, and the gateway is told that the session is over', async () => {
    const { client, connection } = await start();
    connection.go(0);
    const sent = [failure(send(client, 'a')), failure(send(client, 'b'))];
    await connection.take(2);
    await client.close();
    for (const one of sent) expect(await one).toMatchObject(CLOSED);
    expect(await connection.next()).toEqual({ kind: 7 });
    expect(await connection.closed).toEqual({ code: 1000, reason: '' });
    expect(await failure(send(client, 'too late'))).toMatchObject(CLOSED);
    expect(client.unacknowledged).toBe(0);
  });

  test('is given up when the client is aborted', async () => {
    const controller = new AbortController();
    const { client, connection } = await start({ signal: controller.signal });
    const sent = failure(send(client, 'a'));
    controller.abort('enough');
    expect(await sent).toMatchObject({ ...CLOSED, cause: { cause: 'enough' } });
    expect(await connection.next()).toEqual({ kind: 7 });
    await connection.closed;
  });
});

describe('without a session', () => {
  test('nothing is taken with guarantee, and the error says what to do', async () => {
    const server = await startServer();
    const never = startClient(server.url);
    expect(await failure(send(never, 'x'))).toMatchObject(NO_SESSION);
    const client = startClient(server.url, { ...FAST, guaranteed: 'preferred' });
    const early = failure(send(client, 'before anybody knows'));
    await becomes(client, 'open');
    expect(await early).toMatchObject({
      ...NO_SESSION,
      message: expect.stringContaining('option guaranteed'),
    });
    expect(await failure(send(client, 'x'))).toMatchObject(NO_SESSION);
    expect(client.unacknowledged).toBe(0);
  });
});

describe('a gateway that breaks the protocol', () => {
  test.each([
    ['acknowledges what was not sent', (connection: ScriptedConnection) => connection.acknowledge(2)],
    ['says go behind what was sent', (connection: ScriptedConnection) => connection.go(2)],
    ['asks for what it acknowledged', (connection: ScriptedConnection) => connection.acknowledge(1).go(0)],
  ])('is left and come back to: it %s', async (_what, misbehave) => {
    const { gateway, client, connection } = await start();
    connection.go(0);
    send(client, 'a');
    await connection.next();
    const lost = next(client, 'waiting');
    misbehave(connection);
    expect((await lost).error).toMatchObject({ cause: { code: 'ERR_THREADGATE_CLIENT_PROTOCOL' } });
    await connection.closed;
    (await gateway.connection()).welcome({ resumed: true });
    await client.ready;
  });
});
