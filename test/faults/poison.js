// @ts-check
/**
 * One client sends what ends the lane's thread, again and again. It is closed with 1011; nobody else is, and nobody else
 * loses a message, but for what a hook of theirs was awaiting when the thread ended.
 *
 * Usage: node poison.js [--connections 100]
 */
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import WebSocket from 'ws';
import { startGateway } from './gateway.js';
import { NumberedClient } from './numbered.js';

const { values } = parseArgs({ options: { connections: { type: 'string', default: '100' } } });
const MOST_MESSAGES = 10;
const results = [];
for (const fault of ['process.exit', 'throw in a timer', 'unhandled rejection']) {
  const { gateway, log } = await startGateway('numbers.mjs', { lanes: 2 });
  const clients = Array.from(
    { length: Number(values.connections) },
    (_, i) => new NumberedClient(`ws://127.0.0.1:${gateway.port}${i % 4 === 0 ? '/async' : '/sync'}`, 4),
  );
  await Promise.all(clients.map(client => client.opened()));
  for (const client of clients) client.start();
  const poison = new WebSocket(`ws://127.0.0.1:${gateway.port}/fault`);
  await once(poison, 'open');
  let code;
  poison.on('close', closeCode => {
    code = closeCode;
  });
  let messages = 0;
  while (code === undefined && messages < MOST_MESSAGES) {
    poison.send(fault);
    messages++;
    // Until the lane has died of it, or the connection was closed for it.
    while (code === undefined && log.filter(({ msg }) => msg.startsWith('lane died')).length < messages)
      await delay(5);
    await delay(20);
  }
  await Promise.all(clients.map(client => client.finish()));
  const named = log.filter(({ msg }) => msg.startsWith('a message is lost')).length;
  const missing = clients.flatMap(({ missing: numbers }) => numbers).length;
  const missingSync = clients.flatMap(({ missing: numbers }, i) => (i % 4 === 0 ? [] : numbers)).length;
  const wrong = clients.flatMap(({ wrong: text }) => text ?? []).length;
  const closed = clients.filter(({ closeCode }) => closeCode !== undefined).length;
  results.push({
    fault,
    messages,
    code,
    othersClosed: closed,
    missing,
    missingSync,
    namedInLog: named,
    wrong,
  });
  for (const client of clients) client.socket.terminate();
  await gateway.close();
}
console.log(JSON.stringify(results));
const good = results.every(
  ({ code, messages, othersClosed, missing, missingSync, namedInLog, wrong }) =>
    code === 1011 &&
    messages <= 4 &&
    othersClosed === 0 &&
    missing <= namedInLog &&
    missingSync === 0 &&
    wrong === 0,
);
if (!good) process.exitCode = 1;
