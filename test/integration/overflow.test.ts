/** Messages that outrun their handlers: memory stays bounded, and only who sends too much is closed. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { startCommand } from '../support/child.js';
import { connect, connectMany } from '../support/client.js';
import { temporaryDirectory } from '../support/files.js';
import { appFile, startGateway } from '../support/gateway.js';
import { until } from '../support/until.js';

const KiB = 1024;

/** Hooks that are held at the end of a test are not waited for. */
const HELD = { lanes: 1, maxInboundPerConnection: 64 * KiB, drainTimeoutMs: 0 };

describe('a connection whose messages wait for their hooks', () => {
  test('is closed with 1013 and a reason when they are more than its share', async () => {
    const gateway = await startGateway('hold.mjs', HELD);
    const client = await connect(gateway.port, { path: '/held' });
    for (let i = 0; i < 100; i++) client.send(Buffer.alloc(KiB));
    expect(await client.closed).toEqual({ code: 1013, reason: 'too many messages waiting' });
    expect(gateway.stats.connections.closedByCause).toEqual({ 'inbound-overflow': 1 });
  });

  test('stays when they are within its share, and gets all answers once its hooks go on', async () => {
    const gateway = await startGateway('hold.mjs', HELD);
    const client = await connect(gateway.port, { path: '/held' });
    const other = await connect(gateway.port);
    // 60 messages of 1 KiB, and what a record is charged beside: within 64 KiB.
    for (let i = 0; i < 60; i++) client.send(Buffer.alloc(KiB));
    await until('all came in', () => gateway.stats.messages.in === 60);
    expect(client.socket.readyState).toBe(1);
    for (let i = 0; i < 60; i++) {
      other.send('release');
      await other.next();
      expect(await client.next()).toBe('1024');
    }
  });

  test('may send on once they were handled: the share is no total', async () => {
    const { port } = await startGateway('hold.mjs', { lanes: 1, maxInboundPerConnection: 16 * KiB });
    const client = await connect(port);
    for (let round = 0; round < 50; round++) {
      for (let i = 0; i < 8; i++) client.send(Buffer.alloc(KiB));
      expect(await client.take(8)).toEqual(Array.from({ length: 8 }, () => '1024'));
    }
  });

  test('may always have one message waiting, however large', async () => {
    const { port } = await startGateway('hold.mjs', {
      lanes: 1,
      maxInboundPerConnection: KiB,
      maxPayload: 4 * KiB * KiB,
    });
    const client = await connect(port);
    client.send(Buffer.alloc(3 * KiB * KiB));
    expect(await client.next()).toBe(String(3 * KiB * KiB));
  });

  test('does the others no harm by its flood, on the same lane either', async () => {
    const { port } = await startGateway('hold.mjs', HELD);
    const others = await connectMany(port, 10);
    const flood = await connect(port, { path: '/held' });
    for (let i = 0; i < 1000; i++) {
      flood.send(Buffer.alloc(KiB));
      others[i % 10]?.send(String(i));
    }
    expect((await flood.closed).code).toBe(1013);
    for (const [at, other] of others.entries()) {
      const expected = Array.from({ length: 100 }, (_, i) => String(i * 10 + at));
      expect(await other.take(100)).toEqual(expected);
    }
  });

  test('costs empty messages too: they are not free to keep', async () => {
    const { port } = await startGateway('hold.mjs', { ...HELD, maxInboundPerConnection: 4 * KiB });
    const client = await connect(port, { path: '/held' });
    for (let i = 0; i < 1000; i++) client.send('');
    expect((await client.closed).code).toBe(1013);
  });
});

describe('a lane whose thread is blocked', () => {
  const limits = {
    lanes: 1,
    ringBytes: 64 * KiB,
    maxInboundPerConnection: 512 * KiB,
    maxInboundPerLane: 2 * KiB * KiB,
  };

  test('keeps no more than its bound of what floods it, and answers the modest ones afterwards', async () => {
    const file = join(temporaryDirectory(), 'go on');
    const gateway = await startGateway('hold.mjs', limits);
    const blocker = await connect(gateway.port);
    blocker.send(`block ${file}`);
    await until('the block has come in', () => gateway.stats.messages.in === 1);
    const modest = await connectMany(gateway.port, 20);
    const floods = await connectMany(gateway.port, 20);
    for (const client of modest) client.send('modest');
    let most = 0;
    for (let i = 0; i < 1000; i++) {
      for (const client of floods) {
        if (client.socket.readyState === 1) client.send(Buffer.alloc(4 * KiB));
      }
      if (i % 10 === 0) {
        await new Promise(resolve => setImmediate(resolve));
        const { waitingBytes = 0, backlogBytes = 0 } = gateway.stats.lanes[0] ?? {};
        most = Math.max(most, waitingBytes, backlogBytes);
      }
    }
    await until('the floods are over', () => gateway.stats.connections.open === 21);
    expect(most).toBeGreaterThan(limits.maxInboundPerLane / 2);
    expect(most).toBeLessThanOrEqual(2 * limits.maxInboundPerLane);
    for (const client of floods) expect((await client.closed).code).toBe(1013);
    for (const client of modest) client.send('modest too');
    writeFileSync(file, '');
    expect(await blocker.next()).toBe(`block ${file}`);
    for (const client of modest) expect(await client.take(2)).toEqual(['modest', 'modest too']);
    await until('nothing waits', () => {
      const { waitingBytes, backlogBytes, ringFill } = gateway.stats.lanes[0] ?? {};
      return waitingBytes === 0 && backlogBytes === 0 && ringFill === 0;
    });
  });

  test('keeps the order of what found no room in the ring', async () => {
    const file = join(temporaryDirectory(), 'go on');
    const gateway = await startGateway('hold.mjs', { ...limits, ringBytes: 4 * KiB });
    const client = await connect(gateway.port);
    client.send(`block ${file}`);
    // Far more than the ring holds, some larger than the ring.
    const texts = Array.from({ length: 200 }, (_, i) => `${i} ${'x'.repeat(i % 20 === 0 ? 6000 : i)}`);
    for (const text of texts) client.send(text);
    await until('all came in', () => gateway.stats.messages.in === 201);
    expect(gateway.stats.lanes[0]?.backlogBytes).toBeGreaterThan(4 * KiB);
    writeFileSync(file, '');
    expect((await client.take(201)).slice(1)).toEqual(texts);
  });

  test('refuses requests with 503 when it is over its bound', async () => {
    const file = join(temporaryDirectory(), 'go on');
    const { port } = await startGateway('block-fetch.mjs', {
      lanes: 1,
      maxBody: 100 * KiB,
      maxInboundPerLane: 256 * KiB,
    });
    const url = `http://127.0.0.1:${port}/`;
    const blocked = fetch(url, { method: 'POST', body: file });
    const body = 'x'.repeat(64 * KiB);
    const others = Array.from({ length: 10 }, () => fetch(url, { method: 'PUT', body }));
    // Those that are refused are answered while the lane is blocked.
    expect((await Promise.race(others)).status).toBe(503);
    writeFileSync(file, '');
    expect((await blocked).status).toBe(200);
    const statuses = (await Promise.all(others)).map(answer => answer.status);
    expect(new Set(statuses)).toEqual(new Set([200, 503]));
  });
});

test('the log tells once of a connection that was closed for its flood', async () => {
  const child = startCommand([appFile('hold.mjs'), '--lanes', '1']);
  const client = await connect(await child.port(), { path: '/held' });
  for (let i = 0; i < 20; i++) client.send(Buffer.alloc(900 * KiB));
  expect((await client.closed).code).toBe(1013);
  const line = await child.logged('messages outran their handlers');
  expect(line).toMatchObject({ level: 40, lane: 0, connection: expect.stringMatching(/^[0-9a-f-]{36}$/) });
  // Time for a second line, were there one.
  const other = await connect(await child.port());
  other.send('still here');
  expect(await other.next()).toBe('still here');
  expect(child.log.filter(({ msg }) => msg.includes('outran'))).toHaveLength(1);
});
