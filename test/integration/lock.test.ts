/** The connection's lock, and what lanes hold of threadgate/sync when they die. */
import { describe, expect, test } from 'vitest';
import { type Client, connect } from '../support/client.js';
import { sharedGateway, startGateway } from '../support/gateway.js';
import { until } from '../support/until.js';

interface Known {
  client: Client;
  id: string;
  lane: string;
}

async function connectKnown(port: number): Promise<Known> {
  const client = await connect(port);
  client.send('who');
  const [id = '', lane = ''] = String(await client.next()).split(' ');
  return { client, id, lane };
}

/** A client on each of the two lanes. */
async function oneOnEach(port: number): Promise<[Known, Known]> {
  const found: Record<string, Known> = {};
  while (Object.keys(found).length < 2) {
    const known = await connectKnown(port);
    found[known.lane] = known;
  }
  return [found['0'] as Known, found['1'] as Known];
}

/** Two lanes send sequences to one connection. @returns what it got */
async function writtenByTwoLanes(port: number, word: string, times: number): Promise<string[]> {
  const target = await connectKnown(port);
  const writers = await oneOnEach(port);
  for (const { client } of writers) client.send(`${word} ${target.id} ${times}`);
  const frames = (await target.client.take(2 * 3 * times)).map(String);
  for (const { client } of writers) expect(await client.next()).toBe('done');
  return frames;
}

function isWhole(frames: string[]): boolean {
  for (let i = 0; i < frames.length; i += 3) {
    const [a = '', b, c] = frames.slice(i, i + 3);
    const sequence = a.slice(0, -1);
    if (!a.endsWith(' a') || b !== `${sequence}b` || c !== `${sequence}c`) return false;
  }
  return true;
}

describe('the lock of a connection that two lanes write to', () => {
  const gateway = sharedGateway('locks.mjs', { lanes: 2 });

  test('keeps their sequences whole, in the order of each lane', async () => {
    const frames = await writtenByTwoLanes(gateway().port, 'write', 100);
    expect(isWhole(frames)).toBe(true);
    for (const lane of ['0', '1']) {
      const own = frames
        .filter(frame => frame.startsWith(`${lane} `))
        .map(frame => Number(frame.split(' ')[1]));
      expect(own).toEqual([...own].sort((a, b) => a - b));
    }
  });

  test('is what does it: without it they are mixed', async () => {
    expect(isWhole(await writtenByTwoLanes(gateway().port, 'careless', 100))).toBe(false);
  });

  test('is not given for one that is gone', async () => {
    const watcher = await connectKnown(gateway().port);
    watcher.client.send('subscribe');
    const known = await connectKnown(gateway().port);
    known.client.send(`gone ${known.id}`);
    expect(await watcher.client.next()).toBe('ERR_THREADGATE_PEER_GONE');
  });
});

describe('a lane that dies with a lock in its hands', () => {
  test('leaves the connection’s lock to the next, who is told', async () => {
    const gateway = await startGateway('locks.mjs', { lanes: 2 });
    const [holder, other] = await oneOnEach(gateway.port);
    holder.client.send('hold');
    await until('it died', () => !gateway.stats.ready);
    other.client.send(`lock ${holder.id}`);
    expect(await other.client.next()).toBe('owner died: true');
    other.client.send(`lock ${holder.id}`);
    expect(await other.client.next()).toBe('owner died: false');
  });

  test('leaves a named mutex to the next, on whatever lane', async () => {
    const gateway = await startGateway('locks.mjs', { lanes: 2 });
    const clients = await Promise.all(Array.from({ length: 10 }, () => connectKnown(gateway.port)));
    clients[0]?.client.send('take');
    for (const { client } of clients.slice(1)) client.send('next');
    const told = await Promise.all(clients.slice(1).map(({ client }) => client.next()));
    expect(told.filter(text => text === 'ERR_THREADGATE_SYNC_OWNER_DIED')).toHaveLength(1);
    expect(told.filter(text => text === 'undefined')).toHaveLength(8);
  });
});
