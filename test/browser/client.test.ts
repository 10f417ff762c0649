/** The client as it is built, in a page: no bundler, no build step, no Node. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { startServer } from '../client/server.js';
import { ROOT, startCommand } from '../support/child.js';
import { appFile, startGateway } from '../support/gateway.js';
import { freePort } from '../support/ports.js';
import { launchChromium, runsBrowserTests } from './chromium.js';

type Module = typeof import('../../dist/src/client/index.js');

/** What the page's script has left for the tests. */
declare const threadgate: Module;

describe.skipIf(!runsBrowserTests)('the client in Chromium', { timeout: 60_000 }, () => {
  let browser: Browser;

  beforeAll(async () => {
    browser = await launchChromium();
  }, 60_000);

  afterAll(() => browser?.close());

  /** A page that has loaded the module from a server of files. */
  async function openPage(): Promise<Page> {
    const files = createServer(({ url = '/' }, response) => {
      const file = /^\/client\/([a-z-]+\.js)$/.exec(url)?.[1];
      if (file === undefined) {
        response.setHeader('Content-Type', 'text/html');
        response.end(
          '<script type="module">globalThis.threadgate = await import("/client/index.js")</script>',
        );
        return;
      }
      response.setHeader('Content-Type', 'text/javascript');
      response.end(readFileSync(join(ROOT, 'dist/src/client', file)));
    }).listen(0, '127.0.0.1');
    await new Promise(resolve => files.once('listening', resolve));
    const context = await browser.newContext();
    onTestFinished(async () => {
      await context.close();
      files.close();
    });
    const page = await context.newPage();
    page.on('pageerror', error => expect.fail(String(error)));
    await page.goto(`http://127.0.0.1:${(files.address() as AddressInfo).port}/`);
    await page.waitForFunction(() => 'threadgate' in globalThis);
    return page;
  }

  test('speaks with a gateway, waits while it is away, and comes back', async () => {
    const page = await openPage();
    const port = await freePort();
    const url = `ws://127.0.0.1:${port}`;
    const first = await startGateway('echo.mjs', { port, lanes: 1 });
    const client = await page.evaluateHandle(async url => {
      const client = threadgate.createClient(url, { maxDelay: 200 });
      const states: string[] = [];
      const messages: unknown[] = [];
      client.on('status', ({ state }) => states.push(state));
      client.on('message', data => messages.push(typeof data === 'string' ? data : data.byteLength));
      await client.ready;
      return { client, states, messages };
    }, url);
    const outcome = await client.evaluate(({ client }) => client.send('hello', { within: 1000 }));
    expect(outcome).toEqual({ outcome: 'written', waited: 0 });
    await client.evaluate(({ client }) => client.send(new Uint8Array(5)));
    await first.close();
    const lost = await client.evaluate(({ client }) => client.send('lost').catch(error => error.code));
    expect(lost).toBe('ERR_THREADGATE_CLIENT_EXPIRED');
    const kept = client.evaluate(({ client }) => client.send('kept', { within: 30_000 }));
    await startGateway('echo.mjs', { port, lanes: 1 });
    expect(await kept).toMatchObject({ outcome: 'written' });
    const messages = () => client.evaluate(({ messages }) => messages);
    await expect.poll(messages, { timeout: 20_000 }).toEqual(['hello', 5, 'kept']);
    const { states, pings } = await client.evaluate(async ({ client, states }) => {
      const pings = client.status.state === 'open' && client.status.pings;
      await client.close();
      return { states, pings };
    });
    expect(pings).toBe(false);
    expect(states.slice(0, 3)).toEqual(['connecting', 'open', 'waiting']);
    expect(states.at(-1)).toBe('closed');
  });

  test('has guaranteed messages both ways, over a gateway that is killed and one that is not there yet', async () => {
    const page = await openPage();
    const port = await freePort();
    const sessionDir = mkdtempSync(join(tmpdir(), 'threadgate-'));
    onTestFinished(() => rmSync(sessionDir, { recursive: true }));
    const app = appFile('guaranteed.mjs');
    const start = async () => {
      const args = [app, '--port', String(port), '--lanes', '1', '--session-dir', sessionDir];
      const command = startCommand(args);
      await command.port();
      return command;
    };
    const client = await page.evaluateHandle(async url => {
      const options = { guaranteed: true, maxDelay: 200, pingInterval: 50, pingTimeout: 2000 } as const;
      const client = threadgate.createClient(url, options);
      const messages: unknown[] = [];
      client.on('message', data => messages.push(data));
      client.on('gap', () => messages.push('gap'));
      return { client, messages };
    }, `ws://127.0.0.1:${port}/async`);
    const send = (text: string) =>
      client.evaluate(({ client }, text) => client.send(text, { guaranteed: true }), text);
    const early = send('1');
    const first = await start();
    expect(await early).toMatchObject({ outcome: 'acknowledged', number: 1 });
    expect(await client.evaluate(({ client }) => client.status)).toMatchObject({
      session: expect.stringMatching(/^[0-9a-f]{32}$/),
      pings: true,
    });
    first.kill('SIGKILL');
    await first.ended;
    const again = send('2');
    await start();
    expect(await again).toMatchObject({ outcome: 'acknowledged', number: 2 });
    const messages = () => client.evaluate(({ messages }) => messages);
    // The process that was killed may have begun with it: the next one cannot know.
    const answers = ['began 1', 'ended 1', 'began 2 again', 'ended 2 again'];
    await expect.poll(messages, { timeout: 20_000 }).toEqual(answers);
    await client.evaluate(({ client }) => client.close());
  });

  test('prefers a session, and takes a plain server as it is', async () => {
    const page = await openPage();
    const server = await startServer();
    const status = await page.evaluate(async url => {
      const client = threadgate.createClient(url, { guaranteed: 'preferred' });
      await client.ready;
      return client.status;
    }, server.url);
    expect(status).toMatchObject({ state: 'open', protocol: '', session: undefined, pings: false });
  });

  test('comes back as soon as the browser says that it is online', async () => {
    const page = await openPage();
    const port = await freePort();
    const client = await page.evaluateHandle(async url => {
      const client = threadgate.createClient(url, { minDelay: 60_000, maxDelay: 60_000 });
      const delays: number[] = [];
      client.on('status', status => status.state === 'waiting' && delays.push(status.delay));
      return { client, delays };
    }, `ws://127.0.0.1:${port}`);
    await page.context().setOffline(true);
    await expect.poll(() => client.evaluate(({ client }) => client.status.state)).toBe('waiting');
    await startServer({}, port);
    await page.context().setOffline(false);
    await client.evaluate(({ client }) => client.ready);
  });
});
