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
 * @param {Record<string, string>} [env] beside the runner's own
 * @returns {Promise<Server>}
 */
export async function startServer([file, ...args], env = {}) {
  // Nothing is written to its standard input: its end tells the server that the runner is gone.
  const child = spawn(/** @type {string} */ (file), args, {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  });
  const exit = once(child, 'exit');
  const timeout = setTimeout(() => child.kill('SIGKILL'), START_TIMEOUT);
  const port = await Promise.race([
    announcedPort(child.stdout),
    exit.then(([code, signal]) => Promise.reject(new Error(`the server ended with ${signal ?? code}`))),
  ]).finally(() => clearTimeout(timeout));
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
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    timeout,
    killSignal: 'SIGKILL',
  });
  const output = collected(child.stdout);
  const errors = collected(child.stderr);
  const [code, signal] = await once(child, 'close');
  if (code !== 0) {
    const reason = /^(?:\w*Error: .*)$/m.exec(errors())?.[0] ?? errors().trim().slice(-200);
    throw new Error(`the load generator ended with ${signal ?? code}${reason && `: ${reason}`}`);
  }
  // JSON has no NaN, which stands for what could not be measured here: it comes as null.
  return JSON.parse(output(), (_key, value) => value ?? Number.NaN);
}

/** @param {import('node:stream').Readable | null} stream @returns {() => string} what it has said so far */
function collected(stream) {
  let text = '';
  stream?.setEncoding('utf8').on('data', more => {
    text += more;
  });
  return () => text;
}
