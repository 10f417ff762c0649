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
/** @typedef {{ type: string, etag: string, bytes: Uint8Array<ArrayBuffer> }} Picture */
/**
 * What is known of a camera. `version` grows with every change, `changed` is the time of its picture and `etag` the
 * picture's, `trouble` says why there was none the last time, `validators` are the headers to ask for a newer one.
 * @typedef {{ version: number, changed?: number, etag?: string, trouble?: string, validators?: Record<string, string> }} Camera
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

// By name, and for all lanes. Each entry has its own lock; readers wait for none. The sizes stay, though the list of
// sources may change by a reload.
const cameras = sharedMap('cameras', { bytes: 2 ** 18, entries: 1024 });
const pictures = sharedMap('cameras: pictures', { bytes: 32 * 2 ** 20, entries: 1024 });

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
      // Under the entry's lock: nobody else fetches this picture meanwhile, and all go on reading what there is.
      await cameras.updateAsync(name, async old => {
        const before = unpack(old);
        const after = await look(name, url, before, request);
        isNews = after.version !== before.version;
        return serialize(after);
      });
    } finally {
      request.cancel();
      permit.unlock();
    }
    if (isNews) gateway.publish(TOPIC, { type: 'camera', camera: describe(name) });
  } catch (error) {
    if (!ending.isDone) gateway.log.error('a camera could not be kept', { name, error: String(error) });
  }
}

/** What is known after one more look. @param {string} name @param {URL} url @param {Camera} before @param {Context} request @returns {Promise<Camera>} */
async function look(name, url, before, request) {
  const { version, changed, etag, trouble: lastTrouble } = before;
  try {
    const answer = await fetchPicture(url, before.validators, request.signal);
    const healed = lastTrouble === undefined ? version : version + 1;
    if (answer === undefined) return { ...before, version: healed, trouble: undefined };
    const { picture, validators } = answer;
    if (picture.etag === etag) return { version: healed, changed, etag, validators };
    await pictures.setAsync(name, serialize(picture));
    return { version: version + 1, changed: Date.now(), etag: picture.etag, validators };
  } catch (error) {
    if (request.parent?.isDone) return before; // the gateway ends: nobody's fault
    const { message, cause } = /** @type {Error & { cause?: { code?: string } }} */ (error);
    const trouble = request.isDone ? `no answer within ${TIMEOUT_MS} ms` : (cause?.code ?? message);
    return { ...before, version: trouble === lastTrouble ? version : version + 1, trouble };
  }
}

/**
 * @param {URL} url @param {Record<string, string>} [known] headers that the source gave with the picture there is
 * @param {AbortSignal} [signal]
 * @returns {Promise<{ picture: Picture, validators: Record<string, string> } | undefined>} undefined when it is the same
 */
async function fetchPicture(url, known, signal) {
  const response = await fetch(url, { headers: known ?? {}, signal });
  if (response.status === 304 && known !== undefined) return undefined;
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
  return { picture: { type, etag: `"${hash.slice(0, 16)}"`, bytes }, validators };
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
  const { validators, ...camera } = unpack(cameras.get(name));
  return { name, ...camera };
}

/** @param {Request} request @param {string} name */
function servePicture(request, name) {
  const { etag } = unpack(cameras.get(name));
  const asked = (request.headers.get('if-none-match') ?? '')
    .split(',')
    .map(tag => tag.trim().replace('W/', ''));
  if (etag !== undefined && (asked.includes(etag) || asked.includes('*'))) {
    return new Response(null, { status: 304, headers: { etag, 'cache-control': 'no-cache' } });
  }
  const packed = pictures.get(name);
  if (packed === undefined) return new Response('No picture yet', { status: 404 });
  /** @type {Picture} */
  const picture = deserialize(packed);
  return new Response(request.method === 'HEAD' ? null : picture.bytes, {
    headers: {
      etag: picture.etag,
      'cache-control': 'no-cache',
      'content-type': picture.type,
      // It comes from elsewhere: it is shown, and may do nothing.
      'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; sandbox",
      'x-content-type-options': 'nosniff',
    },
  });
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
