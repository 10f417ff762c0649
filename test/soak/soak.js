// @ts-check
/**
 * The soak: many connections that come and go, messages of random sizes, each to be echoed exactly once and in order,
 * and memory that is flat after the first third.
 *
 *   node test/soak/soak.js [--seconds 60] [--connections 2000] [--lanes 2] [--seed n]
 *
 * The gateway runs in a process of its own, so that its memory is only its own. Ends with 0, or with 1 and the reason.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { WebSocket } from 'ws';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    connections: { type: 'string', default: '2000' },
    lanes: { type: 'string', default: '2' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
  },
});
const seconds = Number(values.seconds);
const connections = Number(values.connections);

/** Messages that a connection has under way, or is about to send. */
const IN_FLIGHT = 4;
/** Longest pause before the next message, in milliseconds: some 16,000 messages a second, however many connections. */
const LONGEST_PAUSE = connections / 2;
/** Part of the messages after whose echo the client goes, gently or not. */
const CLOSE_CHANCE = 0.01;
/** Growth of resident memory, from the first third to the last, that still counts as flat. */
const FLAT_BYTES = 32 * 1024 * 1024;
const FLAT_SHARE = 0.15;

let state = Number(values.seed) | 1;

/** Xorshift: from 0 up to, not including, 1. */
function random() {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) / 2 ** 32;
}

/** Mostly small, sometimes some KiB, seldom more than the ring's largest record. */
function randomSize() {
  const kind = random();
  if (kind < 0.9) return 16 + Math.floor(random() * 200);
  if (kind < 0.998) return 16 + Math.floor(random() * 8_000);
  return 16 + Math.floor(random() * 400_000);
}

const totals = { messages: 0, bytes: 0, opened: 0, lost: 0 };
/** Connections that are open or about to be. */
let alive = 0;
/** @type {string[]} */
const troubles = [];
let stopping = false;

/** One connection after the other, each with numbered messages whose echo must be the next one expected. */
class Visitor {
  /** @type {WebSocket | undefined} */
  #socket;
  #sent = 0;
  #echoed = 0;
  /** Sizes of the messages under way. @type {number[]} */
  #sizes = [];
  /** @param {number} number @param {string} url */
  constructor(number, url) {
    this.number = number;
    this.url = url;
  }

  visit() {
    this.#sent = 0;
    this.#echoed = 0;
    this.#sizes = [];
    const socket = new WebSocket(this.url, { perMessageDeflate: false });
    this.#socket = socket;
    alive++;
    socket.on('open', () => {
      totals.opened++;
      for (let i = 0; i < IN_FLIGHT; i++) this.#send();
    });
    socket.on('message', (/** @type {Buffer} */ data) => this.#hear(data));
    socket.on('error', error => this.#trouble(error.message));
    socket.on('close', code => this.#end(code));
  }

  #send() {
    const data = Buffer.alloc(randomSize(), this.#sent & 0xff);
    data.writeUInt32LE(this.number, 0);
    data.writeUInt32LE(this.#sent++, 4);
    data.writeUInt32LE(data.length, 8);
    this.#sizes.push(data.length);
    this.#socket?.send(data);
  }

  /** @param {Buffer} data */
  #hear(data) {
    const expected = this.#echoed++;
    const size = this.#sizes.shift();
    const [number, sequence] = [data.readUInt32LE(0), data.readUInt32LE(4)];
    if (number !== this.number) return this.#trouble(`got a message of ${number}`);
    if (sequence !== expected) return this.#trouble(`got message ${sequence}, expected ${expected}`);
    if (data.length !== size || data[data.length - 1] !== (data.length > 12 ? expected & 0xff : data[11]))
      return this.#trouble(`message ${sequence} has ${data.length} bytes, or wrong ones; expected ${size}`);
    totals.messages++;
    totals.bytes += data.length;
    if (random() < CLOSE_CHANCE) return this.#leave();
    const socket = this.#socket;
    setTimeout(() => {
      if (socket === this.#socket && socket?.readyState === WebSocket.OPEN) this.#goOn();
    }, random() * LONGEST_PAUSE);
  }

  #goOn() {
    if (!stopping) this.#send();
    else if (this.#sizes.length === 0) this.#socket?.close(1000);
  }

  /** With a close frame, or without a word, with messages under way. */
  #leave() {
    if (random() < 0.5) this.#socket?.close(1000);
    else this.#socket?.terminate();
  }

  /** @param {number} code */
  #end(code) {
    alive--;
    if (code !== 1000 && code !== 1006) this.#trouble(`was closed with ${code}`);
    if (code === 1006) totals.lost++;
    if (!stopping) this.visit();
  }

  /** @param {string} text */
  #trouble(text) {
    if (troubles.length < 10) troubles.push(`connection ${this.number}: ${text}`);
  }
}

/** Resident memory of a process, in bytes. @param {number} pid */
function residentBytes(pid) {
  const pages = Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]);
  return pages * 4096;
}

/** @param {number[]} list */
function median(list) {
  return [...list].sort((a, b) => a - b)[list.length >> 1] ?? 0;
}

/** @param {number} bytes */
function mebibytes(bytes) {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

async function startGateway() {
  const cli = fileURLToPath(new URL('../../dist/src/cli.js', import.meta.url));
  const app = fileURLToPath(new URL('../apps/echo.mjs', import.meta.url));
  const flags = ['--port', '0', '--admin-port', '0', '--host', '127.0.0.1', '--lanes', values.lanes];
  const child = spawn(process.execPath, [cli, app, ...flags], { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  for await (const chunk of child.stdout) {
    said += chunk;
    const port = /listening on http:\/\/[^:]+:(\d+)/.exec(said)?.[1];
    if (port !== undefined) return { child, port };
  }
  throw new Error(`the gateway did not start: ${said}`);
}

console.log(`soak: ${connections} connections, ${seconds} s, ${values.lanes} lanes, seed ${values.seed}`);
const { child, port } = await startGateway();
const pid = /** @type {number} */ (child.pid);
child.once('exit', code => {
  if (!stopping) {
    console.error(`the gateway ended with ${code}`);
    process.exit(1);
  }
});

const began = performance.now();
const visitors = Array.from({ length: connections }, (_, n) => new Visitor(n, `ws://127.0.0.1:${port}/`));
for (const [n, visitor] of visitors.entries()) {
  visitor.visit();
  // Not all at once: a listen queue holds only so many.
  if (n % 100 === 99) await delay(10);
}

/** Resident memory, four times a second. @type {number[]} */
const memory = [];
let nextLine = 5;
for (;;) {
  await delay(250);
  const elapsed = (performance.now() - began) / 1000;
  memory.push(residentBytes(pid));
  if (elapsed >= nextLine) {
    nextLine += 5;
    const { messages, opened } = totals;
    console.log(
      `${Math.round(elapsed)} s: ${messages} echoes, ${opened} opened, ${mebibytes(memory.at(-1) ?? 0)}`,
    );
  }
  if (elapsed >= seconds || troubles.length > 0) break;
}

stopping = true;
const third = Math.floor(memory.length / 3);
const early = median(memory.slice(third, 2 * third));
const late = median(memory.slice(2 * third));
const closing = Date.now() + 10_000;
while (alive > 0 && troubles.length === 0) {
  if (Date.now() > closing) troubles.push(`${alive} connections still wait for echoes`);
  await delay(20);
}
child.kill('SIGTERM');
const [code] = await once(child, 'exit');
if (code !== 0) troubles.push(`the gateway ended with ${code}`);
if (totals.messages === 0) troubles.push('nothing was echoed');
const growth = late - early;
if (growth > FLAT_BYTES && growth > early * FLAT_SHARE)
  troubles.push(`memory grew from ${mebibytes(early)} to ${mebibytes(late)}`);

const { messages, bytes, opened, lost } = totals;
console.log(
  `${messages} messages (${mebibytes(bytes)}) echoed once and in order; ${opened} connections opened, ${lost} dropped by the ` +
    `clients; memory ${mebibytes(early)} in the second third, ${mebibytes(late)} in the last`,
);
for (const trouble of troubles) console.error(`FAILED: ${trouble}`);
process.exit(troubles.length === 0 ? 0 : 1);
