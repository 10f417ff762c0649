/** The example `cameras`: sources that are slow, fail and change, lanes that die, and the end while requests are under way. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { runsBrowserTests } from '../browser/chromium.js';
import { type Child, ROOT, startCommand, startNode } from '../support/child.js';
import { type Client, connect } from '../support/client.js';
import { temporaryDirectory } from '../support/files.js';
import { until } from '../support/until.js';
import { type Sources, startSources } from './sources.js';
import { eventually, picture, sharedChromium } from './window.js';

const APP = join(ROOT, 'examples/cameras/app.js');
const HOST = join(ROOT, 'test/examples/host.js');
const FAST = { CAMERAS_EVERY_MS: '50', CAMERAS_TIMEOUT_MS: '60000' };

interface Camera {
  name: string;
  version: number;
  changed?: number;
  etag?: string;
  trouble?: string;
}

/** The environment of an app that has these sources: /a is camera a. */
function environment(sources: Sources, paths: string[], more: Record<string, string> = FAST) {
  const file = join(temporaryDirectory(), 'cameras.json');
  writeFileSync(file, JSON.stringify(paths.map(path => ({ name: path.slice(1), url: sources.url(path) }))));
  return { ...more, CAMERAS: file };
}

const FETCHES = 'this lane fetches';

/** A gateway of two lanes, in a process of its own. */
async function start(env: Record<string, string>): Promise<{ child: Child; port: number }> {
  const child = startNode([HOST, APP, FETCHES], env);
  return { child, port: await child.port() };
}

/** The lanes that fetched so far. */
const fetchers = ({ log }: Child) => log.filter(({ msg }) => msg.startsWith(FETCHES)).map(({ lane }) => lane);

/** A client that has the list. */
async function subscribe(port: number): Promise<{ client: Client; list: Camera[] }> {
  const client = await connect(port);
  expect(await client.nextJson()).toEqual({ type: 'subscribed' });
  client.send('list');
  for (;;) {
    const event = await client.nextJson<{ type: string; cameras: Camera[] }>();
    if (event.type === 'list') return { client, list: event.cameras };
  }
}

/** The next change of a camera that looks so. */
async function change(client: Client, name: string, looks: (camera: Camera) => boolean): Promise<Camera> {
  for (;;) {
    const { type, camera } = await client.nextJson<{ type: string; camera: Camera }>();
    if (type === 'camera' && camera.name === name && looks(camera)) return camera;
  }
}

/** A client, and a camera as it is once it has a picture. */
async function subscribeTo(port: number, name: string): Promise<{ client: Client; first: Camera }> {
  const { client, list } = await subscribe(port);
  const hasPicture = ({ etag }: Camera): boolean => etag !== undefined;
  const known = list.find(camera => camera.name === name && hasPicture(camera));
  return { client, first: known ?? (await change(client, name, hasPicture)) };
}

const get = (port: number, path: string, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(`http://127.0.0.1:${port}/pictures${path}`, { headers });

describe('pictures', () => {
  test('are fetched, told of when they change, and served with an ETag by every lane', async () => {
    const sources = await startSources();
    sources.shows('/a', 'first');
    const { port } = await start(environment(sources, ['/a']));
    const { client, first } = await subscribeTo(port, 'a');
    for (const lane of [0, 1, 2, 3]) {
      const response = await get(port, '/a');
      expect(response.status, `request ${lane}`).toBe(200);
      expect(response.headers.get('etag')).toBe(first.etag);
      expect(response.headers.get('content-type')).toBe('image/png');
      expect(await response.text()).toBe('first');
    }
    const etag = first.etag ?? '';
    expect((await get(port, '/a', { 'if-none-match': etag })).status).toBe(304);
    expect((await get(port, '/a', { 'if-none-match': `W/${etag}, "other"` })).status).toBe(304);
    expect((await get(port, '/a', { 'if-none-match': '"other"' })).status).toBe(200);
    expect((await get(port, '/b')).status).toBe(404);

    sources.shows('/a', 'second');
    const second = await change(client, 'a', ({ etag }) => etag !== first.etag);
    expect(second.version).toBeGreaterThan(first.version);
    expect(await (await get(port, '/a', { 'if-none-match': etag })).text()).toBe('second');
  });

  test('are not fetched again while the source says that they are the same', async () => {
    const sources = await startSources();
    const tagged = sources.showsSince('/tagged', 'T', 'etag', '"t"');
    const dated = sources.showsSince('/dated', 'D', 'last-modified', 'Sat, 21 Nov 2026 08:00:00 GMT');
    sources.shows('/plain', 'P');
    const { port } = await start(environment(sources, ['/tagged', '/dated', '/plain']));
    const { client } = await subscribe(port);
    await until(
      'all were asked for some times',
      () => sources.count('/plain') > 4 && tagged.length > 4 && dated.length > 4,
    );
    for (const statuses of [tagged, dated])
      expect(statuses).toEqual([200, ...statuses.slice(1).map(() => 304)]);
    // One change for each, also for the one that is sent anew every time.
    const { list } = await subscribe(port);
    expect(list.map(({ name, version, trouble }) => [name, version, trouble])).toEqual([
      ['tagged', 1, undefined],
      ['dated', 1, undefined],
      ['plain', 1, undefined],
    ]);
    expect(client.inbox.length).toBeLessThanOrEqual(3);
  });

  test('stay while their source is slow or fails, and the trouble is told', async () => {
    const sources = await startSources();
    for (const path of ['/slow', '/failing', '/text', '/large']) sources.shows(path, path);
    const paths = ['/slow', '/failing', '/text', '/large', '/missing'];
    const { port } = await start(environment(sources, paths, { ...FAST, CAMERAS_TIMEOUT_MS: '500' }));
    await until('all are there', async () => {
      const { list } = await subscribe(port);
      return list.slice(0, 4).every(({ etag }) => etag !== undefined) && list[4]?.trouble !== undefined;
    });
    const { client, list } = await subscribe(port);
    sources.hangs('/slow');
    sources.fails('/failing', 503);
    sources.shows('/text', '<p>Not found</p>', { 'content-type': 'text/html' });
    sources.shows('/large', new Uint8Array(2 ** 20 + 1));
    for (const [name, trouble] of [
      ['missing', 'HTTP 404'],
      ['failing', 'HTTP 503'],
      ['text', 'no picture, but text/html'],
      ['large', 'larger than 1048576 bytes'],
      ['slow', 'no answer within 500 ms'],
    ]) {
      await until(`${name}: ${trouble}`, async () =>
        (await subscribe(port)).list.some(camera => camera.name === name && camera.trouble === trouble),
      );
      const response = await get(port, `/${name}`);
      if (name === 'missing') expect(response.status).toBe(404);
      else expect(await response.text()).toBe(`/${name}`);
    }

    sources.shows('/slow', '/slow');
    const healed = await change(client, 'slow', ({ trouble }) => trouble === undefined);
    expect(healed.etag).toBe(list[0]?.etag);
  });

  test('are fetched by four requests at a time, by one lane', async () => {
    const sources = await startSources();
    const paths = Array.from({ length: 10 }, (_, i) => `/${i}`);
    for (const path of paths) sources.answersAfter(path, 20);
    const { child, port } = await start(environment(sources, paths));
    await Promise.all([1, 2, 3, 4].map(() => subscribe(port)));
    await until('all were asked for twice', () => paths.every(path => sources.count(path) > 1));
    expect(sources.most).toBe(4);
    expect(fetchers(child).length).toBe(1);
  });
});

test('when the lane that fetches dies in the middle of a round, another one goes on', async () => {
  const sources = await startSources();
  const [quick, ...stuck] = ['/quick', '/a', '/b', '/c', '/d', '/e'] as const;
  sources.shows(quick, 'quick');
  for (const path of stuck) sources.hangs(path);
  const env = environment(sources, [quick, ...stuck], {
    CAMERAS_EVERY_MS: '50',
    CAMERAS_TIMEOUT_MS: '60000',
  });
  const { child, port } = await start(env);
  const clients = [await subscribe(port), await subscribe(port)]; // one on each lane
  await until('all permits are taken', () => sources.count(quick) === 1 && sources.open === 4);
  await until('the quick one is there', async () => (await get(port, quick)).ok);

  child.kill('SIGUSR2'); // with four permits, four entries' locks and the mutex in the lane's hands
  await until('its requests are gone', () => sources.open === 0 || fetchers(child).length > 1);
  expect(await (await get(port, quick)).text()).toBe('quick');
  for (const path of stuck) sources.shows(path, path);
  sources.cutOff(); // what the next lane has asked already
  for (const { client } of clients) await change(client, 'e', ({ etag }) => etag !== undefined);
  for (const path of stuck) {
    await until(`${path} is there`, async () => (await (await get(port, path)).text()) === path);
  }
  const [first, second, ...more] = fetchers(child);
  expect(second).not.toBe(first);
  expect(more).toEqual([]);
  for (const { client } of clients) expect(client.socket.readyState).toBe(client.socket.OPEN);
});

test('goes on fetching when its code is replaced', async () => {
  const sources = await startSources();
  sources.shows('/a', 'before');
  const { child, port } = await start(environment(sources, ['/a']));
  const { client, first: before } = await subscribeTo(port, 'a');
  child.kill('SIGHUP');
  await child.logged('reloaded');
  sources.shows('/a', 'after');
  expect((await change(client, 'a', ({ etag }) => etag !== before.etag)).version).toBe(before.version + 1);
});

test('SIGINT ends requests that are under way, and the process in time', async () => {
  const sources = await startSources();
  const paths = ['/a', '/b', '/c', '/d', '/e', '/f'];
  for (const path of paths) sources.hangs(path);
  const env = environment(sources, paths, { CAMERAS_EVERY_MS: '50', CAMERAS_TIMEOUT_MS: '600000' });
  const child = startCommand([APP, '--lanes', '2'], env);
  const { client } = await subscribe(await child.port());
  await until('four requests are under way', () => sources.open === 4);
  const began = performance.now();
  child.kill('SIGINT');
  expect(await client.closed).toMatchObject({ code: 1001 });
  expect((await child.ended).code).toBe(0);
  expect(performance.now() - began).toBeLessThan(4000); // less than drainTimeoutMs: nothing had to be cut off
  expect(child.log.filter(({ level }) => level > 30)).toEqual([]);
  await until('the sources see them gone', async () => (await sources.connections()) === 0);
});

test('does not start with a list that cannot be', async () => {
  const file = join(temporaryDirectory(), 'cameras.json');
  writeFileSync(file, '[{ "name": "a", "url": "nowhere" }]');
  const { code, stderr } = await startCommand([APP, '--lanes', '1'], { CAMERAS: file }).ended;
  expect(code).toBe(1);
  expect(stderr).toContain('Invalid URL');
});

describe.skipIf(!runsBrowserTests)('the page', { timeout: 60_000 }, () => {
  const open = sharedChromium();

  test('shows the pictures, live, and says which sources are in trouble', async () => {
    const sources = await startSources();
    const svg = (colour: string) =>
      `<svg xmlns="http://www.w3.org/2000/svg" width="8" height="5"><path fill="${colour}" d="M0 0h8v5H0z"/></svg>`;
    const headers = { 'content-type': 'image/svg+xml' };
    sources.shows('/Garden', svg('green'), headers);
    sources.fails('/Street', 503);
    const { port } = await start(environment(sources, ['/Garden', '/Street']));
    const page = await open(`http://127.0.0.1:${port}/`);
    await eventually(() => page.getByRole('status').textContent()).toBe('Live');
    const garden = page.getByRole('img', { name: 'Garden' });
    await garden.waitFor();
    const first = await garden.getAttribute('src');
    expect(await page.locator('li', { hasText: 'Street' }).locator('.trouble').textContent()).toBe(
      'HTTP 503',
    );
    expect(await page.locator('li', { hasText: 'Street' }).locator('time').textContent()).toBe(
      'no picture yet',
    );

    sources.shows('/Garden', svg('gold'), headers);
    await eventually(() => garden.last().getAttribute('src')).not.toBe(first);
    await eventually(() => garden.count()).toBe(1);
    sources.shows('/Street', svg('grey'), headers);
    await page.getByRole('img', { name: 'Street' }).waitFor();
    expect(await page.locator('li', { hasText: 'Street' }).locator('.trouble').textContent()).toBe('');
  });

  test('shows the demo by itself', async () => {
    const port = await startCommand([APP, '--lanes', '2']).port();
    const page = await open(`http://127.0.0.1:${port}/`, { height: 780 });
    const images = page.getByRole('img');
    await eventually(() => images.count()).toBeGreaterThanOrEqual(3); // one fails now and then
    expect(await page.getByRole('heading', { level: 2 }).allTextContents()).toEqual([
      'Harbour',
      'Market street',
      'Summit',
      'Greenhouse',
    ]);
    await picture(page, 'cameras');
  });
});
