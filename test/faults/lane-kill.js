// @ts-check
/**
 * A lane's thread is ended every 200 ms, wherever it happens to be, while clients send numbered messages. Nobody is
 * disconnected; every message is answered once and in order, but for those that a hook was handling when its thread
 * ended: at most one at a time for hooks that are synchronous, one for each connection else. The log names each of them.
 *
 * Usage: node lane-kill.js [--seconds 60] [--connections 500] [--seed n] [--path /sync,/micro,/async,/silent]
 */
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { startGateway } from './gateway.js';
import { NumberedClient } from './numbered.js';
import { Random } from './random.js';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    connections: { type: 'string', default: '500' },
    seed: { type: 'string', default: String(Date.now() % 1e6) },
    paths: { type: 'string', default: '/sync,/micro,/async,/silent' },
  },
});
const random = new Random(Number(values.seed));
const paths = values.paths.split(',');

const { gateway, workers, log } = await startGateway('numbers.mjs', { lanes: 2 });
const clients = Array.from({ length: Number(values.connections) }, (_, i) => {
  const path = /** @type {string} */ (paths[i % paths.length]);
  return Object.assign(
    new NumberedClient(`ws://127.0.0.1:${gateway.port}${path}`, 4, path === '/silent' ? 10 : 1),
    { path },
  );
});
await Promise.all(clients.map(client => client.opened()));
for (const client of clients) client.start();

let kills = 0;
const memory = [];
const end = performance.now() + Number(values.seconds) * 1000;
while (performance.now() < end) {
  await delay(150 + random.below(100));
  const alive = [...workers];
  const victim = alive[random.below(alive.length)];
  if (victim === undefined) continue;
  kills++;
  void victim.terminate();
  if (kills % 10 === 0) memory.push(Math.round(process.memoryUsage().rss / 1024 / 1024));
}
await Promise.all(clients.map(client => client.finish()));

const lost = log.filter(({ msg }) => msg.startsWith('a message is lost'));
const missing = clients.flatMap(({ missing: numbers }) => numbers);
const wrong = clients.flatMap(({ wrong: text }) => text ?? []);
const closed = clients.filter(({ closeCode }) => closeCode !== undefined);
const answered = clients.reduce((sum, client) => sum + client.answered, 0);
console.log(
  JSON.stringify({
    seed: Number(values.seed),
    kills,
    connections: clients.length,
    answered,
    missing: missing.length,
    namedInLog: lost.length,
    disconnected: closed.length,
    wrong: wrong.slice(0, 3),
    memoryMiB: memory,
  }),
);
for (const client of clients) client.socket.terminate();
await gateway.close();

// What is named may yet have been answered: a hook that had sent and not settled, or that answers nothing.
const exact = paths.every(path => path === '/sync');
const explained = exact
  ? missing.length === lost.length && missing.length <= kills
  : missing.length <= lost.length;
const [first = 0, last = 0] = [memory[Math.floor(memory.length / 3)], memory.at(-1)];
// Fewer readings than this say nothing: the young heaps are still growing.
const flat = memory.length < 6 || last - first < 64;
if (wrong.length > 0 || closed.length > 0 || !explained || !flat || answered < clients.length) {
  console.error({
    wrong,
    closed: closed.map(({ closeCode, path }) => `${path} ${closeCode}`).slice(0, 5),
    explained,
    flat,
  });
  process.exitCode = 1;
}
