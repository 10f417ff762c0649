/** How connections come about: the `upgrade` hook, and an app without one. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { WebSocket as UndiciWebSocket } from 'undici';
import { beforeAll, describe, expect, test } from 'vitest';
import { connect, refused } from '../support/client.js';
import { temporaryDirectory } from '../support/files.js';
import { sharedGateway, startGateway } from '../support/gateway.js';
import { openRaw } from '../support/raw.js';
import { connectOnTwoLanes } from '../support/runner.js';
import { until } from '../support/until.js';

interface Welcome {
  namespace: string;
  protocol: string;
  context: string[];
  user: string | null;
  hasAdmin: boolean | null;
  greeting: string | null;
  query: string;
}

interface State {
  upgrading: number;
  aborted: number;
  opened: number;
  peers: number;
}

describe('an upgrade hook', () => {
  const gateway = sharedGateway('upgrade.mjs', { lanes: 1 });
  let port = 0;
  beforeAll(() => {
    port = gateway().port;
  });

  test('that returns nothing accepts', async () => {
    const client = await connect(port, { path: '/nothing?a=b' });
    expect(await client.nextJson<Welcome>()).toMatchObject({
      namespace: '/nothing',
      protocol: '',
      context: [],
      query: '?a=b',
    });
  });

  test('adds headers to the answer', async () => {
    const raw = await openRaw(port);
    const head = await raw.upgrade('/headers');
    expect(head).toMatch(/^HTTP\/1\.1 101 Switching Protocols\r\n/);
    expect(head.toLowerCase()).toContain('\r\nx-lane: yes\r\n');
    expect(head.toLowerCase()).toContain('\r\nset-cookie: a=1; path=/\r\n');
  });

  test('sets a cookie for each one that it appends', async () => {
    const raw = await openRaw(port);
    const head = await raw.upgrade('/two-cookies');
    expect(head.match(/^set-cookie: .*$/gim)).toEqual(['set-cookie: a=1', 'set-cookie: b=2']);
  });

  test.each(['/protocol', '/protocol-header'])('agrees on one of the offered protocols (%s)', async path => {
    const client = await connect(port, { path, protocols: ['chat.v1', 'chat.v2'] });
    expect(client.socket.protocol).toBe('chat.v2');
    expect((await client.nextJson<Welcome>()).protocol).toBe('chat.v2');
  });

  test('cannot agree on a protocol that was not offered: that is an error of the app', async () => {
    const answer = await refused(port, { path: '/protocol-not-offered', protocols: ['chat.v1'] });
    expect(answer.status).toBe(500);
  });

  test('gives the namespace', async () => {
    const client = await connect(port, { path: '/namespace' });
    expect((await client.nextJson<Welcome>()).namespace).toBe('/another/place');
  });

  test('gives the context: on its lane the very objects, functions too', async () => {
    const client = await connect(port, { path: '/context' });
    expect(await client.nextJson<Welcome>()).toMatchObject({
      context: ['user', 'roles', 'greet'],
      user: 'Ada',
      hasAdmin: true,
      greeting: 'hello',
    });
  });

  test('may fill request.context, which becomes part of the context', async () => {
    const client = await connect(port, { path: '/request-context' });
    expect(await client.nextJson<Welcome>()).toMatchObject({ context: ['user', 'added'], user: 'Bob' });
  });

  test.each([
    ['/return-response', 401, 'no entry'],
    ['/throw-response', 403, 'forbidden'],
    ['/throw-error-with-response', 418, 'teapot'],
    ['/async-return-response', 410, 'gone'],
    ['/async-throw-response', 403, 'later forbidden'],
  ])('refuses by a Response (%s: %d)', async (path, status, body) => {
    expect(await refused(port, { path })).toMatchObject({ status, body });
  });

  test('refuses with the headers of its Response', async () => {
    expect((await refused(port, { path: '/return-response' })).headers['www-authenticate']).toBe('Basic');
  });

  test.each(['/throw', '/async-throw', '/nonsense', '/line-break'])(
    'that fails (%s) refuses with 500 and says nothing of the cause',
    async path => {
      const answer = await refused(port, { path });
      expect(answer.status).toBe(500);
      expect(answer.body).not.toContain('secret');
    },
  );

  test('may be async', async () => {
    const client = await connect(port, { path: '/async-accept' });
    expect(await client.nextJson<Welcome>()).toMatchObject({ context: ['user'], user: 'Eve' });
  });

  test('works for the WebSocket of undici as well', async () => {
    const socket = new UndiciWebSocket(`ws://127.0.0.1:${port}/protocol`, ['chat.v2']);
    const welcome = await new Promise<string>((resolve, reject) => {
      socket.onmessage = ({ data }) => resolve(String(data));
      socket.onerror = reject;
    });
    expect(socket.protocol).toBe('chat.v2');
    expect(JSON.parse(welcome)).toMatchObject({ protocol: 'chat.v2' });
    const closed = new Promise(resolve => {
      socket.onclose = resolve;
    });
    socket.close(1000);
    await closed;
  });
});

describe('a connection that upgrade let in', () => {
  // uWebSockets#1929: cork() could take the new WebSocket for an HTTP response that is to be closed. It depends on the
  // heap, so it shows in some processes only, and there soon after the start.
  test('stays open, whatever else was asked for before it', async () => {
    const { port } = await startGateway('upgrade.mjs', { lanes: 1 });
    for (let round = 0; round < 20; round++) {
      for (const path of ['/headers', '/protocol', '/context', '/async-accept', '/namespace']) {
        const client = await connect(port, { path, protocols: path === '/protocol' ? ['chat.v2'] : [] });
        await client.next();
        await client.disconnect();
        if (round % 2 === 0) await refused(port, { path: '/return-response' });
      }
    }
  });
});

describe('a client that goes away while its upgrade is being decided', () => {
  test('aborts request.signal, never opens, and does the next ones no harm', async () => {
    const gateway = await startGateway('upgrade.mjs', { lanes: 1 });
    const { port } = gateway;
    const state = async () => (await (await fetch(`http://127.0.0.1:${port}/state`)).json()) as State;
    const raw = await openRaw(port);
    void raw.upgrade('/wait').catch(() => {});
    await until('the upgrade hook runs', async () => (await state()).upgrading === 1);
    raw.destroy();
    await until('the hook hears of it', async () => (await state()).aborted === 1);
    await fetch(`http://127.0.0.1:${port}/release`);
    await until('the hook is through', async () => (await state()).upgrading === 0);
    expect(await state()).toMatchObject({ opened: 0, peers: 0 });
    expect(gateway.stats.connections.opened).toBe(0);
    const client = await connect(port, { path: '/nothing' });
    await client.next();
    expect(await state()).toMatchObject({ opened: 1, peers: 1 });
  });

  test('does so a hundred times at once, while others are let in', async () => {
    const gateway = await startGateway('upgrade.mjs', { lanes: 2 });
    await Promise.all(
      Array.from({ length: 100 }, async () => {
        const raw = await openRaw(gateway.port);
        void raw.upgrade('/async-accept').catch(() => {});
        await raw.flushed();
        raw.destroy();
        await connect(gateway.port, { path: '/async-accept' });
      }),
    );
    expect(gateway.stats.connections.open).toBeGreaterThanOrEqual(100);
    await until('only those who stayed are here', () => gateway.stats.connections.open === 100);
    await until('no upgrade waits', () => gateway.stats.requests.waiting === 0);
  });
});

describe('an app without an upgrade hook', () => {
  test('has its connections accepted though its only lane is busy: nobody asks it', async () => {
    const file = join(temporaryDirectory(), 'go on');
    const gateway = await startGateway('no-upgrade.mjs', { lanes: 1 });
    const first = await connect(gateway.port);
    first.send(file);
    await until('the message has come in', () => gateway.stats.messages.in === 1);
    const second = await connect(gateway.port);
    expect(first.inbox).toEqual([]);
    writeFileSync(file, '');
    expect(await first.next()).toBe('unblocked');
    second.send(file);
    expect(await second.next()).toBe('unblocked');
  });

  test('agrees on no protocol', async () => {
    const { port } = await startGateway('run.mjs');
    const raw = await openRaw(port);
    const head = await raw.upgrade('/', ['Sec-WebSocket-Protocol: chat.v1']);
    expect(head.toLowerCase()).not.toContain('sec-websocket-protocol');
  });
});

test('an app without WebSocket hooks answers upgrades with 404', async () => {
  const { port } = await startGateway('fetch-only.mjs');
  expect((await refused(port)).status).toBe(404);
});

test('beyond maxConnections upgrades are answered with 503, and there is room again when one goes', async () => {
  const { port } = await startGateway('echo.mjs', { maxConnections: 3 });
  const [first] = [await connect(port), await connect(port), await connect(port)];
  expect((await refused(port)).status).toBe(503);
  await first?.close();
  const next = await until('there is room', () => connect(port).catch(() => undefined));
  next.send('hello');
  expect(await next.next()).toBe('hello');
});

test('connections go to the lane that has the fewest', async () => {
  const { port } = await startGateway('run.mjs', { lanes: 2 });
  await connectOnTwoLanes(port);
  await connectOnTwoLanes(port);
});
