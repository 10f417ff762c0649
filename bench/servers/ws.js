// @ts-check
/** The `ws` package on node:http, handlers inline. Also what each process of the cluster runs. */

import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';
import { burn } from '../work/burn.js';
import { chatLine } from '../work/chat.js';
import { isHeavy } from '../work/heavy.js';
import { orderSummary } from '../work/order.js';
import { limits, options, role } from './options.js';

/**
 * @typedef {import('ws').WebSocket} WebSocket
 * @typedef {{ topic: string, data: Uint8Array, binary: boolean }} Publication
 * @typedef {(ws: WebSocket, data: Buffer, binary: boolean, topic: string) => void} OnMessage
 */

/** @type {Map<string, Set<WebSocket>>} */
const topics = new Map();

/** @param {Publication} publication */
export function deliver({ topic, data, binary }) {
  for (const ws of topics.get(topic) ?? []) {
    // A client that does not read must not fill the memory.
    if (ws.bufferedAmount > limits.maxBackpressure) ws.terminate();
    else ws.send(data, { binary });
  }
}

/**
 * @param {(publication: Publication) => void} publish to all subscribers, wherever they are
 * @returns {import('node:http').Server} which does not listen yet
 */
export function createWsServer(publish) {
  const { burn: iterations } = options;
  /** @type {Record<string, OnMessage>} */
  const works = {
    echo(ws, data, binary) {
      burn(iterations);
      ws.send(data, { binary });
    },
    mixed(ws, data, binary) {
      if (isHeavy(data)) burn(iterations);
      ws.send(data, { binary });
    },
    fanout: (_ws, data, binary, topic) => publish({ topic, data, binary }),
    chat(_ws, data) {
      const chat = chatLine(data.toString());
      // As bytes: of a string each `send` would make them anew.
      if (chat) publish({ topic: chat.room, data: Buffer.from(chat.line), binary: false });
    },
    http: () => {},
  };
  const onMessage = /** @type {OnMessage} */ (works[options.work]);

  const server = createServer((request, response) => {
    const { url = '/' } = request;
    if (url === '/order') {
      body(request).then(bytes => {
        response.writeHead(200, { 'content-type': 'application/json' }).end(orderSummary(bytes.toString()));
      });
    } else if (url.startsWith('/publish')) {
      body(request).then(data => {
        publish({ topic: role(url).topic, data, binary: true });
        response.writeHead(202).end();
      });
    } else {
      if (url === '/cpu') burn(iterations);
      response.writeHead(200, { 'content-type': 'text/plain' }).end('hello');
    }
  });

  const sockets = new WebSocketServer({
    server,
    perMessageDeflate: false,
    maxPayload: limits.maxPayload,
  });
  sockets.on('connection', (ws, request) => {
    const { topic, publisher } = role(request.url);
    if (topic && !publisher) subscribe(ws, topic);
    ws.on('message', (data, binary) => onMessage(ws, /** @type {Buffer} */ (data), binary, topic));
    ws.on('error', console.error);
  });
  return server;
}

/** @param {WebSocket} ws @param {string} topic */
function subscribe(ws, topic) {
  const subscribers = topics.get(topic) ?? new Set();
  topics.set(topic, subscribers.add(ws));
  ws.on('close', () => subscribers.delete(ws));
}

/** @param {import('node:http').IncomingMessage} request @returns {Promise<Buffer>} */
async function body(request) {
  /** @type {Buffer[]} */
  const parts = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts);
}
