// @ts-check
/** The uWebSockets.js that fits this Node, chosen as the gateway chooses it (src/frontend/uws.ts says why). */

import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const major = Number(process.versions.node.split('.')[0]);

/** Their names in package.json, the better one first. */
const candidates = [
  ...(major >= 22 ? ['uWebSockets.js'] : []),
  ...(major <= 22 ? ['uWebSockets.js-v20.51'] : []),
];

/** @returns {{ uws: typeof import('uWebSockets.js'), uwsName: string }} */
function load() {
  let cause;
  for (const uwsName of candidates) {
    try {
      return { uws: require(uwsName), uwsName };
    } catch (error) {
      cause = error;
    }
  }
  throw new Error(`no uWebSockets.js loads on Node ${process.versions.node}`, { cause });
}

export const { uws, uwsName } = load();
