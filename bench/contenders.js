// @ts-check
/**
 * Who takes part. Each is a command that accepts `--work <name> --burn <iterations> --threads <n>`, serves on a free port
 * of 127.0.0.1, prints `listening <port>`, and ends when its standard input does. To add one, write its server and name
 * it here and in workloads.js.
 */

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * @typedef {object} Contender
 * @property {string} title
 * @property {string} settings what it was set up with, for the report
 * @property {string[]} command
 * @property {Record<string, string>} [env]
 * @property {'websocket' | 'socket.io'} [dialect] default websocket
 * @property {number} [threads] lanes, workers or processes; default 1
 * @property {() => string | undefined} [missing] what must be done before it can take part; undefined when it can
 * @property {() => void} [prepare] done once, before its first turn
 */

const INSTALL = 'npm install --prefix bench';

/** @param {string} file @param {...string} args */
const node = (file, ...args) => [process.execPath, path(`servers/${file}`), ...args];

/** @param {string} name of a package in bench/package.json */
const installed = name => (existsSync(path(`node_modules/${name}/package.json`)) ? undefined : INSTALL);

/** @param {number} lanes @returns {Contender} */
const threadgate = lanes => ({
  title: `threadgate, ${lanes} ${lanes === 1 ? 'lane' : 'lanes'}`,
  settings: `lanes ${lanes}, idleTimeout 0, maxPayload 16 MiB, otherwise its defaults; lanes answer HTTP too; 5 ms of work are handed to a job`,
  command: node('threadgate.js'),
  threads: lanes,
  missing: () => (existsSync(path('../dist/src/index.js')) ? undefined : 'npm run build'),
});

const goBinary = path('node_modules/.cache/threadgate-bench-go');
const goPath = [...(process.env.GOPATH?.split(delimiter) ?? []), '/usr/share/gocode'].find(folder =>
  existsSync(join(folder, 'src/github.com/gorilla/websocket')),
);
const nchanModule = ['/usr/lib/nginx/modules', '/usr/lib64/nginx/modules', '/usr/local/lib/nginx/modules']
  .map(folder => join(folder, 'ngx_nchan_module.so'))
  .find(existsSync);

/** @satisfies {Record<string, Contender>} */
const all = {
  threadgate: threadgate(1),
  'threadgate-2': threadgate(2),
  uws: {
    title: 'uWebSockets.js',
    settings: 'one thread, handlers inline, native publish, idleTimeout 0, no compression',
    command: node('uws.js'),
  },
  ws: {
    title: 'ws on node:http',
    settings: 'one thread, handlers inline, with bufferutil, no compression',
    command: node('ws-alone.js'),
    missing: () => installed('ws'),
  },
  socketio: {
    title: 'Socket.IO',
    settings:
      'on ws with bufferutil, WebSocket transport only, rooms, text payloads, initial request dropped; pings only after an hour',
    command: node('socketio.js'),
    dialect: 'socket.io',
    missing: () => installed('socket.io'),
  },
  cluster: {
    title: 'cluster of ws, 2 processes',
    settings: 'node:cluster with round-robin, ws in each process; publishes go through the primary',
    command: node('cluster.js'),
    threads: 2,
    missing: () => installed('ws'),
  },
  postmessage: {
    title: 'postMessage, 2 workers',
    settings:
      'one message posted per message, each way; uWebSockets.js for the sockets; a connection keeps to one worker',
    command: node('postmessage.js'),
    threads: 2,
  },
  piscina: {
    title: 'Piscina tasks, 2 workers',
    settings:
      'one task per message, Piscina with its defaults; uWebSockets.js for the sockets; replies keep no order',
    command: node('piscina.js'),
    threads: 2,
  },
  bun: {
    title: 'Bun',
    settings: 'Bun.serve, handlers inline, native publish, idleTimeout 0, no compression',
    command: [bunBinary() ?? 'bun', path('servers/bun.js')],
    missing: () => (bunBinary() ? undefined : `${INSTALL}, or Bun itself (https://bun.com)`),
  },
  go: {
    title: 'Go, gorilla/websocket',
    settings:
      'a read and a write goroutine per connection, channel and mutex between; the chat hub; all cores',
    command: [goBinary],
    missing: missingForGo,
    prepare: buildGo,
  },
  nchan: {
    title: 'nginx with nchan',
    settings:
      'a worker process per core, messages kept for 10 s; only publishes, runs no handlers, and stalls beyond 32,767 messages a second in a channel (so not with one subscriber)',
    command: node('nchan.js'),
    threads: availableParallelism(),
    env: { BENCH_NCHAN_MODULE: nchanModule ?? '' },
    missing: () =>
      nchanModule && succeeds('nginx', '-v')
        ? undefined
        : 'nginx with nchan (Debian: apt-get install nginx libnginx-mod-nchan)',
  },
};

/** @typedef {keyof typeof all} ContenderName */

/** @type {Record<ContenderName, Contender>} */
export const contenders = all;

export const contenderNames = /** @type {ContenderName[]} */ (Object.keys(all));

/** The binary that comes with the npm package, or one that is installed. */
function bunBinary() {
  const candidates = ['bun/bin/bun.exe', ...platformPackages()];
  const own = candidates.map(file => path(`node_modules/${file}`)).find(file => succeeds(file, '--version'));
  return own ?? (succeeds('bun', '--version') ? 'bun' : undefined);
}

/** Where npm runs no install scripts, `bun/bin` may hold a placeholder; the binary stands in a package of its own. */
function platformPackages() {
  const arch = process.arch === 'arm64' ? 'aarch64' : process.arch;
  return ['', '-baseline'].map(kind => `@oven/bun-${process.platform}-${arch}${kind}/bin/bun`);
}

function missingForGo() {
  if (goPath && succeeds('go', 'version')) return undefined;
  return 'Go and gorilla/websocket (Debian: apt-get install golang-go golang-github-gorilla-websocket-dev)';
}

function buildGo() {
  mkdirSync(path('node_modules/.cache'), { recursive: true });
  const go = spawnSync('go', ['build', '-o', goBinary, '.'], {
    cwd: path('servers/go'),
    stdio: 'inherit',
    // Debian installs Go packages as sources, for builds without modules.
    env: { ...process.env, GO111MODULE: 'off', GOPATH: goPath },
  });
  if (go.status !== 0) throw new Error('go build failed');
}

/** @param {string} command @param {...string} args */
function succeeds(command, ...args) {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0;
}

/** Versions of what the contenders are made of, as far as they are here. @returns {Record<string, string>} */
export function versions() {
  const packages = ['ws', 'bufferutil', 'socket.io', 'piscina', 'autocannon'];
  return Object.fromEntries(
    [
      ...packages.map(name => [name, packageVersion(name)]),
      ['bun', output(all.bun.command[0] ?? 'bun', '--version')],
      ['go', output('go', 'version')?.match(/go([\d.]+)/)?.[1]],
      ['nginx', output('nginx', '-v')?.match(/nginx\/([\d.]+)/)?.[1]],
    ].filter(([, version]) => version),
  );
}

/** Read from its file, which many packages do not export. @param {string} name */
function packageVersion(name) {
  const file = ['node_modules', '../node_modules']
    .map(folder => path(`${folder}/${name}/package.json`))
    .find(existsSync);
  return file && JSON.parse(readFileSync(file, 'utf8')).version;
}

/** @param {string} command @param {...string} args */
function output(command, ...args) {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  return status === 0 ? `${stdout}${stderr}`.trim() : undefined;
}

/** @param {string} relative to this folder */
function path(relative) {
  return fileURLToPath(new URL(relative, import.meta.url));
}
