// @ts-check
/**
 * Compares the uWebSockets.js binaries that npm has installed here with those that uNetworking publishes. Needs the network.
 *
 *     node scripts/verify-uws.js
 *
 * The packages @uwsjs/… on npm are not uNetworking's own; each should hold one file of a release of uWebSockets.js, unchanged.
 * A release is a tag of github.com/uNetworking/uWebSockets.js, and GitHub tells the hash by which git knows each of its
 * files. Here the same hash is computed from what is installed. Exit code: 0 all are the same, 1 one differs, 2 not known.
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where GitHub answers; another address only for tests. */
const API = process.env.VERIFY_UWS_API ?? 'https://api.github.com';
const ROOT = process.env.VERIFY_UWS_ROOT ?? join(import.meta.dirname, '..');

/** The number by which uWebSockets.js names the builds for each Node: `process.versions.modules`. @type {Record<string, number>} */
const MODULES = { 18: 108, 20: 115, 22: 127, 23: 131, 24: 137, 26: 147 };

/** `tags`: the releases that it may be from. The packages count their own repairs in the last number. */
/** @typedef {{ name: string, file: string, released: string, tags: string[] }} Binary */

/** Every binary below a node_modules folder, those in nested ones too. @param {string} folder @returns {Binary[]} */
function findBinaries(folder) {
  /** @type {Binary[]} */
  const found = [];
  for (const entry of existsSync(folder) ? readdirSync(folder) : []) {
    const path = join(folder, entry);
    if (entry === '@uwsjs') {
      for (const name of readdirSync(path)) found.push(...describe(join(path, name), `@uwsjs/${name}`));
    } else if (existsSync(join(path, 'node_modules'))) {
      found.push(...findBinaries(join(path, 'node_modules')));
    }
  }
  return found;
}

/** @param {string} folder @param {string} name @returns {Binary[]} */
function describe(folder, name) {
  const file = join(folder, 'uws.node');
  if (!existsSync(file)) return [];
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const [platform, arch, node] = name.slice('@uwsjs/'.length).split('-');
  const released = `uws_${platform}_${arch}_${MODULES[node ?? '']}.node`;
  const tags = [...new Set([`v${version}`, `v${version.replace(/\.\d+$/, '.0')}`])];
  return [{ name: `${name}@${version}`, file, released, tags }];
}

/** As `git hash-object` does. @param {Buffer} bytes */
function gitHash(bytes) {
  return createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
}

/** The hash of a file of a release; undefined where there is no such file. @param {string} tag @param {string} released */
async function releasedHash(tag, released) {
  const url = `${API}/repos/uNetworking/uWebSockets.js/contents/${released}?ref=${tag}`;
  const response = await fetch(url, { headers: { accept: 'application/vnd.github.object+json' } });
  if (response.status === 404) return undefined;
  if (!response.ok) throw new Error(`${url} answers ${response.status}`);
  return /** @type {{ sha: string }} */ (await response.json()).sha;
}

/** @param {Binary} binary @returns {Promise<'same' | 'differs' | 'unknown'>} */
async function verify({ name, file, released, tags }) {
  const bytes = readFileSync(file);
  const ours = gitHash(bytes);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  for (const tag of tags) {
    const theirs = await releasedHash(tag, released);
    if (theirs === undefined) continue;
    const same = theirs === ours;
    console.log(`${same ? 'same   ' : 'DIFFERS'}  ${name}  ${released} of ${tag}  sha256 ${sha256}`);
    return same ? 'same' : 'differs';
  }
  console.log(`unknown  ${name}  no ${released} in ${tags.join(' or ')}  sha256 ${sha256}`);
  return 'unknown';
}

const binaries = findBinaries(join(ROOT, 'node_modules'));
try {
  const results = await Promise.all(binaries.map(verify));
  if (results.includes('differs')) process.exitCode = 1;
  else if (results.length === 0 || results.includes('unknown')) process.exitCode = 2;
  if (results.length === 0) console.log('no binary of uWebSockets.js is installed here');
} catch (error) {
  console.error(
    `cannot ask GitHub: ${error instanceof Error ? `${error.message} ${error.cause ?? ''}` : error}`,
  );
  process.exitCode = 2;
}
