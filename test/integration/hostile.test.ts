/** What clients and handlers may do, by accident or on purpose, without harm to anybody else. */
import { describe, expect, test } from 'vitest';
import { connect, refused } from '../support/client.js';
import { sharedGateway, startGateway } from '../support/gateway.js';
import { encodeFrame, Opcode, openRaw, openRawWebSocket } from '../support/raw.js';
import { until } from '../support/until.js';

const MiB = 1024 * 1024;
const gateway = sharedGateway('hostile.mjs', { lanes: 1 });

/** Sends one request by hand. @returns head and body of the answer */
async function ask(lines: string[]): Promise<string> {
  const raw = await openRaw(gateway().port);
  raw.write(`${[...lines, 'Connection: close'].join('\r\n')}\r\n\r\n`);
  const answer = await raw.readToEnd();
  raw.destroy();
  return answer;
}

describe('a client', () => {
  test('that pings without end and reads nothing is closed as a slow consumer', async () => {
    const own = await startGateway('hostile.mjs', { lanes: 1, maxBackpressure: 64 * 1024 });
    const raw = await openRawWebSocket(own.port);
    raw.pause();
    const pings = Buffer.concat(Array(1000).fill(encodeFrame(Opcode.ping, 'x'.repeat(125))));
    await until('it is closed', () => {
      if (raw.socket.writableLength < MiB) raw.write(pings);
      return own.stats.connections.closedByCause['slow-consumer'] === 1;
    });
    raw.destroy();
  });

  test('may send header values of any bytes: they are told one character a byte', async () => {
    const raw = await openRaw(gateway().port);
    raw.write(
      Buffer.from('GET / HTTP/1.1\r\nHost: x\r\nX: plain\r\nY: a✓b\r\nConnection: close\r\n\r\n', 'utf8'),
    );
    expect(await raw.readToEnd()).toContain('"x":"plain"');
  });

  test('cannot change the path that the app sees by its Host header', async () => {
    for (const host of ['x/admin?', 'x#', 'user:pw@evil', 'a b', '']) {
      expect(await ask(['GET /public HTTP/1.1', `Host: ${host}`])).toContain('"pathname":"/public"');
    }
  });

  test('that sends a WebSocket key but no Upgrade header asked for no upgrade', async () => {
    const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==';
    expect(await ask(['GET /page HTTP/1.1', 'Host: x', key])).toContain('"pathname":"/page"');
  });

  test('of another WebSocket version is told so with 426', async () => {
    const lines = ['GET / HTTP/1.1', 'Host: x', 'Upgrade: websocket', 'Sec-WebSocket-Version: 8'];
    expect(await ask([...lines, 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='])).toMatch(/^HTTP\/1.1 426 /);
  });

  test('that sends a body in chunks of one byte makes it cost no more than its length', async () => {
    const count = 300_000;
    const before = process.memoryUsage().rss;
    const raw = await openRaw(gateway().port);
    raw.write('POST /length HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n');
    raw.write('1\r\na\r\n'.repeat(count));
    await raw.flushed();
    expect(process.memoryUsage().rss - before).toBeLessThan(60 * MiB);
    raw.write('0\r\n\r\n');
    await raw.readUntil('\r\n\r\n');
    expect((await raw.readBytes(6)).toString()).toBe(String(count));
    raw.destroy();
  });

  test('with a large cookie takes its room with it when it goes', async () => {
    const { port } = await startGateway('echo.mjs', { lanes: 1, maxConnections: 8 });
    const headers = { cookie: 'x'.repeat(15_000) };
    for (let i = 0; i < 200; i++) {
      const client = await connect(port, { headers });
      client.close();
      await client.closed;
    }
    const client = await connect(port);
    client.send('room');
    expect(await client.next()).toBe('room');
  });
});

describe('a handler', () => {
  test('may return any number of headers from upgrade', async () => {
    const raw = await openRaw(gateway().port);
    expect(await raw.upgrade('/large-headers')).toContain('a'.repeat(70_000));
    raw.destroy();
    const client = await connect(gateway().port);
    client.send('anybody?');
    expect(await client.next()).toBe('here');
  });

  test('may give a context that is too large to be copied for other lanes', async () => {
    const client = await connect(gateway().port, { path: '/large-context' });
    client.send('context');
    expect(await client.next()).toBe('200000');
  });

  test.each(['a symbol', 'an object without a prototype', 'a circle'])('may throw %s', async what => {
    const client = await connect(gateway().port);
    client.send(`throw ${what}`);
    client.send('still there?');
    expect(await client.next()).toBe('here');
  });

  test.each(['/no-prototype', '/error'])('that answers %s with what is no answer gives 500', async path => {
    expect(await ask([`GET ${path} HTTP/1.1`, 'Host: x'])).toMatch(/^HTTP\/1.1 500 /);
    const client = await connect(gateway().port);
    client.send('anybody?');
    expect(await client.next()).toBe('here');
  });
});

test('an upgrade that is decided on only after the gateway began to close is refused', async () => {
  const closing = await startGateway('hostile.mjs', { lanes: 1 });
  const answer = refused(closing.port, { path: '/slow' });
  await until('it waits', () => closing.stats.requests.waiting === 1);
  const closed = closing.close();
  expect((await answer).status).toBe(503);
  await closed;
});
