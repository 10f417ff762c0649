/** What comes from the server: events, and loops. */
import { once } from 'node:events';
import { describe, expect, test } from 'vitest';
import type { Client } from '../../dist/src/client/index.js';
import { encodeFrame } from '../support/raw.js';
import { FAST, failure, next, startClient } from './clients.js';
import { startServer } from './server.js';

/** What a loop reads until it reads 'end', or ends. */
async function read(client: AsyncIterable<string | ArrayBuffer>): Promise<(string | ArrayBuffer)[]> {
  const messages: (string | ArrayBuffer)[] = [];
  for await (const message of client) {
    if (message === 'end') break;
    messages.push(message);
  }
  return messages;
}

describe('a loop over a client', () => {
  test('reads every message in order, over reconnects', async () => {
    const server = await startServer();
    server.onConnection = socket => {
      for (let i = 0; i < 100; i++) socket.send(`${server.count} ${i}`);
      if (server.count === 3) socket.send('end');
      else socket.close(1012);
    };
    const messages = await read(startClient(server.url, FAST));
    const expected = [1, 2, 3].flatMap(connection => [...Array(100).keys()].map(i => `${connection} ${i}`));
    expect(messages).toEqual(expected);
  });

  test('that begins after `ready` misses nothing, though it came together with the answer to the upgrade', async () => {
    const server = await startServer();
    server.onConnection = socket => {
      const tcp = (socket as unknown as { _socket: import('node:net').Socket })._socket;
      tcp.cork();
      tcp.write(encodeFrame(1, 'early', { masked: false }));
      tcp.write(encodeFrame(1, 'end', { masked: false }));
      tcp.uncork();
    };
    const client = startClient(server.url);
    await client.ready;
    expect(await read(client)).toEqual(['early']);
  });

  test('ends when the client is closed, having read what had come', async () => {
    const server = await startServer();
    server.onConnection = socket => {
      socket.send('one');
      socket.send(Buffer.from('two'));
    };
    const client = startClient(server.url);
    const messages: (string | ArrayBuffer)[] = [];
    for await (const message of client) {
      messages.push(message);
      if (messages.length === 2) await client.close();
    }
    expect(messages).toEqual(['one', new TextEncoder().encode('two').buffer]);
    expect(await read(client)).toEqual([]);
  });

  test('throws what ended the client, when that was not its own wish', async () => {
    const server = await startServer();
    server.onConnection = socket => socket.close(1008, 'no');
    const client = startClient(server.url);
    expect(await failure(read(client))).toMatchObject({
      code: 'ERR_THREADGATE_CLIENT_REFUSED',
      closeCode: 1008,
    });
    expect(await failure(read(client))).toMatchObject({ code: 'ERR_THREADGATE_CLIENT_REFUSED' });
  });

  test('that falls behind by more than maxUnread ends with an error and what it has; others go on', async () => {
    const server = await startServer();
    const client = startClient(server.url, { maxUnread: 1000 });
    const slow = client[Symbol.asyncIterator]();
    let heard = 0;
    const all = new Promise<void>(resolve => client.on('message', () => ++heard === 10 && resolve()));
    server.onConnection = socket => {
      for (let i = 0; i < 10; i++) socket.send(`message ${i}`);
    };
    await all;
    const messages: unknown[] = [];
    let result = await slow.next();
    const error = await failure(
      (async () => {
        for (; !result.done; result = await slow.next()) messages.push(result.value);
      })(),
    );
    expect(messages).toEqual(['message 0', 'message 1', 'message 2']);
    expect(error).toMatchObject({ code: 'ERR_THREADGATE_CLIENT_UNREAD' });
    expect(await slow.next()).toEqual({ done: true, value: undefined });
    expect(client.status.state).toBe('open');
  });

  test('can be one of many, each with all messages', async () => {
    const server = await startServer();
    server.onConnection = socket => {
      for (const text of ['a', 'b', 'end']) socket.send(text);
    };
    const client: Client = startClient(server.url);
    expect(await Promise.all([read(client), read(client)])).toEqual([
      ['a', 'b'],
      ['a', 'b'],
    ]);
  });
});

test('a listener that was taken off hears no more', async () => {
  const server = await startServer();
  const client = startClient(server.url);
  const heard: unknown[] = [];
  const listener = (data: unknown): void => {
    heard.push(data);
    client.off('message', listener);
  };
  client.on('message', listener);
  server.onConnection = socket => {
    socket.send('a');
    socket.send('b');
    socket.close(1008);
  };
  await next(client, 'closed');
  expect(heard).toEqual(['a']);
});

test('close() ends the connection with its code and reason', async () => {
  const server = await startServer();
  const client = startClient(server.url);
  await client.ready;
  const closed = once(server.sockets[0] as NonNullable<(typeof server.sockets)[0]>, 'close');
  expect(await failure(client.close(1001))).toMatchObject({ code: 'ERR_THREADGATE_CLIENT_OPTION' });
  expect(await failure(client.close(1000, 'x'.repeat(124)))).toMatchObject({
    code: 'ERR_THREADGATE_CLIENT_OPTION',
  });
  expect(client.status.state).toBe('open');
  await client.close(4001, 'enough');
  const [code, reason] = await closed;
  expect([code, String(reason)]).toEqual([4001, 'enough']);
});
