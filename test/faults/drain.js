// @ts-check
/**
 * SIGTERM under load, half of the clients not reading.
 *
 *   node test/faults/drain.js [--clients 1000] [--flooded 100] [--lanes 2] [--timeout-ms 5000]
 *
 * Half of the clients send numbered messages without pause and check what comes back; the other half sends a few and
 * reads nothing. Of those, `flooded` have more waiting for them than kernels take (some 4 MiB each); the gateway cannot
 * know that the others do not read. Besides there are clients that ask for one thing after the other over HTTP. Ends with
 * 0 and the counts that it checked, or with 1 and what was wrong.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { Agent, get } from 'node:http';
import { createConnection } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { WebSocket } from 'ws';

const { values } = parseArgs({
  options: {
    clients: { type: 'string', default: '1000' },
    flooded: { type: 'string', default: '100' },
    lanes: { type: 'string', default: '2' },
    'timeout-ms': { type: 'string', default: '5000' },
  },
});
const clientCount = Number(values.clients);
const readerCount = Math.floor(clientCount / 2);
const deafCount = clientCount - readerCount;
const floodedCount = Math.min(deafCount, Number(values.flooded));
const timeoutMs = Number(values['timeout-ms']);

const IN_FLIGHT = 4;
const REQUESTERS = 20;
const GRACE_MS = 1_000;
/** Milliseconds in which no more than half of all may be closed: closing is spread. */
const BURST_MS = 100;
const OPENED_AT_ONCE = 50;

/** @type {string[]} */
const troubles = [];

/** @param {boolean} fine @param {string} text */
function check(fine, text) {
  if (!fine && troubles.length < 20) troubles.push(text);
}

/** Sends numbered messages, some under way at any time, and reads. */
class Reader {
  sent = 0;
  echoed = 0;
  /** @type {{ code: number, reason: string, at: number } | undefined} */
  closed;

  /** @param {number} number @param {number} port */
  constructor(number, port) {
    this.number = number;
    this.socket = new WebSocket(`ws://127.0.0.1:${port}/`, { perMessageDeflate: false });
    this.ended = new Promise(resolve => this.socket.on('close', resolve));
    this.socket.on('error', error => check(false, `reader ${number}: ${error.message}`));
    this.socket.on('message', data => this.#hear(String(data)));
    this.socket.on('close', (code, reason) => {
      this.closed = { code, reason: String(reason), at: performance.now() };
    });
  }

  start() {
    for (let i = 0; i < IN_FLIGHT; i++) this.#send();
  }

  #send() {
    this.socket.send(`${this.number} ${this.sent++}`);
  }

  /** @param {string} text */
  #hear(text) {
    const expected = `${this.number} ${this.echoed++}`;
    check(text === expected, `reader ${this.number} got '${text}', expected '${expected}'`);
    if (this.socket.readyState === WebSocket.OPEN) this.#send();
  }
}

/** @param {string} text at most 125 characters */
function textFrame(text) {
  // Masked with zeros.
  return Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), Buffer.from(text)]);
}

/** A client that, once it is upgraded, never reads. @param {number} port */
async function connectDeaf(port) {
  const socket = createConnection({ port, host: '127.0.0.1' });
  socket.on('error', () => {});
  socket.write(
    'GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n' +
      `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n\r\n`,
  );
  await once(socket, 'data');
  socket.pause();
  return socket;
}

const requests = { answered: 0, toldToClose: 0, failed: 0 };

/** Asks over one kept-alive connection until it is told to close it, and nobody listens any more. @param {number} port */
async function ask(port) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  for (;;) {
    const request = get({ port, host: '127.0.0.1', agent });
    try {
      const [response] = await once(request, 'response');
      for await (const _ of response);
      if (response.statusCode === 200) requests.answered++;
      else requests.failed++;
      if (response.headers.connection === 'close') requests.toldToClose++;
    } catch (error) {
      const { code } = /** @type {NodeJS.ErrnoException} */ (error);
      if (code !== 'ECONNREFUSED') requests.failed++;
      if (code !== 'ECONNREFUSED') check(false, `a request failed: ${code}`);
      agent.destroy();
      return;
    }
  }
}

/** The most events within any `BURST_MS`. @param {number[]} times */
function longestBurst(times) {
  const sorted = [...times].sort((a, b) => a - b);
  let most = 0;
  for (let first = 0, last = 0; last < sorted.length; last++) {
    while (/** @type {number} */ (sorted[last]) - /** @type {number} */ (sorted[first]) > BURST_MS) first++;
    most = Math.max(most, last - first + 1);
  }
  return most;
}

/** @template T @param {number} count @param {(index: number) => Promise<T>} open @returns {Promise<T[]>} */
async function inGroups(count, open) {
  const all = [];
  while (all.length < count) {
    const some = Math.min(OPENED_AT_ONCE, count - all.length);
    all.push(...(await Promise.all(Array.from({ length: some }, (_, i) => open(all.length + i)))));
  }
  return all;
}

const cli = fileURLToPath(new URL('../../dist/src/cli.js', import.meta.url));
const app = fileURLToPath(new URL('../apps/drain.mjs', import.meta.url));
const flags = ['--port', '0', '--admin-port', '0', '--host', '127.0.0.1', '--lanes', values.lanes];
const child = spawn(process.execPath, [cli, app, ...flags, '--drain-timeout-ms', String(timeoutMs)], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
const exited = once(child, 'exit');
let said = '';
child.stdout.on('data', chunk => {
  said += chunk;
});

/** Log lines with that message. @param {string} message @returns {Record<string, any>[]} */
function logged(message) {
  return said
    .slice(0, said.lastIndexOf('\n') + 1)
    .split('\n')
    .filter(line => line.includes(`"msg":"${message}`))
    .map(line => JSON.parse(line));
}

/** @param {string} message @param {number} count */
async function untilLogged(message, count) {
  while (logged(message).length < count) {
    if (child.exitCode !== null) throw new Error(`the gateway ended with ${child.exitCode}: ${said}`);
    await delay(20);
  }
}

await untilLogged('listening', 1);
const port = Number(/http:\/\/[^:]+:(\d+)/.exec(said)?.[1]);
const readers = await inGroups(readerCount, async number => {
  const reader = new Reader(number, port);
  await once(reader.socket, 'open');
  return reader;
});
const deaf = await inGroups(deafCount, () => connectDeaf(port));
for (const reader of readers) reader.start();
const asking = Array.from({ length: REQUESTERS }, () => ask(port));
while (requests.answered < 2 * REQUESTERS) await delay(20);
for (const [n, socket] of deaf.entries()) socket.write(textFrame(n < floodedCount ? 'flood' : 'hello'));
await untilLogged('flooded', floodedCount);

const asked = performance.now();
child.kill('SIGTERM');
const [code] = await exited;
const took = performance.now() - asked;
await Promise.all([...readers.map(reader => reader.ended), ...asking]);
for (const socket of deaf) socket.destroy();

check(code === 0, `the gateway ended with ${code}`);
check(took <= timeoutMs + GRACE_MS, `it took ${took} ms`);
const closedWell = readers.filter(
  ({ closed }) => closed?.code === 1001 && closed.reason === 'server shutting down',
);
check(closedWell.length === readerCount, `only ${closedWell.length} readers got the close frame`);
const hooks = logged('close hook').filter(line => line.code === 1001);
check(hooks.length === clientCount, `only ${hooks.length} close hooks ran`);
// By the gateway's clock: all clients are one process here, which cannot look at each in time.
const burst = longestBurst(hooks.map(({ time }) => time));
check(clientCount < 100 || burst <= clientCount / 2, `${burst} were closed within ${BURST_MS} ms`);
const last = JSON.parse(/** @type {string} */ (said.trimEnd().split('\n').at(-1)));
const { closed, cutOff } = last;
check(closed === clientCount - floodedCount, `the last line counts ${closed} as closed`);
check(cutOff?.connections === floodedCount, `the last line counts ${cutOff?.connections} as cut off`);
check(cutOff?.hooks === 0 && cutOff.requests === 0, `cut off: ${JSON.stringify(cutOff)}`);
const echoes = readers.reduce((sum, { echoed }) => sum + echoed, 0);
check(echoes > readerCount * IN_FLIGHT, 'hardly anything was echoed');
check(requests.answered > 0 && requests.failed === 0, `requests: ${JSON.stringify(requests)}`);
check(requests.toldToClose === REQUESTERS, `${requests.toldToClose} requesters were told to close`);

console.log(
  `exit ${code} after ${Math.round(took)} ms of ${timeoutMs}; ${closedWell.length} of ${readerCount} readers got the close ` +
    `frame; ${hooks.length} close hooks, at most ${burst} within ${BURST_MS} ms; ${echoes} messages answered, in order; last line: ` +
    `${closed} closed, ${cutOff?.connections} of ${floodedCount} flooded ones cut off; ${requests.answered} requests ` +
    `answered, ${requests.failed} failed, ${requests.toldToClose} connections told to close`,
);
for (const trouble of troubles) console.error(`FAILED: ${trouble}`);
process.exit(troubles.length === 0 ? 0 : 1);
