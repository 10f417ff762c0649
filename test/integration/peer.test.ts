/** Every member of Peer, seen from the peer's own lane. From other lanes: cross-lane.test.ts. */
import { beforeAll, describe, expect, test } from 'vitest';
import { connect } from '../support/client.js';
import { sharedGateway } from '../support/gateway.js';
import { connectRunner } from '../support/runner.js';
import { until } from '../support/until.js';

const UUID_V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

const gateway = sharedGateway('run.mjs', { lanes: 1 });
let port = 0;
beforeAll(() => {
  port = gateway().port;
});

describe('peer.id', () => {
  test('is a UUID of version 4 that stays the same', async () => {
    const client = await connectRunner(port);
    const id = await client.run(peer => peer.id);
    expect(id).toMatch(UUID_V4);
    expect(await client.run(peer => peer.id)).toBe(id);
  });

  test('differs from connection to connection', async () => {
    const a = await connectRunner(port);
    const b = await connectRunner(port);
    expect(await a.run(peer => peer.id)).not.toBe(await b.run(peer => peer.id));
  });

  test('is what the peer is as a string', async () => {
    const client = await connectRunner(port);
    expect(
      await client.run(peer => [String(peer), `${peer}`, peer.toString()].map(s => s === peer.id)),
    ).toEqual([true, true, true]);
  });
});

describe('peer.namespace', () => {
  test("is the path of the upgrade's URL, without its query", async () => {
    const client = await connectRunner(port, { path: '/room/7?name=Ada' });
    expect(await client.run(peer => peer.namespace)).toBe('/room/7');
  });
});

describe('peer.remoteAddress', () => {
  test("is the client's IP address", async () => {
    const client = await connectRunner(port);
    expect(await client.run(peer => peer.remoteAddress)).toBe('127.0.0.1');
  });
});

describe('peer.request', () => {
  test('is a Request with the URL, method and headers of the upgrade', async () => {
    const client = await connectRunner(port, { path: '/a?b=c', headers: { 'X-Test': 'yes', cookie: 'k=v' } });
    const seen = await client.run(({ request }) => ({
      isRequest: request instanceof Request,
      url: request.url,
      method: request.method,
      upgrade: request.headers.get('upgrade'),
      test: request.headers.get('x-test'),
      cookie: request.headers.get('cookie'),
    }));
    expect(seen).toEqual({
      isRequest: true,
      url: `http://127.0.0.1:${port}/a?b=c`,
      method: 'GET',
      upgrade: 'websocket',
      test: 'yes',
      cookie: 'k=v',
    });
  });

  test('is the same object every time', async () => {
    const client = await connectRunner(port);
    await client.run((peer, { kept }) => {
      kept.set('request', peer.request);
    });
    expect(await client.run((peer, { kept }) => kept.get('request') === peer.request)).toBe(true);
  });
});

describe('peer.context', () => {
  test('is an empty object that keeps what hooks put into it', async () => {
    const client = await connectRunner(port);
    expect(await client.run(peer => Object.keys(peer.context))).toEqual([]);
    await client.run(peer => {
      peer.context.visits = 1;
    });
    expect(await client.run(peer => peer.context.visits)).toBe(1);
  });

  test('belongs to one connection', async () => {
    const a = await connectRunner(port);
    const b = await connectRunner(port);
    await a.run(peer => {
      peer.context.name = 'a';
    });
    expect(await b.run(peer => peer.context)).toEqual({});
  });
});

describe('peer.websocket', () => {
  test('tells what a standard WebSocket would', async () => {
    const client = await connectRunner(port, { path: '/x?y', perMessageDeflate: true });
    const seen = await client.run(({ websocket }) => ({
      readyState: websocket.readyState,
      protocol: websocket.protocol,
      extensions: websocket.extensions,
      url: websocket.url,
      bufferedAmount: websocket.bufferedAmount,
    }));
    expect(seen).toEqual({
      readyState: 1,
      protocol: '',
      extensions: expect.stringContaining('permessage-deflate'),
      url: `ws://127.0.0.1:${port}/x?y`,
      bufferedAmount: 0,
    });
  });

  test('sends', async () => {
    const client = await connectRunner(port);
    await client.run(peer => peer.websocket.send('hello'));
    expect(await client.next()).toBe('hello');
  });

  test('closes, and says 2 from then on', async () => {
    const client = await connectRunner(port);
    const watcher = await connectRunner(port);
    const id = await client.run(peer => peer.id);
    const states = await watcher.run((_peer, { find, argument }) => {
      const { websocket } = find(argument);
      const before = websocket.readyState;
      websocket.close(4321, 'bye');
      return [before, websocket.readyState];
    }, id);
    expect(states).toEqual([1, 2]);
    expect(await client.closed).toEqual({ code: 4321, reason: 'bye' });
  });
});

describe('peer.peers', () => {
  test('are the open connections of the namespace, this one included', async () => {
    const a = await connectRunner(port, { path: '/peers' });
    const b = await connectRunner(port, { path: '/peers' });
    await connectRunner(port, { path: '/elsewhere' });
    const ids = await Promise.all([a, b].map(client => client.run(peer => peer.id)));
    const seen = await a.run(peer => [...peer.peers].map(other => other.id));
    expect(seen.sort()).toEqual(ids.sort());
  });

  test('live: a connection that closes is gone from them, one that opens is there', async () => {
    const a = await connectRunner(port, { path: '/live' });
    const sizes = () => a.run(peer => [peer.peers.size, [...peer.peers].length]);
    const b = await connectRunner(port, { path: '/live' });
    expect(await sizes()).toEqual([2, 2]);
    await b.close();
    await until('b is gone', async () => (await sizes())[0] === 1);
    expect(await sizes()).toEqual([1, 1]);
    await connectRunner(port, { path: '/live' });
    expect(await sizes()).toEqual([2, 2]);
  });

  test('are a Set in every way of reading', async () => {
    const a = await connectRunner(port, { path: '/set' });
    await connectRunner(port, { path: '/set' });
    const seen = await a.run(peer => {
      const { peers } = peer;
      const counted: number[] = [];
      peers.forEach((value, key, set) => {
        counted.push(value === key ? set.size : -1);
      });
      return {
        isSet: peers instanceof Set,
        has: peers.has(peer),
        size: peers.size,
        forEach: counted,
        values: [...peers.values()].length,
        keys: [...peers.keys()].includes(peer),
        entries: [...peers.entries()].every(([key, value]) => key === value),
        copy: new Set(peers).size,
      };
    });
    expect(seen).toEqual({
      isSet: true,
      has: true,
      size: 2,
      forEach: [2, 2],
      values: 2,
      keys: true,
      entries: true,
      copy: 2,
    });
  });

  test('cannot be changed', async () => {
    const client = await connectRunner(port);
    const attempts = await client.run(peer =>
      [() => peer.peers.add(peer), () => peer.peers.delete(peer), () => peer.peers.clear()].map(attempt => {
        try {
          attempt();
          return 'done';
        } catch (error) {
          return (error as Error).name;
        }
      }),
    );
    expect(attempts).toEqual(['TypeError', 'TypeError', 'TypeError']);
  });

  test('hold the very peer that the hooks of its connection are given', async () => {
    const client = await connectRunner(port, { path: '/identity' });
    expect(await client.run(peer => [...peer.peers][0] === peer)).toBe(true);
  });
});

describe('peer.gateway', () => {
  test('is the gateway: its lane, its peers, its log', async () => {
    const client = await connectRunner(port);
    expect(
      await client.run(peer => [
        peer.gateway.lane,
        peer.gateway.peers.has(peer),
        typeof peer.gateway.log.info,
        typeof peer.gateway.publish,
      ]),
    ).toEqual([0, true, 'function', 'function']);
  });
});

describe('peer.send', () => {
  test('sends text as a text frame and returns 1', async () => {
    const client = await connectRunner(port);
    expect(await client.run(peer => peer.send('äöü 🦄'))).toBe(1);
    expect(await client.next()).toBe('äöü 🦄');
  });

  test('sends bytes as a binary frame', async () => {
    const client = await connectRunner(port);
    await client.run(peer => {
      peer.send(Uint8Array.of(1, 2));
      peer.send(Uint8Array.of(3).buffer);
      peer.send(Buffer.from('abc').subarray(1));
      peer.send(new Uint16Array([258]));
    });
    expect(await client.take(4)).toEqual([
      Buffer.from([1, 2]),
      Buffer.from([3]),
      Buffer.from('bc'),
      Buffer.from([2, 1]),
    ]);
  });

  test('sends everything else as text, objects as JSON', async () => {
    const client = await connectRunner(port);
    await client.run(peer => {
      for (const data of [{ a: 1 }, [1, 2], 7, true, null, undefined, 10n]) peer.send(data);
    });
    expect(await client.take(7)).toEqual(['{"a":1}', '[1,2]', '7', 'true', '', '', '10']);
  });

  test('sends a message on as it came', async () => {
    const client = await connectRunner(port);
    await client.run((peer, { message }) => peer.send(message));
    expect(String(await client.next())).toContain('"source"');
  });

  test('takes a copy: what is done to the bytes later is not sent', async () => {
    const client = await connectRunner(port);
    await client.run(peer => {
      const bytes = Buffer.from('before');
      peer.send(bytes);
      bytes.fill('x');
    });
    expect(await client.next()).toEqual(Buffer.from('before'));
  });

  test('returns 0 once the connection was closed from here', async () => {
    const client = await connectRunner(port);
    const other = await connectRunner(port);
    const id = await client.run(peer => peer.id);
    const returned = await other.run((_peer, { find, argument }) => {
      const target = find(argument);
      target.close();
      return [
        target.send('late'),
        target.ping(),
        target.subscribe('t'),
        target.unsubscribe('t'),
        target.close(),
      ];
    }, id);
    expect(returned).toEqual([0, 0, false, false, false]);
    expect((await client.closed).code).toBe(1000);
    expect(client.inbox).toEqual([]);
  });

  test('throws ERR_THREADGATE_DATA for what has no wire form, and sends nothing of it', async () => {
    const client = await connectRunner(port);
    await expect(client.run(peer => peer.send(new Blob(['x'])))).rejects.toMatchObject({
      code: 'ERR_THREADGATE_DATA',
    });
    await expect(client.run(peer => peer.send(() => {}))).rejects.toMatchObject({
      code: 'ERR_THREADGATE_DATA',
    });
    await client.run(peer => peer.send('next'));
    expect(await client.next()).toBe('next');
  });
});

describe('topics', () => {
  test('a publication reaches all subscribers in the namespace but not the one who publishes', async () => {
    const [a, b, c] = (await Promise.all([1, 2, 3].map(() => connectRunner(port, { path: '/topics' })))) as [
      Awaited<ReturnType<typeof connectRunner>>,
      Awaited<ReturnType<typeof connectRunner>>,
      Awaited<ReturnType<typeof connectRunner>>,
    ];
    for (const client of [a, b, c]) await client.run(peer => peer.subscribe('news'));
    expect(await a.run(peer => peer.publish('news', { n: 1 }))).toBe(true);
    expect(await b.next()).toBe('{"n":1}');
    expect(await c.next()).toBe('{"n":1}');
    await a.run(peer => peer.send('end'));
    expect(await a.next()).toBe('end');
  });

  test('one who is not subscribed may publish', async () => {
    const a = await connectRunner(port, { path: '/outside' });
    const b = await connectRunner(port, { path: '/outside' });
    await b.run(peer => peer.subscribe('news'));
    await a.run(peer => peer.publish('news', Uint8Array.of(9)));
    expect(await b.next()).toEqual(Buffer.from([9]));
  });

  test('stay within their namespace, unless another is named', async () => {
    const a = await connectRunner(port, { path: '/here' });
    const b = await connectRunner(port, { path: '/there' });
    await b.run(peer => peer.subscribe('news'));
    await a.run(peer => {
      peer.publish('news', 'not for there');
      peer.publish('news', 'for there', { namespace: '/there' });
    });
    expect(await b.next()).toBe('for there');
  });

  test('gateway.publish reaches every namespace and everybody, or one namespace', async () => {
    const a = await connectRunner(port, { path: '/one' });
    const b = await connectRunner(port, { path: '/two' });
    await a.run(peer => peer.subscribe('all'));
    await b.run(peer => peer.subscribe('all'));
    await a.run((_peer, { gateway }) => {
      gateway.publish('all', 'everybody');
      gateway.publish('all', 'only two', { namespace: '/two' });
      gateway.publish('all', 'the end');
    });
    expect(await a.take(2)).toEqual(['everybody', 'the end']);
    expect(await b.take(3)).toEqual(['everybody', 'only two', 'the end']);
  });

  test('gateway.publish on the main thread does the same', async () => {
    const a = await connectRunner(port, { path: '/one' });
    const b = await connectRunner(port, { path: '/two' });
    await a.run(peer => peer.subscribe('main'));
    await b.run(peer => peer.subscribe('main'));
    await gateway().publish('main', { to: 'all' });
    await gateway().publish('main', Uint8Array.of(2), { namespace: '/two' });
    expect(await a.next()).toBe('{"to":"all"}');
    expect(await b.take(2)).toEqual(['{"to":"all"}', Buffer.from([2])]);
  });

  test('end with unsubscribe, and not for the others', async () => {
    const a = await connectRunner(port, { path: '/unsubscribe' });
    const b = await connectRunner(port, { path: '/unsubscribe' });
    for (const client of [a, b]) await client.run(peer => peer.subscribe('t'));
    expect(await a.run(peer => peer.unsubscribe('t'))).toBe(true);
    await b.run((_peer, { gateway }) => gateway.publish('t', 'x'));
    expect(await b.next()).toBe('x');
    await a.run(peer => peer.send('end'));
    expect(await a.next()).toBe('end');
  });

  test('are listed in peer.topics', async () => {
    const client = await connectRunner(port);
    const seen = await client.run(peer => {
      peer.subscribe('a');
      peer.subscribe('b');
      peer.subscribe('b');
      peer.unsubscribe('a');
      return [...peer.topics];
    });
    expect(seen).toEqual(['b']);
  });

  test('subscribing twice brings a publication once', async () => {
    const client = await connectRunner(port);
    await client.run((peer, { gateway }) => {
      peer.subscribe('twice');
      peer.subscribe('twice');
      gateway.publish('twice', 'x');
      peer.send('end');
    });
    expect(await client.take(2)).toEqual(['x', 'end']);
  });

  test.each<[string, string]>([
    ['contains NUL', 'a\0b'],
    ['is longer than 16 KiB', 'x'.repeat(16 * 1024 + 1)],
  ])('a name that %s is refused with ERR_THREADGATE_TOPIC', async (_what, topic) => {
    const client = await connectRunner(port);
    const code = 'ERR_THREADGATE_TOPIC';
    await expect(client.run((peer, { argument }) => peer.subscribe(argument), topic)).rejects.toMatchObject({
      code,
    });
    await expect(client.run((peer, { argument }) => peer.publish(argument, ''), topic)).rejects.toMatchObject(
      { code },
    );
    await expect(gateway().publish(topic, '')).rejects.toMatchObject({ code });
  });

  test('a publication that nobody wants goes nowhere and does no harm', async () => {
    const client = await connectRunner(port);
    expect(await client.run(peer => peer.publish('nobody', 'x'))).toBe(true);
    await gateway().publish('nobody', 'x');
  });
});

describe('peer.close', () => {
  test('closes with 1000 where nothing else is said', async () => {
    const client = await connect(port);
    client.send(JSON.stringify({ source: 'peer => peer.close()' }));
    expect(await client.closed).toEqual({ code: 1000, reason: '' });
  });

  test('closes with the code and reason that it is given', async () => {
    const client = await connect(port);
    client.send(JSON.stringify({ source: "peer => peer.close(4999, 'Grüße')" }));
    expect(await client.closed).toEqual({ code: 4999, reason: 'Grüße' });
  });

  test('lets everything go out that was sent before', async () => {
    const client = await connect(port);
    client.send(
      JSON.stringify({ source: 'peer => { for (let i = 0; i < 500; i++) peer.send(i); peer.close(); }' }),
    );
    await client.closed;
    expect(client.inbox.map(String)).toEqual(Array.from({ length: 500 }, (_, i) => String(i)));
  });

  test('lets everything go out that was published before', async () => {
    const client = await connect(port);
    client.send(
      JSON.stringify({
        source: "peer => { peer.subscribe('t'); peer.gateway.publish('t', 'last'); peer.close(); }",
      }),
    );
    await client.closed;
    expect(client.inbox).toEqual(['last']);
  });

  test('tells the close hook the code and reason', async () => {
    const client = await connectRunner(port);
    const watcher = await connectRunner(port);
    const id = await client.run(peer => peer.id);
    await client.close(4001, 'done');
    const closed = await until('the close hook', () =>
      watcher.run(
        (_peer, { seen, argument }) => seen.find(s => s.hook === 'close' && s.peer === argument),
        id,
      ),
    );
    expect(closed).toMatchObject({ code: 4001, reason: 'done' });
  });

  test('tells the close hook 1005 where the client gave no code, and 1006 where it just went', async () => {
    const watcher = await connectRunner(port);
    for (const [code, end] of [
      [1005, (client: { close(): Promise<unknown> }) => client.close()],
      [1006, (client: { disconnect(): Promise<unknown> }) => client.disconnect()],
    ] as const) {
      const client = await connectRunner(port);
      const id = await client.run(peer => peer.id);
      await end(client);
      const closed = await until('the close hook', () =>
        watcher.run(
          (_peer, { seen, argument }) => seen.find(s => s.hook === 'close' && s.peer === argument),
          id,
        ),
      );
      expect(closed.code).toBe(code);
    }
  });

  test.each([0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 1000.5, Number.NaN])(
    'refuses the code %d with ERR_THREADGATE_CLOSE, and the connection stays',
    async code => {
      const client = await connectRunner(port);
      // JSON has no NaN.
      const attempt = client.run((peer, { argument }) => peer.close(argument ?? Number.NaN), code);
      await expect(attempt).rejects.toMatchObject({ code: 'ERR_THREADGATE_CLOSE' });
      expect(await client.run(peer => peer.websocket.readyState)).toBe(1);
    },
  );

  test('refuses a reason of more than 123 bytes with ERR_THREADGATE_CLOSE', async () => {
    const client = await connectRunner(port);
    const attempt = client.run(peer => peer.close(1000, 'ä'.repeat(62)));
    await expect(attempt).rejects.toMatchObject({ code: 'ERR_THREADGATE_CLOSE' });
    await client
      .run(peer => {
        peer.close(1000, `x${'ä'.repeat(61)}`);
      })
      .catch(() => {});
    expect(await client.closed).toEqual({ code: 1000, reason: `x${'ä'.repeat(61)}` });
  });
});

describe('peer.terminate', () => {
  test('drops the connection without a close frame', async () => {
    const client = await connect(port);
    client.send(JSON.stringify({ source: 'peer => peer.terminate()' }));
    expect((await client.closed).code).toBe(1006);
  });
});

describe('peer.ping', () => {
  test("reaches the client with its data, and the client's pong reaches the pong hook", async () => {
    const client = await connectRunner(port);
    expect(await client.run(peer => peer.ping(Uint8Array.of(1, 2, 3)))).toBe(1);
    await until('the ping', () => client.pings.length === 1);
    expect(client.pings[0]).toEqual(Buffer.from([1, 2, 3]));
    const pong = await until('the pong hook', () =>
      client.run((peer, { seen }) => seen.find(s => s.hook === 'pong' && s.peer === peer.id)),
    );
    expect(pong.data).toEqual([1, 2, 3]);
  });

  test('may be without data', async () => {
    const client = await connectRunner(port);
    await client.run(peer => peer.ping());
    await until('the ping', () => client.pings.length === 1);
    expect(client.pings[0]).toHaveLength(0);
  });

  test('of more than 125 bytes goes to the error hook, and the connection stays', async () => {
    const client = await connectRunner(port);
    expect(await client.run(peer => peer.ping('x'.repeat(126)))).toBe(0);
    const error = await until('the error hook', () =>
      client.run((peer, { seen }) => seen.find(s => s.hook === 'error' && s.peer === peer.id)),
    );
    expect(error).toMatchObject({ code: 'ERR_THREADGATE_HOOK' });
    expect(await client.run(peer => peer.ping('x'.repeat(125)))).toBe(1);
    await until('the ping', () => client.pings.length === 1);
  });

  test("a client's ping is answered by itself, and reaches the ping hook", async () => {
    const client = await connectRunner(port);
    client.socket.ping(Buffer.from([7]));
    await until('the pong', () => client.pongs.length === 1);
    expect(client.pongs[0]).toEqual(Buffer.from([7]));
    const ping = await until('the ping hook', () =>
      client.run((peer, { seen }) => seen.find(s => s.hook === 'ping' && s.peer === peer.id)),
    );
    expect(ping.data).toEqual([7]);
  });
});
