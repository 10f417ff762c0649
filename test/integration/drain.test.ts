/** The drain: what close() and SIGTERM do, in which order, and how it is counted. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Agent, get, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { portionSize } from '../../dist/src/drain.js';
import { startCommand } from '../support/child.js';
import { connect, connectMany, refused } from '../support/client.js';
import { temporaryDirectory } from '../support/files.js';
import { appFile, startGateway } from '../support/gateway.js';
import { freePort } from '../support/ports.js';
import { closeOf, encodeFrame, Opcode, openRawWebSocket } from '../support/raw.js';
import { until } from '../support/until.js';

const GOING_AWAY = { code: 1001, reason: 'server shutting down' };

describe('while drainDelayMs lasts', () => {
  test('/readyz says no, and new clients are still served', async () => {
    const adminPort = await freePort();
    const gateway = await startGateway('drain.mjs', { adminPort, drainDelayMs: 500, drainTimeoutMs: 5_000 });
    const ready = async () => (await fetch(`http://127.0.0.1:${adminPort}/readyz`)).status;
    const early = await connect(gateway.port);
    expect(await ready()).toBe(200);
    const closing = gateway.close();
    expect(await ready()).toBe(503);
    const late = await connect(gateway.port);
    for (const client of [early, late]) {
      client.send('hello');
      expect(await client.next()).toBe('hello');
    }
    expect((await fetch(`http://127.0.0.1:${gateway.port}/`)).status).toBe(200);
    for (const client of [early, late]) expect(await client.closed).toEqual(GOING_AWAY);
    await closing;
    await expect(connect(gateway.port)).rejects.toThrow('ECONNREFUSED');
  });

  test('a second signal ends the process at once', async () => {
    const times = ['--drain-delay-ms', '50000', '--drain-timeout-ms', '60000'];
    const child = startCommand([appFile('drain.mjs'), ...times]);
    await child.port();
    child.kill('SIGTERM');
    await child.logged('draining');
    child.kill('SIGTERM');
    expect((await child.ended).code).toBe(1);
  });
});

describe('what is under way', () => {
  test('is finished: every close hook runs, though they take their time and some end before others begin', async () => {
    const file = join(temporaryDirectory(), 'trace');
    process.env.TEST_TRACE = file;
    const gateway = await startGateway('busy-close.mjs', { lanes: 1, drainTimeoutMs: 10_000 });
    delete process.env.TEST_TRACE;
    await connectMany(gateway.port, 15);
    await gateway.close();
    expect(readFileSync(file, 'utf8')).toBe('closed\n'.repeat(15));
  });

  test('is finished: each message that was taken in is answered before the close frame, and no other runs', async () => {
    const file = join(temporaryDirectory(), 'trace');
    process.env.TEST_TRACE = file;
    const gateway = await startGateway('closing.mjs', { lanes: 1, drainTimeoutMs: 10_000 });
    delete process.env.TEST_TRACE;
    const raw = await openRawWebSocket(gateway.port);
    const texts = Array.from({ length: 2_000 }, (_, i) => (i % 500 === 0 ? 'slow' : String(i)));
    raw.write(Buffer.concat(texts.slice(0, 1_000).map(text => encodeFrame(Opcode.text, text))));
    await until('some came in', () => gateway.stats.messages.in > 0);
    const closing = gateway.close();
    // These come before the close frame or after it; none is answered in part.
    raw.write(Buffer.concat(texts.slice(1_000).map(text => encodeFrame(Opcode.text, text))));
    const answered: string[] = [];
    let frame = await raw.nextFrame();
    for (; frame.opcode === Opcode.text; frame = await raw.nextFrame())
      answered.push(frame.payload.toString());
    expect(closeOf(frame)).toEqual(GOING_AWAY);
    await closing;
    const handled = readFileSync(file, 'utf8').trim().split('\n');
    expect(handled.pop()).toBe('close 1001 server shutting down');
    expect(answered).toEqual(handled);
    expect(answered).toEqual(texts.slice(0, answered.length));
    expect(answered.length).toBeGreaterThan(0);
  });

  test('is finished: a request gets its answer, and is told that the connection closes', async () => {
    const gateway = await startGateway('drain.mjs', { lanes: 1, drainTimeoutMs: 10_000 });
    const agent = new Agent({ keepAlive: true });
    const request = get({ port: gateway.port, host: '127.0.0.1', agent });
    await until('it is under way', () => gateway.stats.requests.waiting === 1);
    const closing = gateway.close();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    expect(response.statusCode).toBe(200);
    expect(response.headers.connection).toBe('close');
    let body = '';
    for await (const chunk of response) body += chunk;
    expect(body).toBe('here');
    await closing;
    agent.destroy();
  });

  test('does not include an upgrade that the app has not yet agreed to: it is refused', async () => {
    const gateway = await startGateway('slow-upgrade.mjs', { lanes: 1, drainTimeoutMs: 10_000 });
    const refusal = refused(gateway.port);
    await until('it is under way', () => gateway.stats.requests.waiting === 1);
    await gateway.close();
    expect(await refusal).toMatchObject({ status: 503, body: 'the gateway is closing\n' });
  });
});

describe('code and reason', () => {
  test('are those of the options', async () => {
    const gateway = await startGateway('drain.mjs', { drainCode: 4001, drainReason: 'moving house' });
    const client = await connect(gateway.port);
    await gateway.close();
    expect(await client.closed).toEqual({ code: 4001, reason: 'moving house' });
  });

  test('are those of the call where it has some', async () => {
    const gateway = await startGateway('drain.mjs', { drainReason: 'not this one' });
    const client = await connect(gateway.port);
    await gateway.close({ code: 1012 });
    expect(await client.closed).toEqual({ code: 1012, reason: '' });
  });

  test.each([
    [{ code: 1006 }, "option 'code' cannot be 1006"],
    [{ reason: 'x'.repeat(124) }, "option 'reason' cannot be"],
    [{ drainTimeoutMs: -1 }, "option 'drainTimeoutMs' cannot be -1"],
    [{ timeout: 1 } as object, "there is no option 'timeout'"],
  ])('that cannot be are refused, and nothing is closed (%j)', async (options, message) => {
    const gateway = await startGateway('drain.mjs');
    const client = await connect(gateway.port);
    await expect(gateway.close(options)).rejects.toMatchObject({
      code: 'ERR_THREADGATE_OPTION',
      message: expect.stringContaining(message),
    });
    client.send('hello');
    expect(await client.next()).toBe('hello');
  });

  test('a delay longer than the whole time is refused', async () => {
    const times = { drainDelayMs: 300, drainTimeoutMs: 200 };
    await expect(startGateway('drain.mjs', times)).rejects.toMatchObject({
      code: 'ERR_THREADGATE_OPTION',
      message: "option 'drainDelayMs' cannot be 300: drainTimeoutMs (200) includes it",
    });
  });
});

describe('portions', () => {
  // One every 50 ms.
  test.each([
    [0, 3_000, 0],
    [3, 3_000, 3],
    [10, 3_000, 10],
    [19, 3_000, 19],
    [100, 3_000, 10],
    [600, 3_000, 10],
    [1_000, 3_000, 17],
    [10_000, 3_000, 167],
    [10_000, 60_000, 10],
    [10_000, 0, 10_000],
  ])('of %d connections with %d ms: %d each', (connections, withinMs, size) => {
    expect(portionSize(connections, withinMs)).toBe(size);
  });

  test('are closed one after the other', async () => {
    const gateway = await startGateway('drain.mjs', { drainTimeoutMs: 10_000 });
    const clients = await connectMany(gateway.port, 100);
    const closing = gateway.close();
    await Promise.race(clients.map(client => client.closed));
    expect(gateway.stats.connections.open).toBeGreaterThan(10);
    for (const client of clients) expect(await client.closed).toEqual(GOING_AWAY);
    await closing;
    expect(gateway.stats.connections.closedByCause).toEqual({ shutdown: 100 });
  });
});

describe('the last line of the log', () => {
  const LIMITS = ['--lanes', '1', '--drain-timeout-ms', '600'];

  test('counts what was closed and finished', async () => {
    const child = startCommand([appFile('drain.mjs'), '--lanes', '2', '--drain-reason', 'bye']);
    const port = await child.port();
    const clients = await connectMany(port, 5);
    const answer = fetch(`http://127.0.0.1:${port}/`);
    // Its handler has begun: the next message on that connection is answered after that.
    for (const client of clients) {
      client.send('hello');
      await client.next();
    }
    await Promise.race([answer, child.says(() => true)]);
    child.kill('SIGTERM');
    for (const client of clients) expect(await client.closed).toEqual({ code: 1001, reason: 'bye' });
    expect((await answer).status).toBe(200);
    expect((await child.ended).code).toBe(0);
    expect(child.log.at(-1)).toMatchObject({
      level: 30,
      msg: 'closed',
      closed: 5,
      cutOff: { connections: 0, requests: 0, hooks: 0, jobs: 0 },
    });
  });

  test('counts what was cut off: hooks, requests and jobs', async () => {
    const child = startCommand([appFile('never.mjs'), ...LIMITS]);
    const port = await child.port();
    const client = await connect(port);
    client.send('now');
    expect(await client.next()).toBe('begun');
    const answer = fetch(`http://127.0.0.1:${port}/`);
    await child.logged('request begun');
    child.kill('SIGTERM');
    expect(await client.closed).toEqual(GOING_AWAY);
    expect((await answer).status).toBe(503);
    expect((await child.ended).code).toBe(0);
    expect(child.log.at(-1)).toMatchObject({
      level: 40,
      msg: 'closed; not everything was over in time',
      closed: 0,
      finished: 0,
      cutOff: { connections: 1, requests: 1, hooks: 2, jobs: 1 },
    });
  });

  test('is not missing where a hook blocks its thread', async () => {
    const child = startCommand([appFile('closing.mjs'), ...LIMITS]);
    const client = await connect(await child.port());
    client.send('spin');
    client.send('another');
    child.kill('SIGTERM');
    expect(await client.closed).toEqual(GOING_AWAY);
    expect((await child.ended).code).toBe(0);
    expect(child.log.at(-1)).toMatchObject({ closed: 0, cutOff: { connections: 1 } });
  });
});

describe('the signal of the gateway', () => {
  test('is aborted on every lane and on the main thread, once all that was in flight is finished', async () => {
    const lines: { msg: string; lane?: number }[] = [];
    const logger = pino({ level: 'info' }, { write: line => void lines.push(JSON.parse(line)) });
    const gateway = await startGateway('signal.mjs', { lanes: 2, logger });
    const clients = await Promise.all([1, 2, 3, 4].map(() => connect(gateway.port)));
    for (const client of clients) client.send('slow');
    await until('all have arrived', () => gateway.stats.messages.in === 4);
    let aborted = false;
    gateway.signal.addEventListener('abort', () => {
      aborted = true;
    });
    await gateway.close();
    for (const client of clients) expect(await client.next()).toBe('slow: not aborted');
    expect(aborted).toBe(true);
    const ended = lines.filter(({ msg }) => msg === 'ticker ended').map(({ lane }) => lane);
    expect(ended.sort()).toEqual([0, 1]);
  });
});
