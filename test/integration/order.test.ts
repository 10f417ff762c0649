/** One connection's hooks run one at a time and in order; what they send arrives in the order in which it was sent. */
import { describe, expect, test } from 'vitest';
import { connect, connectMany } from '../support/client.js';
import { sharedGateway, startGateway } from '../support/gateway.js';
import { chooseSeed, Random } from '../support/random.js';
import { connectOnTwoLanes, connectRunner } from '../support/runner.js';
import { until } from '../support/until.js';

const gateway = sharedGateway('order.mjs', { lanes: 2 });
const seed = chooseSeed();

function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

describe("one connection's hooks", () => {
  test('wait for the promise of the one before', async () => {
    const client = await connect(gateway().port);
    for (const n of range(20)) client.send(JSON.stringify({ n, wait: 20 - n }));
    expect(await client.take(21)).toEqual(['open 0', ...range(20).map(n => `${n} message 0`)]);
  });

  test(`keep their order when quick and slow ones are mixed (TEST_SEED=${seed})`, async () => {
    const random = new Random(seed);
    const client = await connect(gateway().port);
    const expected: string[] = ['open 0'];
    for (const n of range(2000)) {
      const wait = random.chance(0.5) ? undefined : random.chance(0.9) ? 'turn' : random.between(0, 3);
      client.send(JSON.stringify({ n, wait }));
      expected.push(wait === undefined ? `${n} at once` : `${n} message 0`);
    }
    expect(await client.take(2001)).toEqual(expected);
  });

  test('begin with open, also when messages came while it ran', async () => {
    const clients = await connectMany(gateway().port, 50);
    for (const client of clients) client.send('{"n":1}');
    for (const client of clients) expect(await client.take(2)).toEqual(['open 0', '1 at once']);
  });

  test('end with close, after everything that came before it', async () => {
    const { port } = await startGateway('order.mjs', { lanes: 2 });
    const watcher = await connect(port, { path: '/watch' });
    await watcher.next();
    const client = await connect(port);
    await client.next();
    for (const n of range(5)) client.send(JSON.stringify({ n, wait: 3 }));
    client.send('{"publish":1}');
    await client.close();
    expect(await watcher.take(2)).toEqual(['published 0', 'close 0']);
  });

  test('do not hold up those of other connections, on the same lane either', async () => {
    const { port } = await startGateway('order.mjs', { lanes: 1 });
    const held = await connect(port);
    const other = await connect(port);
    await held.next();
    await other.next();
    held.send('{"hold":"a"}');
    held.send('{"n":1}');
    for (const n of range(10)) other.send(JSON.stringify({ n, wait: 1 }));
    expect(await other.take(10)).toEqual(range(10).map(n => `${n} message 0`));
    expect(held.inbox).toEqual([]);
    other.send('{"release":"a"}');
    expect(await other.next()).toBe('released');
    expect(await held.take(2)).toEqual(['held', '1 at once']);
  });
});

describe('what a hook sends', () => {
  test('arrives in the order of the calls, publications and replies alike', async () => {
    const client = await connect(gateway().port);
    await client.next();
    client.send('{"publish":300}');
    const expected = range(300).flatMap(i => [`published ${i}`, `sent ${i}`]);
    expect(await client.take(600)).toEqual(expected);
  });

  test('arrives before what later hooks of that lane send', async () => {
    const { port } = await startGateway('order.mjs', { lanes: 1 });
    const [a, b] = await connectMany(port, 2);
    if (a === undefined || b === undefined) throw new Error('not connected');
    await a.next();
    await b.next();
    a.send('{"publish":100}');
    b.send('{"publish":100}');
    const seenByA = (await a.take(300)).filter(text => String(text).startsWith('published'));
    const seenByB = (await b.take(300)).filter(text => String(text).startsWith('published'));
    expect(seenByA).toEqual(seenByB);
    expect(seenByA).toHaveLength(200);
  });
});

describe('frames for one connection, from its own lane', () => {
  const runners = sharedGateway('run.mjs', { lanes: 2 });

  test('keep the order of text, bytes, pings, publications and close', async () => {
    const client = await connectRunner(runners().port);
    const order: string[] = [];
    client.socket.on('message', (data: Buffer, isBinary) => {
      const text = data.toString();
      if (!text.startsWith('#')) order.push(isBinary ? `bytes ${text}` : text);
    });
    client.socket.on('ping', data => order.push(`ping ${data}`));
    client.socket.on('close', code => order.push(`close ${code}`));
    await client
      .run((peer, { gateway }) => {
        peer.subscribe('o');
        peer.send('1');
        peer.ping('2');
        gateway.publish('o', '3');
        peer.send(Buffer.from('4'));
        gateway.publish('o', '5');
        peer.ping('6');
        peer.send('7');
        peer.close(3000);
        peer.send('never');
      })
      .catch(() => {});
    await client.closed;
    expect(order).toEqual(['1', 'ping 2', '3', 'bytes 4', '5', 'ping 6', '7', 'close 3000']);
  });

  test('a publication counts for who was subscribed when it was made', async () => {
    const client = await connectRunner(runners().port);
    await client.run((peer, { gateway }) => {
      gateway.publish('s', 'too early');
      peer.subscribe('s');
      gateway.publish('s', 'in time');
      peer.unsubscribe('s');
      gateway.publish('s', 'too late');
      peer.send('end');
    });
    expect(await client.take(2)).toEqual(['in time', 'end']);
  });

  test('keep their order when they are of very different sizes', async () => {
    const client = await connectRunner(runners().port, { maxPayload: 10_000_000 });
    const sizes = [1, 300_000, 0, 70_000, 125, 126, 65_535, 65_536, 2_000_000 / 4, 3];
    await client.run((peer, { argument }) => {
      for (const size of argument) peer.send('x'.repeat(size));
    }, sizes);
    expect((await client.take(sizes.length)).map(text => text.length)).toEqual(sizes);
  });

  test('from another lane keep their order too', async () => {
    const [a, b] = await connectOnTwoLanes(runners().port);
    const id = await a.run(peer => peer.id);
    await b.run((_peer, { find, argument }) => {
      const other = find(argument);
      for (let i = 0; i < 1000; i++) other.send(String(i));
    }, id);
    expect(await a.take(1000)).toEqual(range(1000).map(String));
  });
});

test('many connections at once: each gets its own replies, once and in order', async () => {
  const { port } = gateway();
  const clients = await connectMany(port, 100);
  for (const n of range(50)) {
    for (const client of clients) client.send(JSON.stringify({ n, ...(n % 3 === 0 && { wait: 'turn' }) }));
  }
  for (const client of clients) {
    const seen = (await client.take(51)).slice(1).map(text => Number.parseInt(String(text), 10));
    expect(seen).toEqual(range(50));
    expect(client.inbox).toEqual([]);
  }
  await until('nothing waits', () => gateway().stats.lanes.every(lane => lane.waitingBytes === 0));
});
