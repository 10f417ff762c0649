/** The example `upstream`: another WebSocket server that comes and goes, and lanes that die while they are connected to it. */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { WebSocket } from 'ws';
import { runsBrowserTests } from '../browser/chromium.js';
import { type PlainServer, startServer } from '../client/server.js';
import { type Child, ROOT, startCommand, startNode } from '../support/child.js';
import { type Client, connect } from '../support/client.js';
import { freePort } from '../support/ports.js';
import { until } from '../support/until.js';
import { eventually, picture, sharedChromium } from './window.js';

const APP = join(ROOT, 'examples/upstream/app.js');
const HOST = join(ROOT, 'test/examples/host.js');
const HOUSE = join(ROOT, 'examples/upstream/house.js');

interface Event {
  type: string;
  lot?: string;
  bid?: number;
  open?: boolean;
  why?: string;
  version?: number;
  lots?: Event[];
  house?: { open: boolean };
}

/** A gateway of two lanes, in a process of its own. */
async function start(url: string): Promise<{ child: Child; port: number }> {
  const child = startNode([HOST, APP, '"state":"open"'], { UPSTREAM: url });
  return { child, port: await child.port() };
}

/** An auction house that has said what each lot is at. */
async function startHouse(lots: Record<string, number>, port = 0): Promise<PlainServer> {
  const house = await startServer({}, port);
  house.onConnection = socket => {
    for (const [lot, bid] of Object.entries(lots)) tell(socket, lot, bid);
  };
  return house;
}

const tell = (socket: WebSocket, lot: string, bid: number): void =>
  socket.send(JSON.stringify({ lot, title: `Lot ${lot}`, bid, step: 10 }));

/** The next event that looks so; others are skipped. */
async function sees(client: Client, looks: (event: Event) => boolean): Promise<Event> {
  for (;;) {
    const event = await client.nextJson<Event>();
    if (looks(event)) return event;
  }
}

/** A client that is subscribed, and what it was told at first. */
async function subscribe(port: number): Promise<{ client: Client; first: Event; id: string }> {
  const client = await connect(port);
  const { id } = await client.nextJson<{ id: string }>();
  client.send('{"type":"lots"}');
  return { client, id, first: await sees(client, ({ type }) => type === 'lots') };
}

/** Waits until a newcomer is told that. */
function told(port: number, looks: (first: Event) => boolean): Promise<unknown> {
  return until('a newcomer is told', async () => {
    const { client, first } = await subscribe(port);
    await client.disconnect();
    return looks(first);
  });
}

const bids = (lots: Event[] = []): Record<string, number | undefined> =>
  Object.fromEntries(lots.map(({ lot, bid }) => [lot, bid]));

test('relays a feed to everybody, over one connection, and newcomers get the last word at once', async () => {
  const house = await startHouse({ a: 100, b: 200 });
  const { port } = await start(house.url);
  const clients = [await subscribe(port), await subscribe(port), await subscribe(port)];
  await told(port, ({ lots, house }) => lots?.length === 2 && house?.open === true);
  for (let bid = 110; bid <= 200; bid += 10) tell(house.sockets[0] as WebSocket, 'a', bid);
  for (const { client } of clients) {
    for (let bid = 110; bid <= 200; bid += 10) {
      // In order, none missing.
      expect(
        (await sees(client, ({ type, lot, bid = 0 }) => type === 'lot' && lot === 'a' && bid > 100)).bid,
      ).toBe(bid);
    }
  }
  const { first } = await subscribe(port);
  expect(bids(first.lots)).toEqual({ a: 200, b: 200 });
  expect(house.count).toBe(1);
});

test('takes bids from every lane to the house, and what is refused back to who has bid', async () => {
  const house = await startHouse({ a: 100 });
  house.onMessage = (text, socket) => {
    const { lot, amount, by } = JSON.parse(text);
    if (amount < 110) socket.send(JSON.stringify({ lot, amount, by, refused: 'too low' }));
    else tell(socket, lot, amount);
  };
  const { port } = await start(house.url);
  const clients = [await subscribe(port), await subscribe(port)];
  await told(port, ({ lots }) => lots?.length === 1);
  for (const [i, { client, id }] of clients.entries()) {
    client.send('{"type":"bid","lot":"a","amount":105}');
    expect(await sees(client, ({ type }) => type === 'refused')).toMatchObject({ lot: 'a', why: 'too low' });
    client.send(JSON.stringify({ type: 'bid', lot: 'a', amount: 110 + i }));
    for (const other of clients) await sees(other.client, ({ bid }) => bid === 110 + i);
    expect(house.received.some(text => JSON.parse(text).by === id)).toBe(true);
  }
  const events = clients.flatMap(({ client }) => client.inbox.map(text => JSON.parse(String(text)) as Event));
  expect(events.filter(({ type }) => type === 'refused')).toEqual([]); // nobody saw the other's refusal
  const client = clients[0]?.client as Client;
  const before = house.received.length;
  for (const wrong of [
    'no JSON',
    '{"type":"bid","lot":"z","amount":500}',
    '{"type":"bid","lot":"a","amount":"1"}',
  ]) {
    client.send(wrong);
  }
  client.send('{"type":"lots"}');
  await sees(client, ({ type }) => type === 'lots');
  expect(house.received.length).toBe(before);
});

test('serves on while the house is away, from the start or later, and refuses bids meanwhile', async () => {
  const port = await freePort();
  const gateway = await start(`ws://127.0.0.1:${port}`);
  const { client, first } = await subscribe(gateway.port);
  expect(first).toMatchObject({ lots: [], house: { open: false } });
  expect((await fetch(`http://127.0.0.1:${gateway.port}/`)).status).toBe(200);

  const house = await startHouse({ a: 100 }, port);
  await sees(client, ({ type, open }) => type === 'house' && open === true);
  await sees(client, ({ bid }) => bid === 100);

  await house.kill();
  await sees(client, ({ type, open }) => type === 'house' && open === false);
  expect((await subscribe(gateway.port)).first).toMatchObject({
    lots: [{ lot: 'a', bid: 100 }],
    house: { open: false },
  });
  client.send('{"type":"bid","lot":"a","amount":110}');
  const refusal = await sees(client, ({ type }) => type === 'refused');
  expect(refusal).toMatchObject({ lot: 'a', why: 'the auction house does not answer' });

  await startHouse({ a: 150 }, port);
  await sees(client, ({ type, open }) => type === 'house' && open === true);
  expect((await sees(client, ({ type }) => type === 'lot')).bid).toBe(150);
  expect(house.received).toEqual([]); // the bid that was refused did not come later
});

test('when the lane with the connection dies, another one connects, and nobody is disconnected', async () => {
  const house = await startHouse({ a: 100 });
  house.onMessage = (text, socket) => tell(socket, 'a', JSON.parse(text).amount);
  const { child, port } = await start(house.url);
  const clients = [await subscribe(port), await subscribe(port)]; // one on each lane
  await told(port, ({ lots }) => lots?.length === 1);
  for (let death = 1; death <= 3; death++) {
    child.kill('SIGUSR2');
    await until('another one is connected', () => house.sockets.length === 1 && house.count === death + 1);
    expect((await subscribe(port)).first).toMatchObject({ lots: [{ lot: 'a' }] });
    await told(port, ({ house }) => house?.open === true);
    for (const [i, { client }] of clients.entries()) {
      const amount = 100 + 100 * death + 10 * i;
      client.send(JSON.stringify({ type: 'bid', lot: 'a', amount }));
      for (const other of clients) await sees(other.client, ({ bid }) => bid === amount);
    }
  }
  const owners = child.log.filter(({ state }) => state === 'open').map(({ lane }) => lane);
  expect(owners.length).toBe(4);
  expect(new Set(owners).size).toBe(2);
});

test('takes no harm from what cannot be used', async () => {
  const house = await startHouse({});
  house.onConnection = socket => {
    socket.send('no JSON');
    socket.send('null');
    socket.send('{"bid":1}');
    socket.send(new Uint8Array(8));
    socket.send(JSON.stringify({ lot: 'large', title: 'x'.repeat(2 ** 20), bid: 1, step: 1 }));
    tell(socket, 'a', 100);
  };
  const { child, port } = await start(house.url);
  await told(port, ({ lots }) => lots?.length === 1 && lots[0]?.bid === 100);
  expect(child.log.filter(({ msg }) => msg.includes('cannot be used')).length).toBe(5);
  expect(house.count).toBe(1);
});

test.each(['there', 'away'])('SIGINT ends it in good order while the house is %s', async house => {
  const server = await startHouse({ a: 100 });
  if (house === 'away') await server.kill();
  const child = startCommand([APP, '--lanes', '2'], { UPSTREAM: server.url });
  const { client } = await subscribe(await child.port());
  await child.says(stdout =>
    stdout.includes(house === 'there' ? '"open"' : '"waiting"') ? true : undefined,
  );
  child.kill('SIGINT');
  expect((await client.closed).code).toBe(1001);
  expect((await child.ended).code).toBe(0);
  await until('the connection is gone', () => server.sockets.length === 0);
  expect(child.log.filter(({ level }) => level > 30)).toEqual([]);
});

describe.skipIf(!runsBrowserTests)(
  'the page, with the auction house of the example',
  { timeout: 60_000 },
  () => {
    const open = sharedChromium();

    test('shows bids live, bids, and says when the house is away', async () => {
      const port = await freePort();
      const startHouse = () => startCommand([HOUSE, '--port', String(port), '--lanes', '2']);
      const house = startHouse();
      await house.port();
      const gateway = await start(`ws://127.0.0.1:${port}`);
      const page = await open(`http://127.0.0.1:${gateway.port}/`, { width: 900, height: 560 });
      const status = page.getByRole('status');
      await eventually(() => status.textContent()).toBe('Live');
      await eventually(() => page.getByRole('heading', { level: 2 }).count()).toBe(6);
      if (process.env.SCREENSHOTS) await page.waitForTimeout(30_000); // until there is something to draw
      const lot = page.getByRole('listitem').filter({ hasText: 'Barometer' });
      await eventually(async () => {
        await lot.getByRole('button').click(); // somebody else may have bid meanwhile
        return lot.locator('.yours').count();
      }).toBe(1);
      await picture(page, 'upstream');

      house.kill('SIGKILL');
      await eventually(() => status.textContent()).toBe('House away');
      expect(await page.getByText('The auction house does not answer').isVisible()).toBe(true);
      expect(await lot.getByRole('button').isDisabled()).toBe(true);
      const last = await lot.locator('b').textContent();
      await page.reload(); // a newcomer sees the last bids
      await eventually(() => lot.locator('b').textContent()).toBe(last);

      await startHouse().port();
      await eventually(() => status.textContent()).toBe('Live');
      await eventually(() => lot.getByRole('button').isDisabled()).toBe(false);
    });
  },
);
