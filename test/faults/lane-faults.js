// @ts-check
/**
 * Everything that a handler can do to its thread, one after the other, while other clients send numbered messages: their
 * connections stay, their messages are answered in order, and the lane is back within a second of being missed.
 *
 * Usage: node lane-faults.js [--connections 100] [--rounds 3]
 */
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import WebSocket from 'ws';
import { startGateway } from './gateway.js';
import { NumberedClient } from './numbered.js';

const { values } = parseArgs({
  options: { connections: { type: 'string', default: '100' }, rounds: { type: 'string', default: '3' } },
});
const BACK_WITHIN_MS = 1000;
const FAULTS = [
  'process.exit',
  'throw in a timer',
  'unhandled rejection',
  'endless loop',
  'endless recursion',
  'out of memory',
];

const { gateway, log } = await startGateway('numbers.mjs', { lanes: 2, hangTimeoutMs: 500, laneHeapMiB: 64 });
const clients = Array.from(
  { length: Number(values.connections) },
  (_, i) => new NumberedClient(`ws://127.0.0.1:${gateway.port}${i % 2 === 0 ? '/sync' : '/async'}`, 4),
);
await Promise.all(clients.map(client => client.opened()));
for (const client of clients) client.start();

/** @param {string} text */
const logged = text => log.filter(({ msg }) => msg.startsWith(text));
/** @type {Record<string, number[]>} */
const backAfterMs = {};
const problems = [];
for (let round = 0; round < Number(values.rounds); round++) {
  for (const fault of FAULTS) {
    const deaths = logged('lane died').length;
    const killer = new WebSocket(`ws://127.0.0.1:${gateway.port}/fault`);
    await once(killer, 'open');
    killer.send(fault);
    if (fault === 'endless recursion') {
      // The stack overflows, the hook throws, the lane lives.
      while (logged('the message hook failed').length <= round) await delay(5);
    } else {
      while (logged('lane is back').length <= deaths) await delay(5);
      const ms = Number(logged('lane is back').at(-1)?.time) - Number(logged('lane died').at(-1)?.time);
      backAfterMs[fault] = [...(backAfterMs[fault] ?? []), ms];
      if (ms > BACK_WITHIN_MS) problems.push(`${fault}: back after ${ms} ms`);
    }
    if (killer.readyState !== WebSocket.OPEN) problems.push(`${fault}: its own connection was closed`);
    killer.terminate();
    await delay(200);
  }
}
await Promise.all(clients.map(client => client.finish()));

const lost = logged('a message is lost').length;
const missing = clients.flatMap(({ missing: numbers }) => numbers).length;
const wrong = clients.flatMap(({ wrong: text }) => text ?? []);
const closed = clients.filter(({ closeCode }) => closeCode !== undefined).length;
const answered = clients.reduce((sum, client) => sum + client.answered, 0);
console.log(
  JSON.stringify({
    faults: FAULTS.length,
    answered,
    missing,
    namedInLog: lost,
    disconnected: closed,
    backAfterMs,
    problems,
  }),
);
for (const client of clients) client.socket.terminate();
await gateway.close();
if (wrong.length > 0 || closed > 0 || missing > lost || problems.length > 0) {
  console.error({ wrong });
  process.exitCode = 1;
}
