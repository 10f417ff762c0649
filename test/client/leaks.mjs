/**
 * Makes and aborts clients, at every moment of a client's life, and says what is left: `{ resources, grownBytes }`.
 * Needs --expose-gc. Arguments: how many rounds, and the URL of a server.
 */
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket, WebSocketServer } from 'ws';
import { createClient as create } from '../../dist/src/client/index.js';

/** With `ws` on every Node: what the platform's WebSocket leaves behind is not ours. */
const createClient = (url, options) => create(url, { ...options, WebSocket });

const rounds = Number(process.argv[2]);
const url = process.argv[3];

/** Takes connections and never answers. */
const silent = createServer(socket => socket.on('error', () => {}).resume());
await new Promise(resolve => silent.listen(0, '127.0.0.1', resolve));
/** Nobody listens there any more. */
const gone = createServer();
await new Promise(resolve => gone.listen(0, '127.0.0.1', resolve));
const nobodyUrl = `ws://127.0.0.1:${gone.address().port}`;
await new Promise(resolve => gone.close(resolve));
const silentUrl = `ws://127.0.0.1:${silent.address().port}`;

/** Takes a session up, acknowledges nothing, and sends a message of its own. */
const MARK = Buffer.from('9f86d081884c7d65', 'hex');
const FRAMES = [
  JSON.stringify({ session: 'x', resumed: false, mark: MARK.toString('hex'), window: 1000, largest: 1000 }),
  Buffer.concat([MARK, Buffer.from([3, 0, 0, 0, 0, 0, 0, 0, 0])]),
  Buffer.concat([MARK, Buffer.from([1, 0, 0, 0, 0, 0, 0, 0, 0, 1])]),
];
const withSessions = new WebSocketServer({
  port: 0,
  host: '127.0.0.1',
  handleProtocols: () => 'threadgate.v1',
});
withSessions.on('connection', socket => {
  socket.on('error', () => {});
  for (const frame of FRAMES) socket.send(frame);
});
await new Promise(resolve => withSessions.once('listening', resolve));
const sessionUrl = `ws://127.0.0.1:${withSessions.address().port}`;

/** Has no pings of its own, so that the client's begin. */
class Unpinging extends WebSocket {
  ping = undefined;
}

const becomes = (client, state) =>
  new Promise(resolve => client.on('status', status => status.state === state && resolve()));

/** One for all, as a program has it that lives longer than its clients: a listener that stays would show. */
const whole = new AbortController();

/** Each takes a client to another moment, and leaves it there. */
const moments = [
  async () => createClient(url, { signal: whole.signal, autoConnect: false }),
  async end => createClient(url, { signal: end }),
  async end => {
    createClient(silentUrl, { signal: end });
    await sleep(0);
  },
  async end => {
    const client = createClient(nobodyUrl, { signal: end });
    for (let i = 0; i < 3; i++) client.send('x'.repeat(1000), { within: 60_000 });
    await becomes(client, 'waiting');
  },
  async end => {
    const client = createClient(url, { signal: end });
    void client.ready.catch(() => {});
    void client[Symbol.asyncIterator]().next();
    await becomes(client, 'open');
  },
  async end => {
    const client = createClient(() => new Promise(() => {}), { signal: end });
    client.send('x');
    await sleep(0);
  },
  async end => {
    const client = createClient(nobodyUrl, { signal: end, guaranteed: true });
    for (let i = 0; i < 3; i++) client.send('x'.repeat(1000), { guaranteed: true });
    await becomes(client, 'waiting');
  },
  async end => {
    const client = create(sessionUrl, { signal: end, guaranteed: true, WebSocket: Unpinging });
    for (let i = 0; i < 3; i++) client.send('x'.repeat(500), { guaranteed: true });
    await new Promise(resolve => client.on('message', resolve)); // its acknowledgement is due
  },
  async end => {
    const client = createClient(sessionUrl, { signal: end, guaranteed: 'preferred' });
    client.send('x', { guaranteed: true });
    await sleep(0);
  },
];

async function round(i) {
  const controller = new AbortController();
  const client = await moments[i % moments.length](controller.signal);
  controller.abort();
  // Those that hang on the signal of the whole program are closed.
  await client?.close();
}

/** In small groups, so that it takes seconds: nobody waits for the other side here. */
async function run(count) {
  const group = 20;
  for (let i = 0; i < count; i += group) {
    await Promise.all(Array.from({ length: Math.min(group, count - i) }, (_, j) => round(i + j)));
  }
}

async function heap() {
  // Sockets that were ended close in turns of their own.
  for (let i = 0; i < 5; i++) {
    await sleep(100);
    globalThis.gc();
  }
  return process.memoryUsage().heapUsed;
}

for (const pipe of [process.stdout, process.stderr]) pipe.write(''); // so that they are there before
const before = process.getActiveResourcesInfo();
await run(rounds / 2); // what is made once, and compiled code
const usedBefore = await heap();
await run(rounds);
const grownBytes = (await heap()) - usedBefore;
const resources = process.getActiveResourcesInfo();
for (const one of before) {
  const at = resources.indexOf(one);
  if (at >= 0) resources.splice(at, 1);
}
console.log(JSON.stringify({ resources, grownBytes }));
silent.close();
withSessions.close();
