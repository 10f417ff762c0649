/**
 * Loads the uWebSockets.js that fits this Node. One release cannot serve every Node that users have, so two are
 * installed. Node's major version decides first: with npm's hoisting, an older release's binary can come to lie under
 * the newer one's wrapper, where it only seems to work.
 */

import type * as UWS from 'uWebSockets.js';
import { createRequire } from 'node:module';
import { PlatformError } from '../errors.js';

export type {
  HttpRequest,
  HttpResponse,
  ListenOptions,
  TemplatedApp,
  us_listen_socket,
  WebSocket,
} from 'uWebSockets.js';

const require = createRequire(import.meta.url);

/** Bytes of request headers that are taken, as in Node; uWebSockets' own 4 KiB are too few for today's cookies. */
const MAX_HEADERS_BYTES = 16 * 1024;

function candidates(): string[] {
  const major = Number(process.versions.node.split('.')[0]);
  if (major < 22 || major === 23) return ['uWebSockets.js-v20.51'];
  if (major === 22) return ['uWebSockets.js', 'uWebSockets.js-v20.51'];
  return ['uWebSockets.js'];
}

function load(): typeof UWS {
  process.env.UWS_HTTP_MAX_HEADERS_SIZE ??= String(MAX_HEADERS_BYTES);
  let cause: unknown;
  for (const name of candidates()) {
    try {
      return require(name) as typeof UWS;
    } catch (error) {
      cause = error;
    }
  }
  throw new PlatformError(
    `threadgate needs Node 20.19, 22 or 24 on glibc Linux (2.38 for Node 24), macOS or Windows, on x64 or arm64; ` +
      `this is Node ${process.versions.node} on ${process.platform} ${process.arch} ` +
      '(if Node was changed since `npm install`, install again)',
    { cause },
  );
}

export const uws: typeof UWS = load();
