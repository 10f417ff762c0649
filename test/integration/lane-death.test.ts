/** A lane that dies: what it had finished is delivered, its connections are closed, and another takes its place. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type Client, connect } from '../support/client.js';
import { temporaryDirectory } from '../support/files.js';
import { sharedGateway, startGateway } from '../support/gateway.js';
import { closeOf, encodeFrame, Opcode, openRawWebSocket } from '../support/raw.js';
import { until } from '../support/until.js';

const RESTARTED = { code: 1012, reason: 'handler restarted' };

/** A client on each of the two lanes. */
async function oneOnEachLane(port: number): Promise<[Client, Client]> {
  const clients: (Client | undefined)[] = [undefined, undefined];
  while (clients.includes(undefined)) {
    const client = await connect(port);
    client.send('hello');
    const lane = Number(String(await client.next()).split(' ')[1]);
    clients[lane] ??= client;
  }
  return clients as [Client, Client];
}

/** Several messages in one packet, so that the lane finds them in its ring together. */
async function burst(port: number, texts: string[]): Promise<string[]> {
  const raw = await openRawWebSocket(port);
  raw.write(Buffer.concat(texts.map(text => encodeFrame(Opcode.text, text))));
  const seen: string[] = [];
  for (let frame = await raw.nextFrame(); ; frame = await raw.nextFrame()) {
    if (frame.opcode === Opcode.close) {
      const { code, reason } = closeOf(frame);
      seen.push(`closed ${code} ${reason}`);
      return seen;
    }
    seen.push(frame.payload.toString());
  }
}

describe('what a lane had finished when it died', () => {
  const gateway = sharedGateway('die.mjs', { lanes: 1 });

  test.each(Array.from({ length: 20 }, (_, i) => i))(
    'is delivered: the reply of the hook before the one that ends the thread (%d)',
    async () => {
      await until('the lane is back', () => gateway().stats.ready);
      const [reply, ...rest] = await burst(gateway().port, ['one', 'exit']);
      expect(reply).toMatch(/^one 0 \d+$/);
      expect(rest).toEqual(['closed 1012 handler restarted']);
    },
  );

  test('is delivered: thousands of frames, in order', async () => {
    const { port } = await startGateway('die.mjs', { lanes: 1 });
    const seen = await burst(port, ['burst', 'exit']);
    expect(seen.pop()).toBe('closed 1012 handler restarted');
    expect(seen.map(text => Number.parseInt(text, 10))).toEqual(Array.from({ length: 5000 }, (_, i) => i));
  });

  test('is delivered: a publication, in its place', async () => {
    const { port } = await startGateway('die.mjs', { lanes: 1 });
    const seen = await burst(port, ['subscribe', 'publish news', 'two', 'exit']);
    expect(seen[0]).toBe('news');
    expect(seen[1]).toMatch(/^two /);
    expect(seen[2]).toBe('closed 1012 handler restarted');
  });

  test('is delivered: a close with a code of its own', async () => {
    const { port } = await startGateway('die.mjs', { lanes: 1 });
    expect(await burst(port, ['close', 'exit'])).toEqual(['closed 4321 closed by the app']);
  });

  test('does not include what the hook sent that did not finish', async () => {
    const { port } = await startGateway('die.mjs', { lanes: 1 });
    const [reply, ...rest] = await burst(port, ['one', 'send and exit']);
    expect(reply).toMatch(/^one /);
    expect(rest).toEqual(['closed 1012 handler restarted']);
  });
});

describe('when a lane dies', () => {
  test.each(['exit', 'throw later', 'reject later'])(
    'by: %s, its connections are closed with 1012',
    async death => {
      const gateway = await startGateway('die.mjs', { lanes: 2 });
      const [victim, other] = await oneOnEachLane(gateway.port);
      victim.send(death);
      expect(await victim.closed).toEqual(RESTARTED);
      other.send('still here');
      expect(await other.next()).toMatch(/^still here 1 /);
      expect(gateway.stats.connections.closedByCause).toMatchObject({ 'lane-died': expect.any(Number) });
    },
  );

  test('its place is taken by a new one, on a new thread, which gets connections', async () => {
    const gateway = await startGateway('die.mjs', { lanes: 1 });
    const first = await connect(gateway.port);
    first.send('a');
    const before = String(await first.next()).split(' ')[2];
    first.send('exit');
    await first.closed;
    await until('it is back', () => gateway.stats.ready);
    const second = await connect(gateway.port);
    second.send('b');
    const [, lane, thread] = String(await second.next()).split(' ');
    expect(lane).toBe('0');
    expect(thread).not.toBe(before);
  });

  test('new connections go to the lanes that are left meanwhile', async () => {
    const file = join(temporaryDirectory(), 'broken');
    process.env.TEST_BROKEN = file;
    onTestFinished(() => {
      delete process.env.TEST_BROKEN;
    });
    const gateway = await startGateway('die.mjs', { lanes: 2 });
    const [victim] = await oneOnEachLane(gateway.port);
    writeFileSync(file, '');
    victim.send('exit');
    await victim.closed;
    for (let i = 0; i < 5; i++) {
      const client = await connect(gateway.port);
      client.send('x');
      expect(await client.next()).toMatch(/^x 1 /);
    }
  });

  test('its slots are free again: nobody is counted who is gone', async () => {
    const gateway = await startGateway('die.mjs', { lanes: 1, maxConnections: 3 });
    for (let round = 0; round < 5; round++) {
      await until('it is ready', () => gateway.stats.ready);
      const clients = [await connect(gateway.port), await connect(gateway.port), await connect(gateway.port)];
      clients[0]?.send('exit');
      for (const client of clients) expect(await client.closed).toEqual(RESTARTED);
      expect(gateway.stats.connections.open).toBe(0);
    }
  });

  test('over and over, it comes back every time, and close() still ends everything', async () => {
    const gateway = await startGateway('die.mjs', { lanes: 2 });
    for (let round = 0; round < 10; round++) {
      await until('both are ready', () => gateway.stats.ready);
      const clients = await oneOnEachLane(gateway.port);
      for (const client of clients) client.send('exit');
      for (const client of clients) expect(await client.closed).toEqual(RESTARTED);
    }
    await gateway.close();
  });
});
