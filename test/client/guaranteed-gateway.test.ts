/** Guaranteed messages between the client and the gateway as they are, over connections that are well. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WebSocket as StandardWebSocket } from 'undici';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { ClientOptions, WebSocketClass } from '../../dist/src/client/index.js';
import { sharedGateway, startGateway } from '../support/gateway.js';
import { freePort } from '../support/ports.js';
import { until } from '../support/until.js';
import { becomes, FAST, failure, next, startClient, statesOf, take } from './clients.js';
import { startProxy } from './proxy.js';

const OPTIONS = { ...FAST, guaranteed: true } as const satisfies ClientOptions;
const STANDARD = StandardWebSocket as unknown as WebSocketClass;
const GUARANTEED = { guaranteed: true } as const;

const url = (port: number): string => `ws://127.0.0.1:${port}`;
const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

describe('a client and a gateway', () => {
  const gateway = sharedGateway('session.mjs');

  test('agree on the name of their session', async () => {
    const client = startClient(url(gateway().port), OPTIONS);
    const { session, protocol } = await becomes(client, 'open');
    expect(session).toMatch(/^[0-9a-f]{32}$/);
    expect(protocol).toBe('');
    const messages = take(client, 3);
    await client.send('session', GUARANTEED);
    await client.send('headers', { within: 5000 });
    expect(await messages).toEqual(['hello', session, '[null,"",""]']);
  });

  test("agree on the app's subprotocol", async () => {
    const client = startClient(url(gateway().port), { ...OPTIONS, protocols: ['talk', 'chat'] });
    expect((await becomes(client, 'open')).protocol).toBe('chat');
    const messages = take(client, 2);
    await client.send('headers', { within: 5000 });
    expect(await messages).toEqual(['hello', '["talk, chat","chat","chat"]']);
  });

  test('have 1,000 messages each way, in order and once', async () => {
    const client = startClient(url(gateway().port), OPTIONS);
    await client.ready;
    const messages = take(client, 1001);
    const sent = range(1000).map(i => client.send(`echo ${i}`, GUARANTEED));
    const deliveries = await Promise.all(sent);
    expect(deliveries).toEqual(
      range(1000).map(i => ({
        outcome: 'acknowledged',
        number: i + 1,
        attempts: 1,
        waited: expect.any(Number),
      })),
    );
    expect(await messages).toEqual(['hello', ...range(1000).map(String)]);
    await until('all is acknowledged', () => gateway().stats.sessions.waitingBytes === 0);
  });

  test('have bytes as bytes, empty ones and long ones', async () => {
    const client = startClient(url(gateway().port), OPTIONS);
    await client.ready;
    const messages = take(client, 4);
    const long = new Uint8Array(900_000).fill(7);
    long.set(new TextEncoder().encode('binary '));
    await client.send(new TextEncoder().encode('binary '), GUARANTEED);
    await client.send(long, GUARANTEED);
    await client.send('echo ', GUARANTEED);
    expect(await messages).toEqual(['hello', new TextEncoder().encode('binary ').buffer, long.buffer, '']);
  });

  test('agree on what is too large', async () => {
    const client = startClient(url(gateway().port), { ...OPTIONS, maxGuaranteed: 2 ** 22 });
    const early = failure(client.send(new Uint8Array(2 ** 20), GUARANTEED));
    expect(await early).toMatchObject({ code: 'ERR_THREADGATE_CLIENT_TOO_LARGE' });
    expect(await client.send(new Uint8Array(2 ** 20 - 18), GUARANTEED)).toMatchObject({ number: 1 });
  });

  test('part for good when the client says bye', async () => {
    const client = startClient(url(gateway().port), OPTIONS);
    await client.ready;
    const { attached, away } = gateway().stats.sessions;
    await client.close();
    await until('it is gone', () => gateway().stats.sessions.attached === attached - 1);
    expect(gateway().stats.sessions.away).toBe(away);
  });

  test('go on with what was sent while the client was away', async () => {
    const proxy = await startProxy(gateway().port);
    const client = startClient(proxy.url, OPTIONS);
    await client.ready;
    const heard: unknown[] = [];
    client.on('gap', () => heard.push('gap'));
    client.on('message', data => heard.push(data));
    const states = statesOf(client);
    await client.send('later 1500 meanwhile', GUARANTEED);
    proxy.stalled = true;
    proxy.cut();
    await next(client, 'waiting');
    await until('it is sent meanwhile', () => gateway().stats.sessions.waitingBytes > 0);
    proxy.resume();
    await until('it comes', () => heard.includes('meanwhile'));
    expect(heard.filter(one => one !== 'hello')).toEqual(['meanwhile']);
    expect(states).toContain('waiting');
  });

  test('notice by pings of their own when the other is gone, where the WebSocket has none', async () => {
    const proxy = await startProxy(gateway().port);
    const client = startClient(proxy.url, {
      ...OPTIONS,
      WebSocket: STANDARD,
      pingInterval: 20,
      pingTimeout: 1000,
    });
    expect(await becomes(client, 'open')).toMatchObject({ pings: true });
    const states = statesOf(client);
    const { messages } = gateway().stats;
    await until('it has pinged ten times', () => gateway().stats.messages.in >= messages.in + 10);
    expect(states).toEqual([]);
    const waiting = next(client, 'waiting');
    proxy.stalled = true;
    expect((await waiting).error).toHaveProperty('cause.message', 'no answer to a ping within 1000 ms');
    proxy.cut();
    proxy.resume();
    await client.ready;
  });
});

describe('a lane that ends', () => {
  const gateway = sharedGateway('session.mjs');

  test.each(['die once', 'die once later'])(
    'in the middle of a message: it is handled again, nothing of the first attempt is seen (%s)',
    async what => {
      const client = startClient(url(gateway().port), OPTIONS);
      await client.ready;
      const states = statesOf(client);
      const messages = take(client, 4);
      await Promise.all([what, 'echo next'].map(text => client.send(text, GUARANTEED)));
      expect(await messages).toEqual(['hello', 'before', 'after', 'next']);
      expect(states).toEqual([]);
    },
  );

  test('again and again: the message is refused, and those behind it go on', async () => {
    const client = startClient(url(gateway().port), OPTIONS);
    await client.ready;
    const heard: unknown[] = [];
    client.on('message', data => heard.push(data));
    const sent = ['echo before', 'die', 'echo behind'].map(text => client.send(text, GUARANTEED));
    expect(await failure(sent[1] as Promise<unknown>)).toMatchObject({
      code: 'ERR_THREADGATE_CLIENT_REFUSED_MESSAGE',
      reason: 'its messages ended the handler',
    });
    expect(await sent[0]).toMatchObject({ number: 1 });
    expect(await sent[2]).toMatchObject({ number: 3 });
    expect(client.unacknowledged).toBe(0);
    await until('both are answered', () => heard.filter(text => text !== 'hello').length === 2);
    expect(heard.filter(text => text !== 'hello')).toEqual(['before', 'behind']);
  });
});

test('a session that was away for too long is a gap, and goes on', async () => {
  const gateway = await startGateway('session.mjs', { sessionTtlMs: 20 });
  const proxy = await startProxy(gateway.port);
  const client = startClient(proxy.url, OPTIONS);
  await client.ready;
  const messages = take(client, 3);
  await client.send('echo 1', GUARANTEED);
  await client.send('echo 2', GUARANTEED);
  await messages;
  const gap = new Promise(resolve => client.on('gap', resolve));
  proxy.stalled = true;
  proxy.cut();
  await until('it expires', () => gateway.stats.sessions.endedByCause.expired === 1);
  const sent = client.send('echo 3', GUARANTEED);
  proxy.resume();
  expect(await gap).toEqual({ received: 2, resent: 0 });
  expect(await sent).toMatchObject({ number: 3, attempts: 1 });
});

test('a gateway without sessions is what it says: an error for who needs one, none for who prefers one', async () => {
  const gateway = await startGateway('session.mjs', { sessionTtlMs: 0 });
  const sure = startClient(url(gateway.port), OPTIONS);
  expect((await becomes(sure, 'waiting')).error).toMatchObject({ code: 'ERR_THREADGATE_CLIENT_NO_SESSION' });
  const preferring = startClient(url(gateway.port), { ...FAST, guaranteed: 'preferred', protocols: 'chat' });
  expect(await becomes(preferring, 'open')).toMatchObject({ session: undefined, protocol: 'chat' });
});

test('a gateway that keeps its sessions in a file has them after a restart', async () => {
  const port = await freePort();
  const sessionDir = await mkdtemp(join(tmpdir(), 'threadgate-'));
  onTestFinished(() => rm(sessionDir, { recursive: true }));
  const first = await startGateway('session.mjs', { port, sessionDir });
  const client = startClient(url(port), OPTIONS);
  const gaps: unknown[] = [];
  client.on('gap', gap => gaps.push(gap));
  const heard: unknown[] = [];
  client.on('message', data => data !== 'hello' && heard.push(data));
  await client.send('echo 1', GUARANTEED);
  await first.close();
  const sent = client.send('echo 2', GUARANTEED);
  await startGateway('session.mjs', { port, sessionDir });
  expect(await sent).toMatchObject({ number: 2 });
  await until('both are answered', () => heard.length === 2);
  // It was closed in good order, so nothing is in doubt.
  expect([heard, gaps]).toEqual([['1', '2'], []]);
});
