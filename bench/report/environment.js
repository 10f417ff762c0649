// @ts-check
/** Where and with what a run takes place. */

import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, release, totalmem, type } from 'node:os';
import { versions } from '../contenders.js';
import { uwsName } from '../servers/uws-module.js';

/** @typedef {ReturnType<typeof environment>} Environment */

export function environment() {
  return {
    date: new Date().toISOString(),
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    os: `${type()} ${release()}`,
    node: process.version,
    versions: {
      threadgate: version('../..'),
      'uWebSockets.js': version(`../../node_modules/${uwsName}`),
      ...versions(),
    },
  };
}

/** @param {string} folder @returns {string} */
function version(folder) {
  return JSON.parse(readFileSync(new URL(`${folder}/package.json`, import.meta.url), 'utf8')).version;
}
