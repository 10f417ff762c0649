/** The end of a gateway: close() and signals. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { startCommand, startNode } from '../support/child.js';
import { connect, connectMany } from '../support/client.js';
import { temporaryDirectory } from '../support/files.js';
import { appFile, startGateway } from '../support/gateway.js';
import { closeOf, Opcode, openRaw, openRawWebSocket } from '../support/raw.js';
import { until } from '../support/until.js';

const GOING_AWAY = { code: 1001, reason: 'server shutting down' };

describe('close()', () => {
  test('closes every connection with 1001', async () => {
    const gateway = await startGateway('closing.mjs');
    const clients = await connectMany(gateway.port, 50);
    await gateway.close();
    for (const client of clients) expect(await client.closed).toEqual(GOING_AWAY);
  });

  test('takes no new clients from then on', async () => {
    const gateway = await startGateway('closing.mjs');
    const closing = gateway.close();
    await expect(connect(gateway.port)).rejects.toThrow();
    await closing;
    const socket = createConnection({ port: gateway.port, host: '127.0.0.1' });
    const [error] = await once(socket, 'error');
    expect(error).toMatchObject({ code: 'ECONNREFUSED' });
  });

  test('may be called again: it is the same close', async () => {
    const gateway = await startGateway('closing.mjs');
    const first = gateway.close();
    expect(gateway.close()).toBe(first);
    await first;
    await gateway.close();
  });

  test('of a gateway without connections is quick', async () => {
    const gateway = await startGateway('closing.mjs', { drainTimeoutMs: 60_000 });
    await gateway.close();
  });

  test('lets running hooks finish, and runs the close hooks after them', async () => {
    const file = join(temporaryDirectory(), 'trace');
    process.env.TEST_TRACE = file;
    const gateway = await startGateway('closing.mjs', { lanes: 1, drainTimeoutMs: 5_000 });
    delete process.env.TEST_TRACE;
    const client = await connect(gateway.port);
    client.send('slow');
    await until('it came in', () => gateway.stats.messages.in === 1);
    await gateway.close();
    expect(readFileSync(file, 'utf8').split('\n').slice(0, 2)).toEqual([
      'slow',
      'close 1001 server shutting down',
    ]);
  });

  test.each(['hang', 'spin'])('does not wait for ever for a hook that never ends (%s)', async text => {
    const gateway = await startGateway('closing.mjs', { lanes: 1, drainTimeoutMs: 200 });
    const client = await connect(gateway.port);
    client.send(text);
    await until('it came in', () => gateway.stats.messages.in === 1);
    await gateway.close();
    expect(await client.closed).toEqual(GOING_AWAY);
  });

  test('sends what waits before it closes, to who reads it', async () => {
    const gateway = await startGateway('run.mjs', {
      lanes: 1,
      maxBackpressure: 64 << 20,
      drainTimeoutMs: 5_000,
    });
    const raw = await openRawWebSocket(gateway.port);
    raw.pause();
    raw.frame(
      Opcode.text,
      JSON.stringify({
        source: 'peer => { for (let i = 0; i < 100; i++) peer.send(Buffer.alloc(100000, i)); }',
      }),
    );
    await until('it was sent', () => gateway.stats.bytes.out >= 10_000_000);
    const closing = gateway.close();
    raw.resume();
    let count = 0;
    for (let frame = await raw.nextFrame(); ; frame = await raw.nextFrame()) {
      if (frame.opcode === Opcode.close) {
        expect(closeOf(frame)).toEqual(GOING_AWAY);
        break;
      }
      if (frame.opcode === Opcode.binary) expect(frame.payload[0]).toBe(count++);
    }
    expect(count).toBe(100);
    await closing;
  });

  test('does not wait for ever for a client that reads nothing', async () => {
    const gateway = await startGateway('run.mjs', {
      lanes: 1,
      maxBackpressure: 64 << 20,
      drainTimeoutMs: 200,
    });
    const raw = await openRawWebSocket(gateway.port);
    raw.pause();
    raw.frame(
      Opcode.text,
      JSON.stringify({
        source: 'peer => { for (let i = 0; i < 200; i++) peer.send(Buffer.alloc(100000)); }',
      }),
    );
    await until('it was sent', () => gateway.stats.bytes.out >= 20_000_000);
    await gateway.close();
    expect(gateway.stats.connections.open).toBe(0);
  });

  test('answers requests that wait', async () => {
    const gateway = await startGateway('http.mjs', { lanes: 1, drainTimeoutMs: 100 });
    const waiting = fetch(`http://127.0.0.1:${gateway.port}/wait`);
    await until('it waits', () => gateway.stats.requests.waiting === 1);
    await gateway.close();
    expect((await waiting).status).toBe(503);
  });

  test('right after the start, or several gateways at once, is no problem', async () => {
    const gateways = await Promise.all([1, 2, 3].map(() => startGateway('closing.mjs')));
    await Promise.all(gateways.map(gateway => gateway.close()));
  });

  test('leaves nothing alive: the process ends by itself', async () => {
    const child = startNode([appFile('use-api.mjs'), appFile('closing.mjs')]);
    const port = await child.port();
    const client = await connect(port);
    client.send('timer');
    await client.next();
    await fetch(`http://127.0.0.1:${port}/`);
    child.kill('SIGUSR2');
    expect(await client.closed).toEqual(GOING_AWAY);
    expect(await child.ended).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('closed'),
      stderr: '',
    });
  });

  test('leaves nothing alive, though clients keep their sockets open', async () => {
    const child = startNode([appFile('use-api.mjs'), appFile('closing.mjs'), '100']);
    const port = await child.port();
    // One that answers no close frame, one that is idle, and one in the middle of a request.
    const websocket = await openRawWebSocket(port);
    const idle = await openRaw(port);
    const half = await openRaw(port);
    half.write('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc');
    await half.flushed();
    child.kill('SIGUSR2');
    expect(await child.ended).toMatchObject({ code: 0, stderr: '' });
    for (const raw of [websocket, idle, half]) await raw.closed;
  });
});

describe.each(['SIGINT', 'SIGTERM'] as const)('%s', signal => {
  test('closes the gateway: 1001, close hooks, exit code 0', async () => {
    const file = join(temporaryDirectory(), 'trace');
    const child = startCommand([appFile('closing.mjs'), '--lanes', '2'], { TEST_TRACE: file });
    const clients = await connectMany(await child.port(), 10);
    for (const client of clients) {
      client.send('hello');
      await client.next();
    }
    child.kill(signal);
    for (const client of clients) expect(await client.closed).toEqual(GOING_AWAY);
    expect(await child.ended).toMatchObject({ code: 0, signal: null, stderr: '' });
    const lines = readFileSync(file, 'utf8').trim().split('\n');
    expect(lines.filter(line => line === 'close 1001 server shutting down')).toHaveLength(10);
  });

  test('a second time ends the process at once', async () => {
    const child = startCommand([appFile('closing.mjs'), '--lanes', '1']);
    const client = await connect(await child.port());
    client.send('hang');
    child.kill(signal);
    // The first one was heard; without the second the hook would be waited for during 5 seconds.
    await client.closed;
    const asked = performance.now();
    child.kill(signal);
    expect((await child.ended).code).not.toBe(0);
    expect(performance.now() - asked).toBeLessThan(2_000);
  });

  test('while the lanes still start ends the process with 0', async () => {
    const child = startCommand([appFile('slow-start.mjs'), '--lanes', '1']);
    await child.says(stdout => (stdout.includes('importing') ? true : undefined));
    child.kill(signal);
    expect(await child.ended).toMatchObject({ code: 0, signal: null });
  });
});
