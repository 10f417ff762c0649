// @ts-check
/**
 * Cameras: pictures that are fetched from elsewhere every few seconds, beside serving them to everybody.
 *
 * One lane fetches: the one that has the mutex. The others wait for it, and when that lane dies the next one goes on. What
 * was fetched stands in a map that all lanes share, so every lane serves it, and no lane's death loses it.
 *
 * From the client: anything, once it is subscribed; it is answered with the list
 * To the client:   { type: 'subscribed' } · { type: 'list', cameras } · { type: 'camera', camera }
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { deserialize, serialize } from 'node:v8';
import { context, mutex, semaphore, sharedMap, waitGroup } from 'threadgate/sync';
import { demoCameras, serveDemo } from './demo.js';

/** @typedef {import('threadgate').Gateway} Gateway */
/** @typedef {import('threadgate/sync').Context} Context */
/** @typedef {{ name: string, url: string }} Source */
/** @typedef {{ type: string, bytes: Uint8Array<ArrayBuffer>, etag: string, validators: Record<string, string> }} Picture */
/**
 * What is known of a camera. `version` grows with every change, `changed` is the time of the picture, `trouble` says why
 * there was none the last time.
 * @typedef {{ version: number, changed?: number, picture?: Picture, trouble?: string }} Camera
 */

const EVERY_MS = Number(process.env.CAMERAS_EVERY_MS ?? 3000);
const TIMEOUT_MS = Number(process.env.CAMERAS_TIMEOUT_MS ?? 5000); // for one request, its body included
const AT_ONCE = 4;
const LARGEST = 2 ** 20; // bytes of a picture
const TOPIC = 'cameras';

/** CAMERAS names a JSON file: [{ "name": "Harbour", "url": "https://…" }, …] @type {Source[]} */
const sources =
  process.env.CAMERAS === undefined ? demoCameras : JSON.parse(readFileSync(process.env.CAMERAS, 'utf8'));
if (sources !== demoCameras) for (const { url } of sources) new URL(url); // throws now rather than later
const paths = new Map(sources.map(({ name }) => [`/pictures/${encodeURIComponent(name)}`, name]));

/** By name. Each entry has its own lock; readers wait for none. The size stays, though the list may change by a reload. */
const cameras = sharedMap('cameras', { bytes: 32 * 2 ** 20, entries: 1024 });

// With names, so that what a lane held of them is given back when it dies.
const fetching = mutex('cameras: who fetches');
const requests = semaphore('cameras: requests', AT_ONCE);
const round = waitGroup('cameras: round');

/** @param {Uint8Array | undefined} bytes @returns {Camera} */
const unpack = bytes => (bytes === undefined ? { version: 0 } : deserialize(bytes));

// ---- Fetching: on one lane --------------------------------------------------------------------------------------

let begun = false;

/** An app meets its gateway in its hooks, so a lane is ready to fetch from its first one on. @param {Gateway} gateway */
function begin(gateway) {
  if (begun) return;
  begun = true;
  const ending = context(); // ends with the gateway, and with it all that is under way
  gateway.signal.addEventListener('abort', () => ending.cancel());
  fetching
    .runExclusiveAsync(() => keepFetching(gateway, ending), { signal: ending.signal })
    .catch(error => {
      if (!ending.isDone) throw error; // a bug: it ends the lane, and another one goes on
    });
}

/** @param {Gateway} gateway @param {Context} ending */
async function keepFetching(gateway, ending) {
  gateway.log.info('this lane fetches the pictures', { cameras: sources.length, every: EVERY_MS });
  const base = sources === demoCameras ? await serveDemo(ending.signal) : undefined;
  for (;;) {
    const pause = delay(EVERY_MS, undefined, { signal: ending.signal });
    for (const { name, url } of sources) {
      round.add();
      void refresh(gateway, ending, name, new URL(url, base)).finally(() => round.done());
    }
    await Promise.all([pause, round.waitAsync({ signal: ending.signal })]);
  }
}

/** Fetches a picture, keeps it and tells of it. @param {Gateway} gateway @param {Context} ending @param {string} name @param {URL} url */
async function refresh(gateway, ending, name, url) {
  try {
    const permit = await requests.acquireAsync(1, { signal: ending.signal });
    const request = context({ parent: ending, timeout: TIMEOUT_MS });
    let isNews = false;
    try {
      // Under the entry's lock: nobody else fetches this picture meanwhile, and all go on reading the old one.
      await cameras.updateAsync(name, async old => {
        const before = unpack(old);
        const after = await look(url, before, request);
        isNews = after.version !== before.version;
        return serialize(after);
      });
    } finally {
      request.cancel();
      permit.unlock();
    }
    if (isNews) gateway.publish(TOPIC, { type: 'camera', camera: describe(name) });
  } catch (error) {
    if (!ending.isDone) gateway.log.error('a picture could not be kept', { name, error: String(error) });
  }
}

/** What is known after one more look. @param {URL} url @param {Camera} before @param {Context} request @returns {Promise<Camera>} */
async function look(url, before, request) {
  const { version, changed, trouble: lastTrouble } = before;
  try {
    const picture = await fetchPicture(url, before.picture, request.signal);
    if (picture.etag !== before.picture?.etag) return { version: version + 1, changed: Date.now(), picture };
    return { version: lastTrouble === undefined ? version : version + 1, changed, picture };
  } catch (error) {
    if (request.parent?.isDone) return before; // the gateway ends: nobody's fault
    const { message, cause } = /** @type {Error & { cause?: { code?: string } }} */ (error);
    const trouble = request.isDone ? `no answer within ${TIMEOUT_MS} ms` : (cause?.code ?? message);
    return { ...before, version: trouble === lastTrouble ? version : version + 1, trouble };
  }
}

/**
 * Asks for what is newer than the picture there is.
 * @param {URL} url @param {Picture | undefined} old @param {AbortSignal} signal @returns {Promise<Picture>}
 */
async function fetchPicture(url, old, signal) {
  const response = await fetch(url, { headers: old?.validators ?? {}, signal });
  if (response.status === 304 && old !== undefined) return old;
  const type = response.headers.get('content-type') ?? 'nothing';
  if (!response.ok || !type.startsWith('image/')) {
    await response.body?.cancel();
    throw new Error(response.ok ? `no picture, but ${type}` : `HTTP ${response.status}`);
  }
  const bytes = await readAll(response);
  /** @type {Record<string, string>} */
  const validators = {};
  const [etag, lastModified] = ['etag', 'last-modified'].map(name => response.headers.get(name));
  if (etag) validators['if-none-match'] = etag;
  if (lastModified) validators['if-modified-since'] = lastModified;
  const hash = createHash('sha256').update(type).update(bytes).digest('base64url');
  return { type, bytes, validators, etag: `"${hash.slice(0, 16)}"` };
}

/** @param {Response} response */
async function readAll({ body }) {
  const chunks = [];
  let size = 0;
  for await (const chunk of body ?? []) {
    size += chunk.length;
    if (size > LARGEST) throw new Error(`larger than ${LARGEST} bytes`);
    chunks.push(chunk);
  }
  return Uint8Array.from(Buffer.concat(chunks));
}

// ---- Serving: on every lane -------------------------------------------------------------------------------------

/** What clients are told of a camera. @param {string} name */
function describe(name) {
  const { version, changed, trouble, picture } = unpack(cameras.get(name));
  return { name, version, changed, trouble, etag: picture?.etag };
}

/** @param {Request} request @param {string} name */
function servePicture(request, name) {
  const { picture } = unpack(cameras.get(name));
  if (picture === undefined) return new Response('No such picture', { status: 404 });
  const { etag, type, bytes } = picture;
  const known = (request.headers.get('if-none-match') ?? '')
    .split(',')
    .map(tag => tag.trim().replace('W/', ''));
  const headers = {
    etag,
    'cache-control': 'no-cache',
    'content-type': type,
    // It comes from elsewhere: it is shown, and may do nothing.
    'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    'x-content-type-options': 'nosniff',
  };
  if (known.includes(etag) || known.includes('*')) return new Response(null, { status: 304, headers });
  return new Response(request.method === 'HEAD' ? null : bytes, { headers });
}

/** What is served besides: the page, and the modules of threadgate/client, which it imports as they are. */
const files = new Map([['/', new URL('index.html', import.meta.url)]]);
const modules = new URL('.', import.meta.resolve('threadgate/client'));
for (const name of readdirSync(modules)) {
  if (name.endsWith('.js')) files.set(`/client/${name}`, new URL(name, modules));
}

/** @type {import('threadgate').App} */
export default {
  websocket: {
    open(peer) {
      begin(peer.gateway);
      peer.subscribe(TOPIC);
      // Once the client has this, its subscription is in force: so nothing falls between the list and the changes.
      peer.send({ type: 'subscribed' });
    },
    resume: peer => begin(peer.gateway),
    message(peer) {
      peer.send({ type: 'list', cameras: sources.map(({ name }) => describe(name)) });
    },
  },

  async fetch(request, gateway) {
    begin(gateway);
    const { pathname } = new URL(request.url);
    const name = paths.get(pathname);
    if (name !== undefined) return servePicture(request, name);
    const file = files.get(pathname);
    if (file === undefined) return new Response('Not found', { status: 404 });
    const type = pathname === '/' ? 'text/html; charset=utf-8' : 'text/javascript; charset=utf-8';
    return new Response(await readFile(file), {
      headers: { 'content-type': type, 'cache-control': 'no-cache' },
    });
  },
};
