/** The admin listener: /healthz, /readyz, /stats. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { GatewayStats } from 'threadgate';
import { describe, expect, onTestFinished, test } from 'vitest';
import { connect, connectMany } from '../support/client.js';
import { temporaryDirectory } from '../support/files.js';
import { startGateway } from '../support/gateway.js';
import { freePort, occupiedPort } from '../support/ports.js';
import { until } from '../support/until.js';

async function withAdmin(app: string, options: Parameters<typeof startGateway>[1] = {}) {
  const gateway = await startGateway(app, { ...options, adminPort: await freePort() });
  const admin = (path: string, init?: RequestInit) =>
    fetch(`http://127.0.0.1:${gateway.adminPort}${path}`, init);
  const stats = async () => (await (await admin('/stats')).json()) as GatewayStats;
  return { gateway, admin, stats };
}

describe('the admin listener', () => {
  test('is off where adminPort is 0, which is the default of the API', async () => {
    expect((await startGateway('echo.mjs')).adminPort).toBeUndefined();
  });

  test('says on /healthz that the process lives and on /readyz that it serves', async () => {
    const { admin } = await withAdmin('echo.mjs');
    for (const path of ['/healthz', '/readyz']) expect((await admin(path)).status).toBe(200);
  });

  test('knows no other path and no other method', async () => {
    const { admin } = await withAdmin('echo.mjs');
    expect((await admin('/')).status).toBe(404);
    expect((await admin('/stats', { method: 'POST' })).status).toBe(405);
    expect((await admin('/healthz', { method: 'HEAD' })).status).toBe(200);
  });

  test('has a port of its own: the paths mean nothing to clients of the gateway', async () => {
    const { gateway } = await withAdmin('echo.mjs');
    expect((await fetch(`http://127.0.0.1:${gateway.port}/healthz`)).status).toBe(404);
  });

  test('is refused with ERR_THREADGATE_LISTEN on a port that is in use, and leaves nothing behind', async () => {
    const port = await freePort();
    await expect(startGateway('echo.mjs', { port, adminPort: await occupiedPort() })).rejects.toMatchObject({
      code: 'ERR_THREADGATE_LISTEN',
    });
    const again = await until('the port is free again', () =>
      startGateway('echo.mjs', { port }).catch(() => undefined),
    );
    expect(again.port).toBe(port);
  });

  test('says 503 on /readyz while a lane is missing, and 200 again when it is back', async () => {
    const file = join(temporaryDirectory(), 'broken');
    process.env.TEST_BROKEN = file;
    onTestFinished(() => {
      delete process.env.TEST_BROKEN;
    });
    const { gateway, admin } = await withAdmin('die.mjs', { lanes: 2 });
    const client = await connect(gateway.port);
    writeFileSync(file, '');
    client.send('exit');
    await until('it is not ready', async () => (await admin('/readyz')).status === 503);
    expect((await admin('/healthz')).status).toBe(200);
    rmSync(file);
    await until('it is ready again', async () => (await admin('/readyz')).status === 200);
  });

  test('ends with the gateway', async () => {
    const { gateway, admin } = await withAdmin('echo.mjs');
    await gateway.close();
    await expect(admin('/healthz')).rejects.toThrow();
  });
});

describe('/stats', () => {
  test('counts connections, messages and bytes in and out', async () => {
    const { gateway, stats } = await withAdmin('echo.mjs', { lanes: 2 });
    const clients = await connectMany(gateway.port, 4);
    for (const client of clients) {
      client.send('12345');
      await client.next();
    }
    const seen = await stats();
    expect(seen).toMatchObject({
      ready: true,
      connections: { open: 4, opened: 4, closedByCause: {} },
      messages: { in: 4, out: 4, published: 0 },
      bytes: { in: 20, out: 20 },
    });
    expect(seen.uptimeSeconds).toBeGreaterThan(0);
  });

  test('tells of each lane: connections, ring, backlog, utilisation', async () => {
    const { gateway, stats } = await withAdmin('echo.mjs', { lanes: 2 });
    await connectMany(gateway.port, 3);
    const { lanes } = await stats();
    expect(lanes.map(({ index, ready }) => [index, ready])).toEqual([
      [0, true],
      [1, true],
    ]);
    expect(lanes.map(lane => lane.connections).sort()).toEqual([1, 2]);
    for (const lane of lanes) {
      expect(lane).toMatchObject({ ringFill: 0, backlogBytes: 0, waitingBytes: 0, requests: 0 });
      expect(lane.utilisation).toBeGreaterThanOrEqual(0);
      expect(lane.utilisation).toBeLessThanOrEqual(1);
    }
  });

  test('counts closes by their cause', async () => {
    const { gateway, stats } = await withAdmin('run.mjs', { lanes: 1 });
    const [byClient, lost, byApp] = await connectMany(gateway.port, 3);
    await byClient?.close(1000);
    await lost?.disconnect();
    byApp?.send(JSON.stringify({ source: 'peer => peer.close()' }));
    await byApp?.closed;
    await until('all are gone', async () => (await stats()).connections.open === 0);
    expect((await stats()).connections.closedByCause).toEqual({ client: 1, lost: 1, app: 1 });
  });

  test('counts publications, topics and requests', async () => {
    const { gateway, stats } = await withAdmin('http.mjs', { lanes: 1 });
    await gateway.publish('t', 'x');
    await fetch(`http://127.0.0.1:${gateway.port}/text`);
    expect(await stats()).toMatchObject({
      messages: { published: 1 },
      requests: { total: 1, waiting: 0 },
      topics: 0,
    });
  });

  test('counts the topics that somebody is subscribed to', async () => {
    const { gateway, stats } = await withAdmin('run.mjs', { lanes: 1 });
    const [a, b] = await connectMany(gateway.port, 2);
    for (const client of [a, b]) client?.send(JSON.stringify({ source: "peer => peer.subscribe('t')" }));
    await a?.next();
    await b?.next();
    expect((await stats()).topics).toBe(1);
    await a?.close();
    await b?.close();
    await until('nobody is subscribed', async () => (await stats()).topics === 0);
  });
});
