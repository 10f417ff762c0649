/** A lane that dies: its connections stay, and another lane goes on with what waited. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type Client, connect } from '../support/client.js';
import { temporaryDirectory } from '../support/files.js';
import { sharedGateway, startGateway } from '../support/gateway.js';
import { closeOf, encodeFrame, Opcode, openRawWebSocket, type RawSocket } from '../support/raw.js';
import { until } from '../support/until.js';

/** A client on each of the two lanes. */
async function oneOnEachLane(port: number, path = '/'): Promise<[Client, Client]> {
  const clients: (Client | undefined)[] = [undefined, undefined];
  while (clients.includes(undefined)) {
    const client = await connect(port, { path });
    client.send('hello');
    const lane = Number(String(await client.next()).split(' ')[1]);
    clients[lane] ??= client;
  }
  return clients as [Client, Client];
}

/** Several messages in one packet, so that the lane finds them in its ring together. */
async function burst(port: number, texts: string[]): Promise<RawSocket> {
  const raw = await openRawWebSocket(port);
  raw.write(Buffer.concat(texts.map(text => encodeFrame(Opcode.text, text))));
  return raw;
}

async function takeTexts(raw: RawSocket, count: number): Promise<string[]> {
  const texts: string[] = [];
  while (texts.length < count) texts.push((await raw.nextFrame()).payload.toString());
  return texts;
}

describe('what a lane had finished when it died', () => {
  const gateway = sharedGateway('die.mjs', { lanes: 1 });

  test.each(Array.from({ length: 20 }, (_, i) => i))(
    'is delivered, and what waited is handled by the next: only the message between is lost (%d)',
    async () => {
      const { lost } = gateway().stats.messages;
      const [one, two] = await takeTexts(await burst(gateway().port, ['one', 'exit', 'two']), 2);
      expect(one).toMatch(/^one 0 \d+$/);
      expect(two).toMatch(/^two 0 \d+$/);
      expect(two?.split(' ')[2]).not.toBe(one?.split(' ')[2]);
      expect(gateway().stats.messages.lost).toBe(lost + 1);
    },
  );

  test('is delivered: thousands of frames, in order', async () => {
    const seen = await takeTexts(await burst(gateway().port, ['burst', 'exit', 'after']), 5001);
    expect(seen.pop()).toMatch(/^after/);
    expect(seen.map(text => Number.parseInt(text, 10))).toEqual(Array.from({ length: 5000 }, (_, i) => i));
  });

  test('is delivered: a publication, in its place', async () => {
    const texts = ['subscribe t', 'publish news', 'two', 'exit', 'three'];
    const seen = await takeTexts(await burst(gateway().port, texts), 3);
    expect(seen[0]).toBe('news');
    expect(seen[1]).toMatch(/^two /);
    expect(seen[2]).toMatch(/^three /);
  });

  test('does not include what the hook sent that did not finish', async () => {
    const seen = await takeTexts(await burst(gateway().port, ['one', 'send and exit', 'two']), 2);
    expect(seen[0]).toMatch(/^one /);
    expect(seen[1]).toMatch(/^two /);
  });
});

describe('when a lane dies', () => {
  test.each(['exit', 'throw later', 'reject later', 'throw after await', 'out of memory', 'hang'])(
    'by: %s, its connections stay and are served by another; the other lane goes on',
    async death => {
      const gateway = await startGateway('die.mjs', { lanes: 2, laneHeapMiB: 64, hangTimeoutMs: 400 });
      const [victim, other] = await oneOnEachLane(gateway.port);
      const bystander = await until('a bystander on the same lane', async () => {
        const client = await connect(gateway.port);
        client.send('hello');
        return String(await client.next()).startsWith('hello 0') && client;
      });
      victim.send(death);
      other.send('still here');
      expect(await other.next()).toMatch(/^still here 1 /);
      await until('the lane died', () => !gateway.stats.ready);
      for (const client of [victim, bystander]) client.send('after');
      for (const client of [victim, bystander]) expect(await client.next()).toMatch(/^after 0 /);
      expect(gateway.stats.connections.closedByCause).toEqual({});
    },
  );

  test('`resume` is called instead of `open`: id, request, context and topics are as before', async () => {
    const gateway = await startGateway('die.mjs', { lanes: 1 });
    const greeted = await connect(gateway.port, { path: '/room?greet' });
    expect(await greeted.next()).toMatch(/^open /);
    const client = await connect(gateway.port, { path: '/room?resume' });
    client.send('id');
    const id = await client.next();
    client.send('subscribe t');
    client.send('subscribe u');
    client.send('exit');
    const resumed = await client.nextJson<{ topics: string[] }>();
    expect(resumed).toMatchObject({ id, context: { query: '?resume' } });
    expect(resumed).toMatchObject({ url: expect.stringMatching(/\/room\?resume$/) });
    expect(resumed.topics.sort()).toEqual(['t', 'u']);
    client.send('publish still subscribed');
    expect(await client.next()).toBe('still subscribed');
    expect(greeted.inbox).toEqual([]);
  });

  test('messages that waited behind a hook that never settled are handled by the next lane, in order', async () => {
    const gateway = await startGateway('die.mjs', { lanes: 1 });
    const client = await connect(gateway.port);
    const killer = await connect(gateway.port);
    client.send('never');
    for (let i = 0; i < 2000; i++) client.send(`m${i}`);
    killer.send('hello');
    await killer.next();
    killer.send('exit');
    const seen = await client.take(2000);
    expect(seen.map(text => String(text).split(' ')[0])).toEqual(
      Array.from({ length: 2000 }, (_, i) => `m${i}`),
    );
    expect(gateway.stats.messages.lost).toBe(2);
  });

  test('messages that waited may be larger than the ring, wherever they waited', async () => {
    const gateway = await startGateway('die.mjs', {
      lanes: 1,
      maxPayload: 4 * 1024 * 1024,
      ringBytes: 65_536,
    });
    const client = await connect(gateway.port);
    const parked = await connect(gateway.port);
    const large = (size: number): string => `size ${'x'.repeat(size - 5)}`;
    parked.send('never');
    for (const size of [100_000, 10, 2_000_000]) parked.send(large(size));
    client.send('hello');
    await client.next();
    client.send('block 300');
    client.send('exit');
    for (const size of [2_000_000, 10, 3_000_000, 50_000, 10]) client.send(large(size));
    const sizes = async (from: Client, count: number): Promise<number[]> =>
      (await from.take(count)).map(text => Number(String(text).split(' ')[1]));
    expect(await sizes(client, 5)).toEqual([2_000_000, 10, 3_000_000, 50_000, 10]);
    expect(await sizes(parked, 3)).toEqual([100_000, 10, 2_000_000]);
  });

  test('a connection that opened while it was dying is opened by the next', async () => {
    const gateway = await startGateway('die.mjs', { lanes: 1 });
    const killer = await connect(gateway.port);
    killer.send('exit');
    const client = await connect(gateway.port, { path: '/?greet' });
    expect(await client.next()).toMatch(/^open /);
    client.send('x');
    expect(await client.next()).toMatch(/^x /);
  });

  test('close hooks that waited are run, and slots are free again', async () => {
    const gateway = await startGateway('die.mjs', { lanes: 1, maxConnections: 4 });
    const watcher = await connect(gateway.port);
    watcher.send('subscribe t');
    for (let round = 0; round < 10; round++) {
      const clients = await Promise.all([1, 2, 3].map(() => connect(gateway.port)));
      clients[0]?.send('block 50');
      clients[0]?.send(round % 2 === 0 ? 'exit' : 'reject later');
      for (const client of clients) client.socket.close(4000 + round);
      for (const client of clients) await client.closed;
      expect(await watcher.take(3)).toEqual(Array(3).fill(`closed ${4000 + round}`));
      await until('the slots are free', () => gateway.stats.connections.open === 1);
    }
  });

  test('a request that it had begun is answered with 503, one that waited by the next lane', async () => {
    const gateway = await startGateway('die.mjs', { lanes: 1 });
    const url = `http://127.0.0.1:${gateway.port}`;
    const begun = fetch(`${url}/never`);
    await until('it has begun', () => gateway.stats.requests.waiting === 1);
    const client = await connect(gateway.port);
    client.send('hello');
    await client.next();
    client.send('block 200');
    client.send('exit');
    await until('it blocks', () => gateway.stats.messages.in === 3);
    const waited = fetch(`${url}/waited`);
    expect((await begun).status).toBe(503);
    expect(await (await waited).text()).toMatch(/^\/waited /);
  });

  test('over and over, nobody is disconnected, and close() still ends everything', async () => {
    const gateway = await startGateway('die.mjs', { lanes: 2 });
    const watchers = await oneOnEachLane(gateway.port);
    for (let round = 0; round < 10; round++) {
      const killers = await oneOnEachLane(gateway.port);
      for (const killer of killers) killer.send('exit');
      for (const client of [...watchers, ...killers]) {
        client.send('alive');
        expect(await client.next()).toMatch(/^alive /);
      }
      for (const killer of killers) killer.socket.terminate();
    }
    await gateway.close();
  });
});

describe('a connection whose messages end lanes', () => {
  test.each(['exit', 'throw later', 'reject later', 'throw after await'])(
    'by: %s, is closed with 1011 at the third or fourth; all others lose nothing',
    async death => {
      const gateway = await startGateway('die.mjs', { lanes: 1 });
      const poison = await connect(gateway.port);
      const others = await Promise.all(Array.from({ length: 10 }, () => connect(gateway.port)));
      let rounds = 0;
      for (; poison.socket.readyState === poison.socket.OPEN && rounds < 6; rounds++) {
        poison.send(death);
        await Promise.race([until('the lane died', () => !gateway.stats.ready), poison.closed]);
        for (const other of others) other.send(`r${rounds}`);
        for (const other of others) expect(await other.next()).toMatch(new RegExp(`^r${rounds} `));
      }
      expect(await poison.closed).toEqual({ code: 1011, reason: 'its messages ended the handler' });
      expect(gateway.stats.connections.closedByCause).toEqual({ poison: 1 });
      expect(rounds).toBeLessThanOrEqual(4);
    },
  );

  test('ends no more of them with what it had sent already', async () => {
    const lines: string[] = [];
    const logger = pino({ level: 'error' }, { write: line => void lines.push(line) });
    const gateway = await startGateway('die.mjs', { lanes: 1, logger });
    const other = await connect(gateway.port);
    const poison = await openRawWebSocket(gateway.port);
    poison.write(Buffer.concat(Array.from({ length: 10 }, () => encodeFrame(Opcode.text, 'exit'))));
    expect(closeOf(await poison.nextFrame())).toMatchObject({ code: 1011 });
    other.send('a');
    expect(await other.next()).toMatch(/^a /);
    expect(lines.filter(line => line.includes('lane died'))).toHaveLength(3);
  });

  test('by: hanging after it has awaited something, is closed with 1011', async () => {
    const gateway = await startGateway('die.mjs', { lanes: 1, hangTimeoutMs: 400 });
    const other = await connect(gateway.port);
    const poison = await connect(gateway.port);
    for (let i = 0; i < 4; i++) poison.send('hang after await');
    expect(await poison.closed).toEqual({ code: 1011, reason: 'its messages ended the handler' });
    other.send('a');
    expect(await other.next()).toMatch(/^a /);
  });

  test('is looked for without a change to the hooks of others, be they methods of a class', async () => {
    const gateway = await startGateway('class.mjs', { lanes: 1 });
    const client = await connect(gateway.port);
    client.send('throw later');
    await until('the lane died', () => !gateway.stats.ready);
    client.send('a');
    expect(await client.next()).toBe('a');
  });
});

describe('a lane that cannot start again', () => {
  test('is tried again until it can; new connections go to the others, its own wait', async () => {
    const file = join(temporaryDirectory(), 'broken');
    process.env.TEST_BROKEN = file;
    onTestFinished(() => {
      delete process.env.TEST_BROKEN;
    });
    const gateway = await startGateway('die.mjs', { lanes: 2 });
    const [victim] = await oneOnEachLane(gateway.port);
    writeFileSync(file, '');
    victim.send('exit');
    victim.send('patient');
    await until('it died', () => !gateway.stats.ready);
    for (let i = 0; i < 5; i++) {
      const client = await connect(gateway.port);
      client.send('x');
      expect(await client.next()).toMatch(/^x 1 /);
    }
    expect(gateway.stats.ready).toBe(false);
    expect(victim.inbox).toEqual([]);
    rmSync(file);
    expect(await victim.next()).toMatch(/^patient 0 /);
    await until('it is ready', () => gateway.stats.ready);
  });
});

describe('a hook that never settles', () => {
  test('holds up its own connection, which is closed with 1011 after `hookTimeoutMs`', async () => {
    const gateway = await startGateway('die.mjs', { lanes: 1, hookTimeoutMs: 200, maxConnections: 2 });
    const stuck = await connect(gateway.port);
    const other = await connect(gateway.port);
    stuck.send('never');
    stuck.send('not heard');
    other.send('a');
    expect(await other.next()).toMatch(/^a /);
    expect(await stuck.closed).toEqual({ code: 1011, reason: 'a hook did not settle in time' });
    expect(stuck.inbox).toEqual([]);
    other.send('b');
    expect(await other.next()).toMatch(/^b /);
    await until('its slot is free', () => gateway.stats.connections.open === 1);
    const again = await until('there is room again', () => connect(gateway.port).catch(() => undefined));
    again.send('c');
    expect(await again.next()).toMatch(/^c /);
  });
});
