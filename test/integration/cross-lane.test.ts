/** From any lane to any connection, and what becomes of a peer whose connection is gone. */
import { describe, expect, test } from 'vitest';
import { sharedGateway, startGateway } from '../support/gateway.js';
import { connectOnTwoLanes, connectRunner, type Runner } from '../support/runner.js';
import { until } from '../support/until.js';

const gateway = sharedGateway('run.mjs', { lanes: 2 });

function idOf(runner: Runner): Promise<string> {
  return runner.run(peer => peer.id);
}

describe('the peers of a gateway with two lanes', () => {
  test('are seen from every lane, with the same ids', async () => {
    const { port } = await startGateway('run.mjs', { lanes: 2 });
    const [a, b] = await connectOnTwoLanes(port);
    const ids = [await idOf(a), await idOf(b)].sort();
    for (const runner of [a, b]) {
      expect((await runner.run(peer => [...peer.peers].map(p => p.id))).sort()).toEqual(ids);
      expect((await runner.run((_peer, { gateway }) => [...gateway.peers].map(p => p.id))).sort()).toEqual(
        ids,
      );
      expect(await runner.run(peer => [peer.peers.size, peer.gateway.peers.size])).toEqual([2, 2]);
    }
  });

  test('peer.peers keeps to the namespace, gateway.peers does not', async () => {
    const { port } = await startGateway('run.mjs', { lanes: 2 });
    await connectRunner(port, { path: '/a' });
    const b = await connectRunner(port, { path: '/b' });
    expect(await b.run(peer => [peer.peers.size, peer.gateway.peers.size])).toEqual([1, 2]);
  });

  test('over five lanes and fifty connections nobody is missing and nobody is there twice', async () => {
    const { port } = await startGateway('run.mjs', { lanes: 5 });
    const runners = await Promise.all(Array.from({ length: 50 }, () => connectRunner(port)));
    const ids = (await Promise.all(runners.map(idOf))).sort();
    expect(new Set(ids).size).toBe(50);
    for (const runner of runners.slice(0, 10)) {
      expect((await runner.run(peer => [...peer.peers].map(p => p.id))).sort()).toEqual(ids);
    }
  });
});

describe('a peer of another lane', () => {
  test('tells what it is: id, namespace, remoteAddress, request, protocol', async () => {
    const { port } = gateway();
    const [a, b] = await connectOnTwoLanes(port, { path: '/room?who=x', headers: { 'X-Test': 'yes' } });
    const seen = await b.run(
      (_peer, { find, argument }) => {
        const other = find(argument);
        const { id, namespace, remoteAddress, request, websocket } = other;
        return [
          id === argument,
          namespace,
          remoteAddress,
          new URL(request.url).search,
          request.headers.get('x-test'),
          websocket.readyState,
          websocket.protocol,
        ];
      },
      await idOf(a),
    );
    expect(seen).toEqual([true, '/room', '127.0.0.1', '?who=x', 'yes', 1, '']);
  });

  test('has a copy of the context that upgrade returned, as far as that can be cloned', async () => {
    const { port } = await startGateway('cross-lane-context.mjs', { lanes: 2 });
    const [a, b] = await connectOnTwoLanes(port, { path: '/?clonable' });
    const seen = await b.run(
      (_peer, { find, argument }) => {
        const { context } = find(argument);
        return [context.user, [...(context.roles as Set<string>)]];
      },
      await idOf(a),
    );
    expect(seen).toEqual(['Ada', ['admin']]);
    const [c, d] = await connectOnTwoLanes(port, { path: '/?not' });
    expect(await d.run((_peer, { find, argument }) => find(argument).context, await idOf(c))).toEqual({});
  });

  test('gets what is sent to it', async () => {
    const [a, b] = await connectOnTwoLanes(gateway().port);
    const returned = await b.run(
      (_peer, { find, argument }) => {
        const other = find(argument);
        return [other.send('text'), other.send(Uint8Array.of(1, 2)), other.send({ json: true })];
      },
      await idOf(a),
    );
    expect(returned).toEqual([1, 1, 1]);
    expect(await a.take(3)).toEqual(['text', Buffer.from([1, 2]), '{"json":true}']);
  });

  test('is closed with code and reason, and its own lane hears of it', async () => {
    const { port } = gateway();
    const [a, b] = await connectOnTwoLanes(port);
    const witness = await connectRunner(port);
    const owner = await a.run(peer => peer.gateway.lane);
    const seesOwner = (await witness.run(peer => peer.gateway.lane)) === owner;
    const id = await idOf(a);
    expect(await b.run((_peer, { find, argument }) => find(argument).close(4000, 'over there'), id)).toBe(
      true,
    );
    expect(await a.closed).toEqual({ code: 4000, reason: 'over there' });
    const watcher = seesOwner ? witness : await onLane(port, owner);
    const hook = await until('the close hook', () =>
      watcher.run(
        (_peer, { seen, argument }) => seen.find(s => s.hook === 'close' && s.peer === argument),
        id,
      ),
    );
    expect(hook).toMatchObject({ code: 4000, reason: 'over there' });
  });

  test('is terminated', async () => {
    const [a, b] = await connectOnTwoLanes(gateway().port);
    expect(await b.run((_peer, { find, argument }) => find(argument).terminate(), await idOf(a))).toBe(true);
    expect((await a.closed).code).toBe(1006);
  });

  test('is pinged', async () => {
    const [a, b] = await connectOnTwoLanes(gateway().port);
    await b.run((_peer, { find, argument }) => find(argument).ping('hi'), await idOf(a));
    await until('the ping', () => a.pings.length === 1);
    expect(String(a.pings[0])).toBe('hi');
  });

  test('is subscribed and unsubscribed', async () => {
    const [a, b] = await connectOnTwoLanes(gateway().port);
    await b.run(
      (_peer, { find, gateway, argument }) => {
        const other = find(argument);
        other.subscribe('t');
        gateway.publish('t', 'in');
        other.unsubscribe('t');
        gateway.publish('t', 'out');
        other.send('end');
      },
      await idOf(a),
    );
    expect(await a.take(2)).toEqual(['in', 'end']);
  });

  test('has its topics known to its own lane, by their own names, whoever subscribed it', async () => {
    const [a, b] = await connectOnTwoLanes(gateway().port, { path: '/some/room' });
    const id = await idOf(a);
    await b.run((_peer, { find, argument }) => find(argument).subscribe('news'), id);
    await until('its lane knows', () => a.run(peer => peer.topics.size === 1));
    expect(await a.run(peer => [...peer.topics])).toEqual(['news']);
    await b.run((_peer, { find, argument }) => find(argument).unsubscribe('news'), id);
    await until('its lane knows', () => a.run(peer => peer.topics.size === 0));
  });

  test('publishes to others but not to itself', async () => {
    const [a, b] = await connectOnTwoLanes(gateway().port);
    for (const runner of [a, b]) await runner.run(peer => peer.subscribe('p'));
    await b.run(
      (_peer, { find, argument }) => {
        const other = find(argument);
        other.publish('p', 'from a');
        other.send('end');
      },
      await idOf(a),
    );
    expect(await b.next()).toBe('from a');
    expect(await a.next()).toBe('end');
  });

  test('publications from any lane reach subscribers of all lanes', async () => {
    const [a, b] = await connectOnTwoLanes(gateway().port);
    for (const runner of [a, b]) await runner.run(peer => peer.subscribe('all lanes'));
    for (const [at, runner] of [a, b].entries()) {
      await runner.run((_peer, { gateway, argument }) => gateway.publish('all lanes', argument), at);
    }
    expect((await a.take(2)).sort()).toEqual(['0', '1']);
    expect((await b.take(2)).sort()).toEqual(['0', '1']);
  });
});

async function onLane(port: number, lane: number): Promise<Runner> {
  for (;;) {
    const runner = await connectRunner(port);
    if ((await runner.run(peer => peer.gateway.lane)) === lane) return runner;
  }
}

describe('a peer whose connection is gone', () => {
  /** A lane that keeps a peer of the other lane, whose connection is then closed. */
  async function staleOnOtherLane(port: number): Promise<Runner> {
    const [a, keeper] = await connectOnTwoLanes(port);
    const id = await idOf(a);
    await keeper.run((_peer, { find, kept, argument }) => {
      const stale = find(argument);
      kept.set('stale', stale);
      // What was read while it was there stays readable.
      kept.set('known', [stale.id, stale.namespace]);
    }, id);
    await a.close();
    await until('it is gone', () => keeper.run(peer => peer.peers.size === 1));
    return keeper;
  }

  /** What every attempt on the kept peer returns. */
  function attempts(keeper: Runner): Promise<unknown[]> {
    return keeper.run(async (_peer, { kept }) => {
      const stale = kept.get('stale') as import('threadgate').Peer;
      await stale.waitForDrain();
      return [
        stale.send('not for you'),
        stale.ping('not for you'),
        stale.subscribe('t'),
        stale.unsubscribe('t'),
        stale.close(4000),
        stale.terminate(),
        stale.bufferedAmount,
        stale.websocket.readyState,
      ];
    });
  }

  const NOTHING = [0, 0, false, false, false, false, 0, 3];

  test('does nothing, and says so', async () => {
    const { port } = await startGateway('run.mjs', { lanes: 2 });
    expect(await attempts(await staleOnOtherLane(port))).toEqual(NOTHING);
  });

  test('is in no set of peers', async () => {
    const { port } = await startGateway('run.mjs', { lanes: 2 });
    const keeper = await staleOnOtherLane(port);
    const seen = await keeper.run((peer, { kept }) => {
      const stale = kept.get('stale') as import('threadgate').Peer;
      return [peer.peers.has(stale), peer.gateway.peers.has(stale), [...peer.peers].includes(stale)];
    });
    expect(seen).toEqual([false, false, false]);
  });

  test("never reaches its slot's next owner", async () => {
    // Two slots only: the next connection must get the one that became free.
    const { port } = await startGateway('run.mjs', { lanes: 2, maxConnections: 2 });
    const keeper = await staleOnOtherLane(port);
    const next = await until('the slot is free', () => connectRunner(port).catch(() => undefined));
    expect(await attempts(keeper)).toEqual(NOTHING);
    await keeper.run((_peer, { gateway }) => gateway.publish('t', 'not for you either'));
    expect(await next.run(peer => peer.topics.size)).toBe(0);
    expect(next.inbox).toEqual([]);
    expect(next.pings).toEqual([]);
    expect(next.socket.readyState).toBe(1);
  });

  test('keeps the id that was read before, and gives away nothing of the next owner', async () => {
    const { port } = await startGateway('run.mjs', { lanes: 2, maxConnections: 2 });
    const keeper = await staleOnOtherLane(port);
    const next = await until('the slot is free', () =>
      connectRunner(port, { path: '/secret', headers: { cookie: 'secret' } }).catch(() => undefined),
    );
    const nextId = await idOf(next);
    const seen = await keeper.run((_peer, { kept }) => {
      const stale = kept.get('stale') as import('threadgate').Peer;
      const known = kept.get('known') as string[];
      return {
        id: stale.id,
        known: known[0] === stale.id && known[1] === stale.namespace,
        cookie: stale.request.headers.get('cookie'),
        context: stale.context,
      };
    });
    expect(seen).toEqual({ id: expect.any(String), known: true, cookie: null, context: {} });
    expect(seen.id).not.toBe(nextId);
  });

  test('of which nothing was read tells that it is gone: ERR_THREADGATE_PEER_GONE', async () => {
    const { port } = await startGateway('run.mjs', { lanes: 2, maxConnections: 2 });
    const [a, keeper] = await connectOnTwoLanes(port);
    await keeper.run((peer, { kept }) => {
      for (const other of peer.peers) if (other !== peer) kept.set('stale', other);
    });
    await a.close();
    await until('the slot is free', () => connectRunner(port).catch(() => undefined));
    const asked = keeper.run((_peer, { kept }) => (kept.get('stale') as import('threadgate').Peer).namespace);
    await expect(asked).rejects.toMatchObject({ code: 'ERR_THREADGATE_PEER_GONE' });
  });

  test('on its own lane does nothing either, once another has its slot', async () => {
    const { port } = await startGateway('run.mjs', { lanes: 1, maxConnections: 2 });
    const keeper = await connectRunner(port);
    const a = await connectRunner(port);
    await a.run((peer, { kept }) => {
      kept.set('stale', peer);
    });
    await a.close();
    const next = await until('the slot is free', () => connectRunner(port).catch(() => undefined));
    expect(await attempts(keeper)).toEqual(NOTHING);
    expect(await next.run(peer => peer.topics.size)).toBe(0);
    expect(next.inbox).toEqual([]);
    expect(next.socket.readyState).toBe(1);
  });

  test('stays harmless while its slot changes hands over and over', async () => {
    const { port } = await startGateway('run.mjs', { lanes: 2, maxConnections: 2 });
    const keeper = await staleOnOtherLane(port);
    for (let round = 0; round < 30; round++) {
      const next = await until('the slot is free', () => connectRunner(port).catch(() => undefined));
      expect(await attempts(keeper)).toEqual(NOTHING);
      await next.run(peer => peer.send('mine'));
      expect(await next.next()).toBe('mine');
      await next.close();
    }
  });
});
