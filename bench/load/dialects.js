// @ts-check
/** What a client says to a contender: plain WebSocket messages, or those of a protocol on top of them. */

import { clientFrame } from './frame.js';

/**
 * @typedef {'bytes' | 'text' | 'json'} PayloadKind
 *
 * @typedef {object} Dialect
 * @property {string} path where clients connect, as far as the query
 * @property {number} greetings messages of the server before a connection is ready
 * @property {Buffer} [hello] what the client answers to the first of them
 * @property {(payload: string, kind: PayloadKind) => import('./frame.js').Frame} frame
 */

/** @type {Record<'websocket' | 'socket.io', Dialect>} */
export const dialects = {
  websocket: {
    path: '/?',
    greetings: 0,
    frame: (payload, kind) => clientFrame(payload, { binary: kind === 'bytes' }),
  },
  // Engine.IO 4 and Socket.IO 5: the server opens (0{…}), the client joins the default namespace (40), the server
  // agrees (40{…}); then events (42[name, data]). Bytes would take two frames each way, so they go as text.
  'socket.io': {
    path: '/socket.io/?EIO=4&transport=websocket&',
    greetings: 2,
    hello: clientFrame('40').bytes,
    frame: (payload, kind) =>
      clientFrame(`42["message",${kind === 'json' ? payload : JSON.stringify(payload)}]`),
  },
};
