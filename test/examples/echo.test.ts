/** The example `echo`: one connection, two writers, and a page. */
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { runsBrowserTests } from '../browser/chromium.js';
import { ROOT, startCommand } from '../support/child.js';
import { type Client, connect } from '../support/client.js';
import { startGateway } from '../support/gateway.js';
import { Opcode, openRawWebSocket } from '../support/raw.js';
import { until } from '../support/until.js';
import { threads } from './threads.js';
import { eventually, picture, sharedChromium } from './window.js';

const APP = join(ROOT, 'examples/echo/app.js');

/** The next thing that was echoed; what the clock says in between is put into `times`. */
async function echoed(client: Client, times: string[] = []): Promise<{ number: number; data: unknown }> {
  for (;;) {
    const head = await client.nextJson<{ number: number; bytes: number; time?: string }>();
    if (head.time === undefined) {
      const data = await client.next(); // the frame behind the head, whatever else is written
      expect(Buffer.byteLength(data)).toBe(head.bytes);
      return { number: head.number, data };
    }
    times.push(head.time);
  }
}

test('sends back text and bytes, each behind its head, in order', async () => {
  const { port } = await startGateway(APP);
  const client = await connect(port);
  const sent = Array.from({ length: 200 }, (_, i) => (i % 2 === 0 ? `text ${i}` : Buffer.from(`bytes ${i}`)));
  for (const data of sent) client.send(data);
  for (const [i, data] of sent.entries()) expect(await echoed(client)).toEqual({ number: i + 1, data });
});

test('a second writer never comes between a head and its data', async () => {
  const { port } = await startGateway(APP);
  const clients = await Promise.all([1, 2, 3, 4].map(() => connect(port)));
  await Promise.all(
    clients.map(async client => {
      const times: string[] = [];
      while (times.length < 2) {
        client.send('x'.repeat(4096));
        await echoed(client, times); // would find a head where data should be
      }
    }),
  );
});

test('refuses what its channel has no room for', async () => {
  const { port } = await startGateway(APP);
  const client = await connect(port);
  client.send('x'.repeat(4097));
  expect(await client.closed).toEqual({ code: 1009, reason: 'at most 4096 bytes' });
});

test('reads no faster than the client takes it back', async () => {
  const gateway = await startGateway(APP, { lanes: 1, maxInboundPerConnection: 1 << 20 });
  const stalled = await openRawWebSocket(gateway.port);
  stalled.pause();
  const flood = (async () => {
    const data = Buffer.alloc(4096, 'x');
    while (gateway.stats.connections.open > 0) {
      for (let i = 0; i < 16; i++) stalled.frame(Opcode.binary, data);
      await Promise.race([stalled.flushed(), delay(5)]);
    }
  })();
  // What comes back is not read, so nothing more is written, the channel fills, and what was sent waits for its hook:
  // in the end it is the sender that is stopped, not the slow reader.
  await until('it is closed', () => gateway.stats.connections.open === 0);
  await flood;
  expect(gateway.stats.connections.closedByCause).toEqual({ 'inbound-overflow': 1 });
});

test('goes on with its connections when the lane dies', async () => {
  const gateway = await startGateway(APP, { lanes: 1 });
  const lane = threads().at(-1);
  const client = await connect(gateway.port);
  client.send('before');
  expect(await echoed(client)).toEqual({ number: 1, data: 'before' });
  await lane?.terminate();
  client.send('after');
  expect(await echoed(client)).toEqual({ number: 1, data: 'after' }); // numbered by the new lane
});

test('ends in good order while it is used', async () => {
  const child = startCommand([APP, '--lanes', '2']);
  const client = await connect(await child.port());
  client.send('hello');
  await echoed(client);
  child.kill('SIGINT');
  expect((await client.closed).code).toBe(1001);
  expect((await child.ended).code).toBe(0);
  expect(child.log.filter(({ level }) => level > 30)).toEqual([]);
});

describe.skipIf(!runsBrowserTests)('the page', { timeout: 60_000 }, () => {
  const open = sharedChromium();

  test('shows what came back, and the clock', async () => {
    const { port } = await startGateway(APP);
    const page = await open(`http://127.0.0.1:${port}/`, { width: 760, height: 400 });
    await eventually(() => page.getByRole('timer').textContent()).toMatch(/\d:\d\d/);
    for (const text of ['Hello!', 'Is anybody there?', '<b>Only me.</b>']) {
      await page.getByLabel('Message').fill(text);
      await page.keyboard.press('Enter');
      await eventually(() => page.locator('#log .text').first().textContent()).toBe(text);
    }
    expect(await page.locator('#log .number').allTextContents()).toEqual(['3', '2', '1']);
    await picture(page, 'echo');
  });
});
