// @ts-check
/**
 * The app's code is replaced again and again while clients send numbered messages, some of it by code that does not
 * load or does not start. Every message is answered exactly once and in order, nobody is disconnected, and what is broken
 * never runs.
 *
 * Usage: node reload.js [--reloads 50] [--connections 500] [--idle 0: connections besides that send nothing]
 */
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import WebSocket from 'ws';
import { startGateway } from './gateway.js';
import { NumberedClient } from './numbered.js';

const { values } = parseArgs({
  options: {
    reloads: { type: 'string', default: '50' },
    connections: { type: 'string', default: '500' },
    idle: { type: 'string', default: '0' },
  },
});
const reloads = Number(values.reloads);
const PATHS = ['/sync', '/micro', '/async'];
/** One in ten reloads brings one of these. */
const BROKEN = [
  'export const version = ;',
  'throw new Error("fails when it is imported");',
  'import "./not-there.mjs"; export const version = -1;',
];

const folder = mkdtempSync(join(tmpdir(), 'threadgate-reload-'));
process.on('exit', () => rmSync(folder, { recursive: true }));
const write = (/** @type {string} */ code) => writeFileSync(join(folder, 'version.mjs'), code);
copyFileSync(fileURLToPath(new URL('../apps/numbers.mjs', import.meta.url)), join(folder, 'numbers.mjs'));
writeFileSync(
  join(folder, 'app.mjs'),
  `import numbers from './numbers.mjs';
   import { version } from './version.mjs';
   export default { ...numbers, fetch: () => new Response(String(version)) };`,
);
write('export const version = 0;');

const { gateway } = await startGateway(join(folder, 'app.mjs'), { lanes: 2 });
const clients = Array.from(
  { length: Number(values.connections) },
  (_, i) => new NumberedClient(`ws://127.0.0.1:${gateway.port}${PATHS[i % PATHS.length]}`, 4),
);
await Promise.all(clients.map(client => client.opened()));
/** @type {WebSocket[]} */
const idle = [];
for (let i = 0; i < Number(values.idle); i++) {
  idle.push(new WebSocket(`ws://127.0.0.1:${gateway.port}/sync`));
  if (i % 100 === 99) await new Promise(resolve => idle.at(-1)?.once('open', resolve));
}
// This one measures how long a reload keeps it waiting.
const probe = new WebSocket(`ws://127.0.0.1:${gateway.port}/sync`);
await new Promise(resolve => probe.once('open', resolve));
let sentAt = 0;
let longestPauseMs = 0;
probe.on('message', () => {
  longestPauseMs = Math.max(longestPauseMs, performance.now() - sentAt);
  sentAt = performance.now();
  probe.send('1');
});
sentAt = performance.now();
probe.send('1');
for (const client of clients) client.start();

let good = 0;
let refused = 0;
let broken = 0;
const versions = [];
const problems = [];
for (let i = 1; i <= reloads; i++) {
  const bad = i % 10 === 5 ? BROKEN[broken++ % BROKEN.length] : undefined;
  write(bad ?? `export const version = ${i};`);
  try {
    await gateway.reload();
    good++;
    if (bad !== undefined) problems.push(`reload ${i} was broken and passed`);
  } catch (error) {
    refused++;
    if (bad === undefined) problems.push(`reload ${i}: ${error}`);
  }
  const running = Number(await (await fetch(`http://127.0.0.1:${gateway.port}/`)).text());
  versions.push(running);
  const expected = bad === undefined ? i : i - 1;
  if (running !== expected) problems.push(`version ${running} runs where ${expected} should`);
  await delay(20);
}
await Promise.all(clients.map(client => client.finish()));

const missing = clients.flatMap(({ missing: numbers }) => numbers);
const wrong = clients.flatMap(({ wrong: text }) => text ?? []);
const closed = clients.filter(({ closeCode }) => closeCode !== undefined);
console.log(
  JSON.stringify({
    reloads: good,
    refused,
    connections: clients.length,
    answered: clients.reduce((sum, { answered }) => sum + answered, 0),
    missing: missing.length,
    disconnected: closed.length,
    wrong: wrong.slice(0, 3),
    longestPauseMs: Math.round(longestPauseMs),
    problems,
  }),
);
for (const client of clients) client.socket.terminate();
const idleClosed = idle.filter(({ readyState }) => readyState !== WebSocket.OPEN).length;
if (idleClosed > 0) problems.push(`${idleClosed} idle connections were closed`);
for (const socket of idle) socket.terminate();
probe.terminate();
await gateway.close();
if (missing.length + wrong.length + closed.length + problems.length > 0 || refused !== broken || good === 0)
  process.exitCode = 1;
