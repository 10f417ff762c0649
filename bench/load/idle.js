// @ts-check
/**
 * The memory load, a process of its own: how much a server's resident memory grows per open, idle connection. It prints
 * one line of JSON.
 *
 * The server is warmed up first by connections that come and go, so that code, buffers and heap which any server with some
 * traffic has are part of the baseline and not counted as the cost of connections.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { cpuSeconds, residentBytes } from '../usage.js';
import { Connection } from './connection.js';
import { loadOptions } from './options.js';

/** Fewer than the shortest listen backlog among the contenders (511). */
const CONNECTING_AT_ONCE = 200;
const QUIET_POLL = 500;
const QUIET_POLLS = 3;
const QUIET_TIMEOUT = 20_000;
/** Bytes by which resident memory may still move while the server counts as quiet. */
const STEADY = 128 * 1024;

const options = loadOptions({ connections: 10_000, warmupConnections: 2000 });

let errors = 0;

class IdleConnection extends Connection {
  /** @override */
  onClose() {
    errors++;
  }
}

for (const connection of await open(options.warmupConnections)) connection.destroy();
await quiet();
const before = residentBytes(options.serverPid);
const start = performance.now();
const connections = await open(options.connections);
const seconds = (performance.now() - start) / 1000;
await quiet();
const after = residentBytes(options.serverPid);
for (const connection of connections) connection.destroy();

if (errors > 0) throw new Error(`${errors} connections broke`);

console.log(
  JSON.stringify({
    value: (after - before) / options.connections,
    extras: {
      'seconds to connect all': seconds,
      'MiB before': before / 2 ** 20,
      'MiB after': after / 2 ** 20,
    },
  }),
);

/** @param {number} count */
async function open(count) {
  const connections = Array.from({ length: count }, () => new IdleConnection());
  for (let i = 0; i < count; i += CONNECTING_AT_ONCE) {
    const some = connections.slice(i, i + CONNECTING_AT_ONCE);
    await Promise.all(some.map(connection => connection.open(options)));
  }
  return connections;
}

/** Waits until the server neither computes nor grows or shrinks. */
async function quiet() {
  const deadline = performance.now() + QUIET_TIMEOUT;
  for (let polls = 0; polls < QUIET_POLLS && performance.now() < deadline; ) {
    const cpu = cpuSeconds(options.serverPid);
    const resident = residentBytes(options.serverPid);
    await delay(QUIET_POLL);
    const idle = cpuSeconds(options.serverPid) - cpu < 0.02;
    const steady = Math.abs(residentBytes(options.serverPid) - resident) < STEADY;
    polls = idle && steady ? polls + 1 : 0;
  }
}
