/** The load generator against servers that are none of ours: what it sends is what it should, and it misses nothing. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { Connection } from '../../bench/load/connection.js';
import { EchoLoad } from '../../bench/load/echo.js';
import { FanoutLoad } from '../../bench/load/fanout.js';
import { clientFrame } from '../../bench/load/frame.js';
import { PacedLoad } from '../../bench/load/paced.js';
import { plainPayload } from '../../bench/load/payload.js';
import { readStamp, writeStamp } from '../../bench/work/stamp.js';
import { until } from '../support/until.js';

const closings: (() => void)[] = [];
afterEach(() => {
  for (const close of closings.splice(0)) close();
});

async function startWs(serve: (ws: WebSocket, url: string) => void) {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  closings.push(() => {
    for (const client of server.clients) client.terminate();
    server.close();
  });
  server.on('connection', (ws, request) => serve(ws, request.url ?? ''));
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { host: '127.0.0.1', port, dialect: 'websocket' } as const;
}

/** A server that accepts any upgrade and then writes these bytes, cut after `step` bytes each. */
async function startRaw(bytes: Buffer, step: number) {
  const server = createServer(socket => {
    socket.setNoDelay(true);
    socket.on('error', () => {});
    socket.once('data', request => void answer(socket, request.toString(), bytes, step));
  });
  server.listen(0, '127.0.0.1');
  closings.push(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { host: '127.0.0.1', port, dialect: 'websocket' } as const;
}

async function answer(socket: Socket, request: string, bytes: Buffer, step: number) {
  const key = /Sec-WebSocket-Key: (\S+)/.exec(request)?.[1] ?? '';
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  const head = [
    'HTTP/1.1 101 Switching Protocols',
    'Upgrade: websocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Accept: ${accept}`,
  ];
  // The first frames come with the head: that happens, too.
  socket.write(Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), bytes.subarray(0, step)]));
  for (let at = step; at < bytes.length; at += step) {
    await delay(1);
    socket.write(bytes.subarray(at, at + step));
  }
}

/** A server's frame: not masked. */
function serverFrame(first: number, payload: Buffer): Buffer {
  const { length } = payload;
  if (length < 126) return Buffer.concat([Buffer.from([first, length]), payload]);
  const head = Buffer.alloc(length < 65_536 ? 4 : 10);
  head[0] = first;
  head[1] = length < 65_536 ? 126 : 127;
  if (head.length === 4) head.writeUInt16BE(length, 2);
  else head.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([head, payload]);
}

class Counting extends Connection {
  override stampAt = 0;
  stamps: number[] = [];
  messages = 0;
  override onStamp(stamp: number) {
    this.stamps.push(stamp);
  }
  override onMessages(count: number) {
    this.messages += count;
  }
}

test.each([0, 1, 31, 32, 123_456_789, 2 ** 30 - 1])(
  'the stamp %i is read as it was written',
  microseconds => {
    const bytes = new Uint8Array(10);
    writeStamp(bytes, 2, microseconds, new Uint8Array(6));
    expect(readStamp(bytes, 2)).toBe(microseconds);
    expect(JSON.stringify(Buffer.from(bytes.subarray(2, 8)).toString())).toHaveLength(8);
  },
);

describe('a frame', () => {
  test.each([7, 125, 126, 1000, 65_535, 65_536])(
    'of %i bytes is what other servers take it for',
    async size => {
      let got: { data: string; binary: boolean } | undefined;
      const target = await startWs(ws =>
        ws.on('message', (data, binary) => {
          got = { data: data.toString(), binary };
        }),
      );
      const connection = new Connection();
      await connection.open(target);
      connection.write(clientFrame(plainPayload(size), { binary: true }).bytes);
      await until('the message', () => got !== undefined);
      connection.destroy();
      expect(got).toEqual({ data: plainPayload(size), binary: true });
    },
  );
});

describe('a connection', () => {
  const stamp = (microseconds: number, size: number) => {
    const payload = Buffer.alloc(size, '.');
    writeStamp(payload, 0, microseconds, new Uint8Array(6));
    return payload;
  };
  const PING = 0x89;
  const PART = 0x02;
  const LAST_PART = 0x80;
  const WHOLE = 0x82;
  // The fourth message is empty: it counts, without a stamp.
  const bytes = Buffer.concat([
    serverFrame(WHOLE, stamp(1, 6)),
    serverFrame(PING, Buffer.from('hello')),
    serverFrame(WHOLE, stamp(2, 200)),
    serverFrame(PART, stamp(3, 20)),
    serverFrame(LAST_PART, Buffer.from('end')),
    serverFrame(WHOLE, Buffer.alloc(0)),
    serverFrame(WHOLE, stamp(4, 70_000)),
    serverFrame(WHOLE, stamp(5, 10)),
  ]);

  test.each([1, 2, 3, 5, 7, 1000, 100_000])(
    'counts messages and finds stamps in pieces of %i bytes',
    async step => {
      // Byte by byte only as far as the large frame.
      const some = step < 100 ? bytes.subarray(0, 300) : bytes;
      const target = await startRaw(some, step);
      const connection = new Counting();
      await connection.open(target);
      const [messages, stamps] = step < 100 ? [4, [1, 2, 3]] : [6, [1, 2, 3, 4, 5]];
      await until(
        'all messages',
        () => connection.messages === messages && connection.stamps.length === stamps.length,
      );
      connection.destroy();
      expect(connection.stamps).toEqual(stamps);
    },
  );

  test('that is refused says how', async () => {
    const server = createServer(socket => {
      socket.on('error', () => {});
      socket.once('data', () => socket.end('HTTP/1.1 503 Busy\r\n\r\n'));
    }).listen(0, '127.0.0.1');
    closings.push(() => server.close());
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const opening = new Connection().open({ host: '127.0.0.1', port, dialect: 'websocket' });
    await expect(opening).rejects.toThrow('HTTP/1.1 503 Busy');
  });
});

const frame = clientFrame(plainPayload(64), { binary: true });

async function finish(load: { stop(): void; outstanding: number; disconnect(): unknown }) {
  load.stop();
  await until('the last reply', () => load.outstanding === 0);
  await load.disconnect();
}

describe('closed-loop echo', () => {
  test('never has more on the way than it should, and counts every reply', async () => {
    let received = 0;
    let waiting = 0;
    let mostWaiting = 0;
    const target = await startWs(ws =>
      ws.on('message', (data, binary) => {
        received++;
        mostWaiting = Math.max(mostWaiting, ++waiting);
        setImmediate(() => {
          waiting--;
          ws.send(data, { binary });
        });
      }),
    );
    const load = new EchoLoad({ connections: 3, inflight: 5, frame });
    await load.connect(target);
    load.start();
    await until('enough replies', () => load.completed > 500);
    await finish(load);
    expect(load.completed).toBe(received);
    expect(mostWaiting).toBeLessThanOrEqual(15);
    expect(load.latency.percentile(0.5)).toBeGreaterThan(0);
    expect(load.errors).toBe(0);
  });

  test('measures from the stamp, whatever the order of replies', async () => {
    const PAUSE = 30;
    const target = await startWs(ws => {
      let count = 0;
      // Every fourth reply is late, and the others overtake it.
      ws.on('message', (data, binary) => {
        const reply = () => ws.send(data, { binary });
        if (++count % 4 === 0) setTimeout(reply, PAUSE);
        else reply();
      });
    });
    const load = new EchoLoad({ connections: 1, inflight: 8, frame });
    await load.connect(target);
    load.start();
    await until('enough replies', () => load.completed > 200);
    await finish(load);
    expect(load.latency.percentile(0.5)).toBeLessThan(PAUSE);
    expect(load.latency.percentile(0.8)).toBeGreaterThanOrEqual(PAUSE - 1);
  });

  test('notices a connection that the server ends', async () => {
    const target = await startWs(ws => ws.on('message', () => ws.terminate()));
    const load = new EchoLoad({ connections: 1, inflight: 1, frame });
    await load.connect(target);
    load.start();
    await until('the loss', () => load.errors === 1);
    load.disconnect();
  });
});

test('open-loop echo charges a stall to every message that came meanwhile', async () => {
  const STALL = 200;
  let stalledUntil = 0;
  const target = await startWs(ws =>
    ws.on('message', (data, binary) => {
      stalledUntil ||= performance.now() + STALL;
      setTimeout(() => ws.send(data, { binary }), Math.max(0, stalledUntil - performance.now()));
    }),
  );
  const load = new PacedLoad({ connections: 4, rate: 1000, frame });
  await load.connect(target);
  load.start();
  await until('enough replies', () => load.completed > 250);
  await finish(load);
  // A closed loop would have seen four slow messages; these waited 200 ms, 199 ms, 198 ms …
  expect(load.latency.percentile(0.5)).toBeGreaterThan(10);
  expect(load.latency.percentile(0.99)).toBeGreaterThan(STALL / 2);
});

test('fan-out counts a message when every subscriber has it, and tells what slow readers got', async () => {
  const subscribers = new Set<WebSocket>();
  let published = 0;
  const target = await startWs((ws, url) => {
    if (!url.includes('role=publisher')) subscribers.add(ws);
    ws.on('message', (data, binary) => {
      published++;
      for (const subscriber of subscribers) subscriber.send(data, { binary });
    });
  });
  const load = new FanoutLoad({ subscribers: 5, slowReaders: 2, inflight: 4, frame, topic: 'bench' });
  await load.connect(target);
  const settled = published;
  load.reset();
  load.start();
  await until('enough replies', () => load.completed > 500);
  await finish(load);
  expect(load.completed).toBe((published - settled) * 5);
  expect(load.extras()).toEqual({ 'slow readers closed': 0, 'of their messages received': 1 });
});
