/** The chat example as people use it: the real server, two lanes, and Chromium. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { launchChromium, runsBrowserTests } from '../browser/chromium.js';
import { picture } from './window.js';

const PATIENCE = 20_000; // ms for the page to show something: four of its longest waits between two connections
const ROOT = fileURLToPath(new URL('../..', import.meta.url));

type Server = ChildProcessByStdio<null, Readable, Readable>;

/** A port that was free a moment ago: a server that is to come back on its port cannot ask for any. */
async function freePort(): Promise<number> {
  const probe = createServer().listen(0);
  await once(probe, 'listening');
  const address = probe.address();
  if (address === null || typeof address === 'string') throw new Error('the probe has no port');
  probe.close();
  await once(probe, 'close');
  return address.port;
}

/** Resolves when the server has said that it listens; one that does not say so in time is ended. */
async function startServer(port: number): Promise<Server> {
  const args = ['dist/src/cli.js', 'examples/chat/app.js', '--admin-port', '0', '--lanes', '2'];
  const server = spawn(process.execPath, [...args, '--port', String(port)], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  const listening = new Promise<void>((resolve, reject) => {
    const hear = (chunk: Buffer) => {
      said += chunk;
      if (new RegExp(`:${port}\\b`).test(said)) resolve();
    };
    server.stdout.on('data', hear);
    server.stderr.on('data', hear);
    server.once('error', reject);
    server.once('exit', code =>
      reject(new Error(`the server ended with ${code} before it listened:\n${said}`)),
    );
  });
  const deadline = setTimeout(() => server.kill('SIGKILL'), PATIENCE);
  await listening.finally(() => clearTimeout(deadline));
  return server;
}

async function stopServer(server: Server | undefined): Promise<void> {
  if (server === undefined || server.exitCode !== null || server.signalCode !== null) return;
  const ended = once(server, 'exit');
  server.kill('SIGTERM');
  await ended;
}

/** The page as one person sees it. */
class Window {
  readonly page: Page;
  readonly #context: BrowserContext;
  readonly troubles: string[] = [];

  constructor(context: BrowserContext, page: Page) {
    this.#context = context;
    this.page = page;
    page.on('pageerror', error => this.troubles.push(String(error)));
    page.on('dialog', dialog => {
      this.troubles.push(`a dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
  }

  async join(name: string): Promise<void> {
    await this.page.getByLabel('Your name', { exact: true }).fill(name);
    await this.page.getByRole('button', { name: 'Join' }).click();
    await this.sees('Connected');
  }

  async say(text: string): Promise<void> {
    await this.page.getByLabel('Message', { exact: true }).fill(text);
    await this.page.keyboard.press('Enter');
  }

  /** The text of the connection light. */
  async sees(light: 'Connected' | 'Reconnecting…' | 'Not connected'): Promise<void> {
    await expect.poll(() => this.page.getByRole('status').textContent(), { timeout: PATIENCE }).toBe(light);
  }

  /** Waits until exactly these people are here, in any order. */
  async seesPeople(...names: string[]): Promise<void> {
    const list = this.page.getByRole('list', { name: 'Who is here' });
    const people = async () => (await list.locator('.name').allTextContents()).sort();
    await expect.poll(people, { timeout: PATIENCE }).toEqual([...names].sort());
    expect(await this.page.locator('#count').textContent()).toBe(String(names.length));
  }

  /** Waits until exactly these lines are shown, in this order: [name, text]. */
  async seesLines(...lines: [name: string, text: string][]): Promise<void> {
    await expect.poll(() => this.lines(), { timeout: PATIENCE }).toEqual(lines);
  }

  async lines(): Promise<[string, string][]> {
    const shown = this.page.getByRole('log').locator('.line');
    const names = await shown.locator('.name').allTextContents();
    const texts = await shown.locator('.text').allTextContents();
    return names.map((name, at) => [name, texts[at] ?? '']);
  }

  async seesNote(text: string): Promise<void> {
    await this.page
      .getByRole('log')
      .locator('.note', { hasText: text })
      .last()
      .waitFor({ timeout: PATIENCE });
  }

  async leave(): Promise<void> {
    await this.#context.close();
  }
}

describe.skipIf(!runsBrowserTests)('the chat page', { timeout: 90_000 }, () => {
  let browser: Browser;
  let server: Server | undefined;
  let port: number;
  let windows: Window[] = [];

  beforeAll(async () => {
    browser = await launchChromium();
    port = await freePort();
    server = await startServer(port);
  }, 60_000);

  afterEach(async () => {
    const troubles = windows.flatMap(window => window.troubles);
    await Promise.all(windows.map(window => window.leave()));
    windows = [];
    expect(troubles).toEqual([]);
  });

  afterAll(async () => {
    await browser?.close();
    await stopServer(server);
  }, 60_000);

  /** A window of a person's own: contexts share no storage. */
  async function open(hash: string): Promise<Window> {
    const context = await browser.newContext();
    const window = new Window(context, await context.newPage());
    windows.push(window);
    await window.page.goto(`http://localhost:${port}/${hash}`);
    return window;
  }

  async function enter(room: string, name: string): Promise<Window> {
    const window = await open(`#${room}`);
    await window.join(name);
    return window;
  }

  test('asks for a name and opens the lobby', async () => {
    const ada = await open('');
    await ada.sees('Not connected');
    await ada.join('Ada');
    await ada.seesPeople('Ada');
    expect(await ada.page.getByRole('heading', { level: 1 }).textContent()).toBe('# lobby');
    expect(ada.page.url()).toBe(`http://localhost:${port}/#lobby`);
  });

  test('lets two people talk and shows each who is here', async () => {
    const ada = await enter('talk', 'Ada');
    const ben = await enter('talk', 'Ben');
    await ada.seesNote('Ben joined');
    await ada.seesPeople('Ada', 'Ben');
    await ben.seesPeople('Ada', 'Ben');

    await ada.say('Hello Ben');
    await ben.seesLines(['Ada', 'Hello Ben']);
    await ben.say('Hello Ada');
    for (const window of [ada, ben]) await window.seesLines(['Ada', 'Hello Ben'], ['Ben', 'Hello Ada']);
    expect(await ada.page.locator('#log .mine .text').allTextContents()).toEqual(['Hello Ben']);
    expect(await ben.page.locator('#log .mine .text').allTextContents()).toEqual(['Hello Ada']);
  });

  test.runIf(process.env.SCREENSHOTS)('has its picture taken', async () => {
    const ada = await enter('garden', 'Ada');
    const ben = await enter('garden', 'Ben');
    const cleo = await enter('garden', 'Cleo');
    await ada.page.setViewportSize({ width: 1000, height: 640 });
    const said: [Window, string, string][] = [
      [ben, 'Ben', 'The first tomatoes are ripe!'],
      [cleo, 'Cleo', 'Already? Mine are as green as grass.'],
      [ada, 'Ada', 'South wall, and I talk to them every morning.'],
      [ben, 'Ben', 'Somebody took the watering can, though. Again.'],
      [cleo, 'Cleo', 'Not me. I have my own, it is the blue one.'],
      [ada, 'Ada', 'It stands behind the shed. I borrowed it for the beans, sorry.'],
    ];
    for (const [i, [window, , text]] of said.entries()) {
      await window.say(text);
      await ada.seesLines(...said.slice(0, i + 1).map(([, name, text]): [string, string] => [name, text]));
    }
    await ada.seesPeople('Ada', 'Ben', 'Cleo');
    await picture(ada.page, 'chat');
  });

  test('says who left', async () => {
    const ada = await enter('leave', 'Ada');
    const ben = await enter('leave', 'Ben');
    await ada.seesPeople('Ada', 'Ben');
    await ben.leave();
    await ada.seesNote('Ben left');
    await ada.seesPeople('Ada');
  });

  test('shows the last 50 lines to a newcomer, whichever lane they were said on', async () => {
    const ada = await enter('past', 'Ada');
    await enter('past', 'Ben'); // the least loaded lane is the next one's: so Cid is on Ada's, and Dot on Ben's
    const said: [string, string][] = [];
    for (const name of ['Cid', 'Dot']) {
      const socket = new WebSocket(`ws://localhost:${port}/rooms/past?name=${name}`);
      onTestFinished(() => socket.terminate());
      await once(socket, 'open');
      for (let line = 0; line < 27; line++) {
        socket.send(JSON.stringify({ type: 'line', text: `${name} ${line}` }));
        said.push([name, `${name} ${line}`]);
      }
      await ada.seesLines(...said); // before Dot begins
    }
    // Two newcomers, as there are two lanes.
    for (const name of ['Eve', 'Flo']) await (await enter('past', name)).seesLines(...said.slice(-50));
  });

  test('keeps rooms apart, and goes from one to another', async () => {
    const ada = await enter('one', 'Ada');
    const ben = await enter('two', 'Ben');
    await ada.say('only in one');
    await ben.say('only in two');
    await ada.seesLines(['Ada', 'only in one']);
    await ben.seesLines(['Ben', 'only in two']);
    await ben.seesPeople('Ben');

    await ben.page.getByLabel('Room to go to').fill('One');
    await ben.page.getByRole('button', { name: 'Go' }).click();
    await ada.seesNote('Ben joined');
    await ben.seesLines(['Ada', 'only in one']);
    await ben.seesPeople('Ada', 'Ben');
    await ben.page.getByRole('link', { name: 'two' }).click();
    await ada.seesNote('Ben left');
    await ben.seesLines(['Ben', 'only in two']);
  });

  test('remembers the name for this window and suggests it to the next', async () => {
    const ada = await enter('memory', 'Ada');
    await ada.page.reload();
    await ada.sees('Connected');
    await ada.seesPeople('Ada');
    const second = await ada.page.context().newPage();
    await second.goto(`http://localhost:${port}/#memory`);
    expect(await second.getByLabel('Your name', { exact: true }).inputValue()).toBe('Ada');
  });

  test('shows markup as the text that it is', async () => {
    const ada = await enter('markup', '<b>Ada</b>');
    const ben = await enter('markup', 'Ben');
    const text = '<img src=x onerror="alert(1)"><script>alert(2)</script>';
    await ada.say(text);
    await ben.seesLines(['<b>Ada</b>', text]);
    await ben.seesPeople('<b>Ada</b>', 'Ben');
    expect(await ben.page.locator('main img, main script, #people b').count()).toBe(0);
  });

  test('survives the restart of the server, and sends what was written meanwhile', async () => {
    const ada = await enter('restart', 'Ada');
    const ben = await enter('restart', 'Ben');
    await ada.say('before');
    await ben.seesLines(['Ada', 'before']);

    await stopServer(server);
    expect(server?.exitCode).toBe(0);
    await ada.sees('Reconnecting…');
    await ben.sees('Reconnecting…');
    await ada.say('meanwhile');
    await ada.page.getByText('Waiting to be sent').waitFor();

    server = await startServer(port);
    await ada.sees('Connected');
    await ben.sees('Connected');
    await ada.seesPeople('Ada', 'Ben');
    await ben.seesPeople('Ada', 'Ben');
    await ben.say('after');
    for (const window of [ada, ben]) {
      await expect.poll(async () => (await window.lines()).length, { timeout: PATIENCE }).toBe(3);
      const lines = await window.lines();
      expect(lines[0]).toEqual(['Ada', 'before']);
      expect(lines).toContainEqual(['Ada', 'meanwhile']);
      expect(lines).toContainEqual(['Ben', 'after']);
    }
    expect(await ada.page.getByText('Waiting to be sent').count()).toBe(0);
  });
});
