/** New code for a running gateway: lane by lane, without anybody's connection. */

import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { connect } from '../support/client.js';
import { temporaryDirectory } from '../support/files.js';
import { startGateway } from '../support/gateway.js';
import { until } from '../support/until.js';

/** An app of two modules, one of which says the version. */
function writeApp(): { app: string; setVersion(code: string): void } {
  const folder = temporaryDirectory();
  const setVersion = (code: string): void => writeFileSync(join(folder, 'version.mjs'), code);
  writeFileSync(
    join(folder, 'app.mjs'),
    `import { setTimeout as delay } from 'node:timers/promises';
     import { version } from './version.mjs';
     let counter = 0;
     export default {
       websocket: {
         resume(peer) { if (peer.topics.has('resumed')) peer.send('resumed ' + version); },
         async message(peer, message) {
           const text = message.text();
           if (text === 'subscribe') return void peer.subscribe('resumed');
           if (text === 'slow') await delay(2000);
           if (text === 'very slow') await delay(60_000);
           peer.send(text + ' ' + version + ' ' + ++counter);
         },
       },
       async fetch(request) {
         if (request.url.endsWith('/slow')) await delay(300);
         if (request.url.endsWith('/stream')) {
           return new Response(new ReadableStream({
             async start(controller) {
               for (let i = 0; i < 5; i++) { controller.enqueue(new TextEncoder().encode('part ' + i + ' ' + version + '\\n')); await delay(100); }
               controller.close();
             },
           }));
         }
         return new Response('version ' + version);
       },
     };`,
  );
  setVersion('export const version = 1;');
  return { app: join(folder, 'app.mjs'), setVersion };
}

describe('reload', () => {
  test('brings in changed code, that of imported modules too, and fresh state; connections stay', async () => {
    const { app, setVersion } = writeApp();
    const gateway = await startGateway(app, { lanes: 2 });
    const clients = await Promise.all(Array.from({ length: 10 }, () => connect(gateway.port)));
    for (const client of clients) client.send('a');
    for (const client of clients) expect(await client.next()).toMatch(/^a 1 /);
    setVersion('export const version = 2;');
    await gateway.reload();
    for (const client of clients) client.send('b');
    const replies = await Promise.all(clients.map(client => client.next()));
    for (const reply of replies) expect(reply).toMatch(/^b 2 \d$/);
    expect(replies.filter(reply => String(reply).endsWith(' 1'))).toHaveLength(2);
    expect(gateway.stats.connections).toMatchObject({ open: 10, opened: 10, closedByCause: {} });
    expect(gateway.stats.messages.lost).toBe(0);
  });

  test('calls `resume` for each connection, which keeps its topics', async () => {
    const { app, setVersion } = writeApp();
    const gateway = await startGateway(app, { lanes: 1 });
    const client = await connect(gateway.port);
    client.send('subscribe');
    client.send('a');
    await client.next();
    setVersion('export const version = 2;');
    await gateway.reload();
    expect(await client.next()).toBe('resumed 2');
    await gateway.publish('resumed', 'still subscribed');
    expect(await client.next()).toBe('still subscribed');
  });

  test('waits for the hooks that run; what comes meanwhile is for the new code, after their replies', async () => {
    const { app, setVersion } = writeApp();
    const gateway = await startGateway(app, { lanes: 1, drainTimeoutMs: 5_000 });
    const client = await connect(gateway.port);
    client.send('slow');
    for (let i = 0; i < 100; i++) client.send(`m${i}`);
    await until('all have arrived', () => gateway.stats.messages.in === 101);
    setVersion('export const version = 2;');
    const reloaded = gateway.reload();
    expect(await client.next()).toMatch(/^slow 1 /);
    for (let i = 0; i < 100; i++) expect(await client.next()).toBe(`m${i} 2 ${i + 1}`);
    await reloaded;
  });

  test('does not let others wait for a hook that takes long, and that connection goes on after it, in order', async () => {
    const { app, setVersion } = writeApp();
    const gateway = await startGateway(app, { lanes: 1, drainTimeoutMs: 10_000 });
    const slow = await connect(gateway.port);
    const other = await connect(gateway.port);
    slow.send('subscribe');
    slow.send('slow');
    for (let i = 0; i < 100; i++) slow.send(`m${i}`);
    await until('all have arrived', () => gateway.stats.messages.in === 102);
    setVersion('export const version = 2;');
    await gateway.reload();
    for (let i = 100; i < 200; i++) slow.send(`m${i}`);
    other.send('quick');
    expect(await other.next()).toBe('quick 2 1');
    expect(slow.inbox).toEqual([]);
    setVersion('export const version = 3;');
    await gateway.reload();
    expect(await slow.next()).toMatch(/^slow 1 /);
    expect(await slow.next()).toBe('resumed 3');
    for (let i = 0; i < 200; i++) expect(await slow.next()).toMatch(new RegExp(`^m${i} 3 `));
    await gateway.publish('resumed', 'still subscribed');
    expect(await slow.next()).toBe('still subscribed');
    expect(gateway.stats.messages.lost).toBe(0);
    for (const { waitingBytes } of gateway.stats.lanes) expect(waitingBytes).toBe(0);
  });

  test('runs the close hook of a connection that closed while its hook took long', async () => {
    const gateway = await startGateway('die.mjs', { lanes: 1, drainTimeoutMs: 10_000 });
    const watcher = await connect(gateway.port);
    watcher.send('subscribe t');
    const slow = await connect(gateway.port);
    slow.send('wait 500');
    watcher.send('hello');
    await watcher.next();
    await gateway.reload();
    slow.socket.close(4000);
    expect(await watcher.next()).toBe('closed 4000');
    await until('its slot is free', () => gateway.stats.connections.open === 1);
  });

  test('cuts off hooks that take too long, and tells so', async () => {
    const { app } = writeApp();
    const gateway = await startGateway(app, { lanes: 1, drainTimeoutMs: 100 });
    const client = await connect(gateway.port);
    client.send('very slow');
    client.send('next');
    await until('both have arrived', () => gateway.stats.messages.in === 2);
    await gateway.reload();
    expect(await client.next()).toMatch(/^next 1 /);
    expect(gateway.stats.messages.lost).toBe(1);
  });

  test('lets requests that are under way finish on the old code, streamed ones too', async () => {
    const { app, setVersion } = writeApp();
    const gateway = await startGateway(app, { lanes: 1, drainTimeoutMs: 5000 });
    const url = `http://127.0.0.1:${gateway.port}`;
    const slow = fetch(`${url}/slow`);
    const stream = await fetch(`${url}/stream`);
    await until('both have begun', () => gateway.stats.requests.waiting === 2);
    setVersion('export const version = 2;');
    await gateway.reload();
    expect(await (await fetch(url)).text()).toBe('version 2');
    expect(await (await slow).text()).toBe('version 1');
    expect((await stream.text()).trim().split('\n')).toEqual([0, 1, 2, 3, 4].map(i => `part ${i} 1`));
  });

  test.each([
    ['does not parse', 'export const version = ;'],
    ['throws when it is imported', 'throw new Error("no");'],
    ['lacks what it should export', 'export const other = 1;'],
    ['hangs when it is imported', 'for (;;);'],
  ])('to code that %s is refused with its error, and the old code goes on', async (_, code) => {
    const { app, setVersion } = writeApp();
    const gateway = await startGateway(app, { lanes: 2, hangTimeoutMs: 1000 });
    const clients = await Promise.all([1, 2].map(() => connect(gateway.port)));
    for (const client of clients) client.send('a');
    for (const client of clients) expect(await client.next()).toBe('a 1 1');
    setVersion(code);
    await expect(gateway.reload()).rejects.toMatchObject({ code: 'ERR_THREADGATE_APP' });
    for (const client of clients) client.send('b');
    for (const client of clients) expect(await client.next()).toBe('b 1 2');
    setVersion('export const version = 3;');
    await gateway.reload();
    for (const client of clients) client.send('c');
    for (const client of clients) expect(await client.next()).toBe('c 3 1');
  });

  test('may be asked for again and again, and at once', async () => {
    const { app, setVersion } = writeApp();
    const gateway = await startGateway(app, { lanes: 2 });
    const client = await connect(gateway.port);
    setVersion('export const version = 2;');
    const begun = once(process, 'worker'); // the first lane with new code
    const first = gateway.reload();
    await begun;
    setVersion('export const version = 3;');
    await Promise.all([first, gateway.reload(), gateway.reload()]);
    client.send('a');
    expect(await client.next()).toBe('a 3 1');
  });

  test('is refused once the gateway closes', async () => {
    const { app } = writeApp();
    const gateway = await startGateway(app);
    await gateway.close();
    await expect(gateway.reload()).rejects.toMatchObject({ code: 'ERR_THREADGATE_CLOSED' });
  });

  test('does not keep close() from ending everything', async () => {
    const { app } = writeApp();
    const gateway = await startGateway(app, { lanes: 2 });
    const reloaded = gateway.reload().catch(() => 'refused');
    await gateway.close();
    await reloaded;
  });
});
