// @ts-check
/**
 * Who takes part. Each is a command that accepts `--workload <name>` and `--burn <iterations>`, serves on a free port of
 * 127.0.0.1 and prints `listening <port>`. To add one, write its server and name it here and in workloads.js.
 */

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/**
 * @typedef {object} Contender
 * @property {string} title
 * @property {string} settings what it was set up with, for the report
 * @property {string[]} command
 * @property {() => string | undefined} [missing] what must be done before it can take part; undefined when it can
 */

/** @param {string} file @param {...string} args */
const node = (file, ...args) => [process.execPath, path(`servers/${file}`), ...args];

/** @param {number} lanes @returns {Contender} */
const threadgate = lanes => ({
  title: `threadgate, ${lanes} ${lanes === 1 ? 'lane' : 'lanes'}`,
  settings: `lanes ${lanes}, idleTimeout 0`,
  command: node('threadgate.js', '--lanes', String(lanes)),
  missing: () => (existsSync(path('../dist/src/index.js')) ? undefined : 'npm run build'),
});

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
    title: 'ws',
    settings: 'one thread, handlers inline, no compression',
    command: node('ws.js'),
  },
  'node-http': {
    title: 'node:http',
    settings: 'one thread, handlers inline, keep-alive',
    command: node('node-http.js'),
  },
  'uws-http': {
    title: 'uWebSockets.js HTTP',
    settings: 'one thread, handlers inline, keep-alive',
    command: node('uws-http.js'),
  },
};

/** @typedef {keyof typeof all} ContenderName */

/** @type {Record<ContenderName, Contender>} */
export const contenders = all;

/** @param {string} relative to this folder */
function path(relative) {
  return fileURLToPath(new URL(relative, import.meta.url));
}
