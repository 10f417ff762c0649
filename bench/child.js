// @ts-check
/** The two processes of a measurement, started and ended by the runner: a contender's server, and a load generator. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const START_TIMEOUT = 15_000;
const STOP_TIMEOUT = 10_000;

/**
 * @typedef {object} Server
 * @property {number} pid
 * @property {number} port
 * @property {() => Promise<void>} stop
 */

/**
 * Resolves when the server listens.
 *
 * @param {string[]} command
 * @returns {Promise<Server>}
 */
export async function startServer([file, ...args]) {
  // The IPC channel carries nothing: its end tells the server that the runner is gone.
  const child = spawn(/** @type {string} */ (file), args, { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
  const exit = once(child, 'exit');
  const timeout = setTimeout(() => child.kill('SIGKILL'), START_TIMEOUT);
  const port = await Promise.race([
    announcedPort(/** @type {import('node:stream').Readable} */ (child.stdout)),
    exit.then(([code, signal]) => Promise.reject(new Error(`the server ended with ${signal ?? code}`))),
  ]);
  clearTimeout(timeout);
  const stop = async () => {
    const kill = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT);
    child.kill('SIGTERM');
    await exit;
    clearTimeout(kill);
  };
  return { pid: /** @type {number} */ (child.pid), port, stop };
}

/**
 * The port of the line `listening <port>`. Reads on after it, or a server that prints more would stall.
 *
 * @param {import('node:stream').Readable} output
 * @returns {Promise<number>}
 */
function announcedPort(output) {
  return new Promise(resolve => {
    createInterface(output).on('line', line => {
      const port = /^listening (\d+)$/.exec(line)?.[1];
      if (port) resolve(Number(port));
    });
  });
}

/**
 * Runs a load generator to its end.
 *
 * @param {string} name of its file in load/
 * @param {Record<string, unknown>} options
 * @param {number} timeout milliseconds
 * @returns {Promise<any>} the JSON that it printed
 */
export async function runLoad(name, options, timeout) {
  const file = fileURLToPath(new URL(`load/${name}.js`, import.meta.url));
  const child = spawn(process.execPath, [file, JSON.stringify(options)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout,
    killSignal: 'SIGKILL',
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', text => {
    output += text;
  });
  const [code, signal] = await once(child, 'close');
  if (code !== 0) throw new Error(`the load generator ended with ${signal ?? code}`);
  // JSON has no NaN, which stands for what could not be measured here: it comes as null.
  return JSON.parse(output, (_key, value) => value ?? Number.NaN);
}
