// @ts-check
/** The `ws` package, handlers inline. */

import { WebSocketServer } from 'ws';
import { burn } from '../burn.js';
import { limits, listening, options, publisherQuery } from './options.js';

/** @typedef {(ws: import('ws').WebSocket, data: import('ws').RawData, isBinary: boolean) => void} OnMessage */

/** @type {Set<import('ws').WebSocket>} */
const subscribers = new Set();

/** @type {Record<string, OnMessage>} */
const workloads = {
  echo(ws, data, isBinary) {
    ws.send(data, { binary: isBinary });
  },
  cpu(ws, data, isBinary) {
    burn(options.burn);
    ws.send(data, { binary: isBinary });
  },
  fanout(_ws, data, isBinary) {
    for (const subscriber of subscribers) subscriber.send(data, { binary: isBinary });
  },
};
const onMessage = /** @type {OnMessage} */ (workloads[options.workload]);

const server = new WebSocketServer({
  host: options.host,
  port: options.port,
  perMessageDeflate: false,
  maxPayload: limits.maxPayload,
});

server.on('connection', (ws, request) => {
  if (!request.url?.endsWith(`?${publisherQuery}`)) {
    subscribers.add(ws);
    ws.on('close', () => subscribers.delete(ws));
  }
  ws.on('message', (data, isBinary) => onMessage(ws, data, isBinary));
  ws.on('error', console.error);
});

server.on('listening', () => {
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  listening(port);
});
