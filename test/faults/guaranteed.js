// @ts-check
/**
 * Guaranteed messages, while what carries them is killed, again and again and wherever it happens to be: the lanes'
 * threads, or the gateway's process, with its sessions in a file or in memory. Each message is handled once and in order,
 * and its two answers come once and in order. Only where a process took its sessions with it may answers be missing, which
 * a gap tells, and messages come again, which they say.
 *
 * Usage: node guaranteed.js --kill lanes|process|process-in-memory [--kills 100] [--clients 20] [--seed n]
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startGateway } from './gateway.js';
import { GuaranteedClient } from './guaranteed-client.js';
import { Random } from './random.js';

const { values } = parseArgs({
  options: {
    kill: { type: 'string', default: 'process' },
    kills: { type: 'string', default: '100' },
    clients: { type: 'string', default: '20' },
    seed: { type: 'string', default: String(Date.now() % 1e6) },
  },
});
const random = new Random(Number(values.seed));
const PATHS = ['/sync', '/async'];
const CLI = fileURLToPath(new URL('../../dist/src/cli.js', import.meta.url));
const APP = fileURLToPath(new URL('../apps/guaranteed.mjs', import.meta.url));

/** Something that can be killed and comes back. @typedef {{ port: number, kill(): Promise<void>, end(): Promise<void> }} Victim */

/** @returns {Promise<Victim>} */
async function lanes() {
  const { gateway, workers } = await startGateway('guaranteed.mjs', { lanes: 2, logLevel: 'silent' });
  return {
    port: gateway.port,
    async kill() {
      const alive = [...workers];
      await alive[random.below(alive.length)]?.terminate();
    },
    end: () => gateway.close(),
  };
}

/** @param {string[]} args @returns {Promise<Victim>} */
async function command(args) {
  const port = await freePort();
  const start = async () => {
    const all = [CLI, APP, '--port', String(port), '--lanes', '2', '--log-level', 'info', ...args];
    const child = spawn(process.execPath, all, { stdio: ['ignore', 'pipe', 'inherit'] });
    let said = '';
    child.stdout.on('data', chunk => {
      said += chunk;
    });
    while (!said.includes('listening on')) {
      await Promise.race([
        once(child.stdout, 'data'),
        once(child, 'exit').then(() => Promise.reject(new Error(said))),
      ]);
    }
    return child;
  };
  let child = await start();
  return {
    port,
    async kill() {
      child.kill('SIGKILL');
      await once(child, 'exit');
      child = await start();
    },
    async end() {
      child.kill('SIGTERM');
      await once(child, 'exit');
    },
  };
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  server.close();
  await once(server, 'close');
  return port;
}

const folder = mkdtempSync(join(tmpdir(), 'threadgate-sessions-'));
const victims = {
  lanes,
  process: () => command(['--session-dir', folder]),
  'process-in-memory': () => command([]),
};
const makeVictim = victims[/** @type {keyof typeof victims} */ (values.kill)];
if (makeVictim === undefined) throw new Error(`--kill must be one of ${Object.keys(victims).join(', ')}`);
const victim = await makeVictim();
const clients = Array.from(
  { length: Number(values.clients) },
  (_, i) => new GuaranteedClient(`ws://127.0.0.1:${victim.port}${PATHS[i % PATHS.length]}`),
);
const runs = clients.map(client => client.run());
for (let kill = 0; kill < Number(values.kills); kill++) {
  const before = clients.map(({ acknowledged }) => acknowledged);
  // Not before somebody got on, so that each kill is one of something at work.
  while (clients.every(({ acknowledged }, i) => acknowledged === before[i])) await delay(1);
  await delay(random.below(150));
  await victim.kill();
}
for (const client of clients) client.finish();
await Promise.all(runs);
await Promise.all(clients.map(client => client.answered()));
for (const client of clients) client.check({ inMemory: values.kill === 'process-in-memory' });
await Promise.all(clients.map(({ client }) => client.close()));
await victim.end();
rmSync(folder, { recursive: true });

/** @param {(client: GuaranteedClient) => number} count */
const sum = count => clients.reduce((total, client) => total + count(client), 0);
const counts = {
  seed: Number(values.seed),
  kills: Number(values.kills),
  clients: clients.length,
  acknowledged: sum(({ acknowledged }) => acknowledged),
  refused: sum(({ refused }) => refused.size),
  again: sum(({ again }) => again),
  gaps: sum(({ gaps }) => gaps),
  besideWritten: sum(({ written }) => written),
  besideExpired: sum(({ expired }) => expired),
  besideLate: sum(({ late }) => late),
  wrong: clients.flatMap(({ wrong }) => wrong ?? []).slice(0, 3),
};
console.log(JSON.stringify(counts));
const isLossless = values.kill !== 'process-in-memory';
if (counts.wrong.length > 0 || counts.besideLate > 0 || (isLossless && counts.gaps > 0)) process.exitCode = 1;
