/** A lane that stays much busier than another hands it some of its connections. */
import { expect, test } from 'vitest';
import type { Connection, Connections } from '../../dist/src/frontend/connections.js';
import type { Takeover } from '../../dist/src/frontend/takeover.js';
import { type Client, connect } from '../support/client.js';
import { startGateway } from '../support/gateway.js';
import { until } from '../support/until.js';

/** Sends numbers, and checks that each comes back once and in order. */
class Echo {
  readonly lanes = new Set<string>();
  wrong: string | undefined;
  private sent = 0;
  private next = 0;
  private stopped = false;

  constructor(
    private readonly client: Client,
    inFlight: number,
  ) {
    client.socket.on('message', data => this.receive(data.toString()));
    for (let i = 0; i < inFlight; i++) this.send();
  }

  private send(): void {
    this.client.send(String(this.sent++));
  }

  private receive(text: string): void {
    const [number, lane = ''] = text.split(' ');
    if (Number(number) !== this.next) this.wrong ??= `${number} came where ${this.next} was due`;
    this.next++;
    this.lanes.add(lane);
    if (!this.stopped) this.send();
  }

  /** @returns whether all is answered */
  stop(): boolean {
    this.stopped = true;
    return this.next === this.sent;
  }
}

test('connections go to a lane that is less busy: none is closed, no message lost, doubled or out of order', async () => {
  const gateway = await startGateway('uneven.mjs', { lanes: 2, balanceMs: 100 });
  const clients: Client[] = [];
  const echoes: Echo[] = [];
  // New connections go to the lanes in turn: all the heavy ones to one lane.
  for (let i = 0; i < 40; i++) {
    const path = i % 2 === 0 ? '/heavy' : '/async';
    const client = await connect(gateway.port, { path });
    clients.push(client);
    echoes.push(new Echo(client, i % 2 === 0 ? 4 : 1));
  }
  const moved = (): number => echoes.filter(({ lanes }) => lanes.size === 2).length;
  await until('some have moved', () => moved() >= 5, 15_000);
  await until('all is answered', () => echoes.map(echo => echo.stop()).every(Boolean));
  expect(echoes.flatMap(({ wrong }) => wrong ?? [])).toEqual([]);
  expect(gateway.stats.connections).toMatchObject({ open: 40, closedByCause: {} });
  expect(gateway.stats.messages.lost).toBe(0);
  // What was charged to the lane before has come off its account.
  for (const { waitingBytes } of gateway.stats.lanes) expect(waitingBytes).toBe(0);
  await gateway.publish('all', 'still subscribed');
  for (const client of clients) {
    await until('it is told', () => client.inbox.includes('still subscribed'));
  }
});

test('without `balanceMs` they stay where they are', async () => {
  const gateway = await startGateway('uneven.mjs', { lanes: 2 });
  const clients = await Promise.all(
    Array.from({ length: 4 }, () => connect(gateway.port, { path: '/light' })),
  );
  const before = gateway.stats.lanes.map(({ connections }) => connections);
  for (const client of clients) client.send('x');
  for (const client of clients) await client.next();
  expect(gateway.stats.lanes.map(({ connections }) => connections)).toEqual(before);
});

test('one that closes while it moves, and whose lane dies before it has left, gets its close hook, and its slot is free', async () => {
  const gateway = await startGateway('die.mjs', { lanes: 2 });
  const { takeover, connections } = gateway as unknown as { takeover: Takeover; connections: Connections };
  const [watcher, moving] = [await connect(gateway.port), await connect(gateway.port)];
  const laneOf = async (client: Client): Promise<number> => {
    client.send('?');
    return Number(String(await client.next()).split(' ')[1]);
  };
  watcher.send('subscribe t');
  moving.send('id');
  const id = await moving.next();
  const lane = await laneOf(moving);
  const killer = await until('one on its lane', async () => {
    const client = await connect(gateway.port);
    return (await laneOf(client)) === lane && client;
  });
  const { in: before } = gateway.stats.messages;
  killer.send('block 300');
  killer.send('exit');
  await until('the lane is blocked', () => gateway.stats.messages.in === before + 2);
  const connection = [...connections.all()].find(({ slot }) => connections.directory.id(slot) === id);
  takeover.handOff(connection as Connection, 1 - lane);
  await moving.disconnect();
  expect(await watcher.next()).toBe('closed 1006');
  await until('its slot is free', () => [...connections.all()].length === connections.openCount);
});
