/** One signal ends everything, at any moment, and nothing is left of it. */
import { getEventListeners } from 'node:events';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { startNode } from '../support/child.js';
import { freePort, occupiedPort } from '../support/ports.js';
import { until } from '../support/until.js';
import { becomes, FAST, failure, startClient, statesOf } from './clients.js';
import { startProxy } from './proxy.js';
import { startServer } from './server.js';

const ABORTED = { code: 'ERR_THREADGATE_CLIENT_ABORTED', cause: 'enough' };

describe('a signal', () => {
  test('that was aborted before makes a client that is closed', async () => {
    const client = startClient('ws://127.0.0.1:1', { signal: AbortSignal.abort('enough') });
    expect(client.status).toMatchObject({ state: 'closed', error: ABORTED });
    expect(await failure(client.ready)).toMatchObject(ABORTED);
    client.connect();
    expect(client.status.state).toBe('closed');
  });

  test('ends a client that is idle', async () => {
    const controller = new AbortController();
    const client = startClient('ws://127.0.0.1:1', { signal: controller.signal, autoConnect: false });
    const ready = failure(client.ready);
    controller.abort('enough');
    expect(await ready).toMatchObject(ABORTED);
    expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
  });

  test('ends one that is connecting, waiting or open', async () => {
    const server = await startServer();
    const urls = {
      connecting: `ws://127.0.0.1:${await occupiedPort()}`,
      waiting: `ws://127.0.0.1:${await freePort()}`,
      open: server.url,
    };
    for (const state of ['connecting', 'waiting', 'open'] as const) {
      const controller = new AbortController();
      const client = startClient(urls[state], { signal: controller.signal, minDelay: 10_000 });
      await becomes(client, state);
      const states = statesOf(client);
      const sent = failure(
        client.send(new Uint8Array(2 ** 22), { within: 30_000 }).then(() => client.send('x')),
      );
      const loop = (async () => {
        for await (const _ of client);
        return 'ended';
      })();
      controller.abort('enough');
      expect(states).toEqual(['closed']);
      expect(client.status).toMatchObject({ error: ABORTED });
      expect(await sent).toMatchObject({ code: expect.stringMatching(/CLOSED|FULL/) });
      expect(await loop).toBe('ended');
      await until('no listener is left', () => getEventListeners(controller.signal, 'abort').length === 0);
    }
    await until('the server has nobody', () => server.sockets.length === 0);
  });

  test('ends a client whose url is still being asked for, and is passed on to who is asked', async () => {
    const controller = new AbortController();
    const signals: AbortSignal[] = [];
    const client = startClient(
      ({ signal }) => {
        signals.push(signal);
        return new Promise(() => {});
      },
      { signal: controller.signal },
    );
    await becomes(client, 'connecting');
    await until('it asks', () => signals.length === 1);
    controller.abort('enough');
    expect(signals[0]?.aborted).toBe(true);
    expect(client.status.state).toBe('closed');
  });

  test('ends a client that waits for a dead server to say goodbye', async () => {
    const server = await startServer();
    const proxy = await startProxy(server.port);
    const controller = new AbortController();
    const options = { ...FAST, WebSocket, signal: controller.signal, closeTimeout: 60_000 };
    const client = startClient(proxy.url, options);
    await client.ready;
    proxy.stalled = true;
    const closed = client.close();
    controller.abort();
    await closed;
    expect(client.status).toEqual({ state: 'closed', error: undefined });
  });
});

test('close() of a client whose server is dead takes no longer than closeTimeout', async () => {
  const server = await startServer();
  const proxy = await startProxy(server.port);
  const client = startClient(proxy.url, { WebSocket, closeTimeout: 30 });
  await client.ready;
  proxy.stalled = true;
  const before = performance.now();
  await client.close();
  expect(performance.now() - before).toBeGreaterThanOrEqual(29);
});

test('close() within a listener, at any change, is the last change', async () => {
  const server = await startServer();
  for (const state of ['connecting', 'open', 'waiting'] as const) {
    const url = state === 'waiting' ? `ws://127.0.0.1:${await freePort()}` : server.url;
    const client = startClient(url, FAST);
    const states = statesOf(client);
    const closed = new Promise(resolve => {
      client.on('status', status => status.state === state && resolve(client.close()));
    });
    await closed;
    await new Promise(resolve => setTimeout(resolve, 5)); // for what must not happen
    expect(states.at(-1)).toBe('closed');
    expect(states.filter(each => each === 'closed')).toHaveLength(1);
  }
});

test('10,000 clients that are made and ended leave no timer, socket, listener or memory behind', async () => {
  const server = await startServer();
  const script = fileURLToPath(new URL('leaks.mjs', import.meta.url));
  const { code, stdout, stderr } = await startNode(['--expose-gc', script, '10000', server.url]).ended;
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const { resources, grownBytes } = JSON.parse(stdout);
  expect(resources).toEqual([]);
  // 20 to 60 were seen, and fewer the more rounds; one forgotten listener in six clients makes it 680.
  expect(grownBytes / 10_000).toBeLessThan(150);
}, 120_000);
