// @ts-check
/** Bun's own server, handlers inline, native publish. Runs in Bun only. */

import { burn } from '../work/burn.js';
import { chatLine } from '../work/chat.js';
import { isHeavy } from '../work/heavy.js';
import { orderSummary } from '../work/order.js';
import { endWithRunner, limits, listening, options, role } from './options.js';

/** @typedef {(ws: any, message: string | Buffer) => void} OnMessage */

const { Bun } = /** @type {any} */ (globalThis);

/** @type {Record<string, OnMessage>} */
const works = {
  echo(ws, message) {
    burn(options.burn);
    ws.send(message);
  },
  mixed(ws, message) {
    if (isHeavy(/** @type {Buffer} */ (message))) burn(options.burn);
    ws.send(message);
  },
  fanout: (ws, message) => server.publish(ws.data.topic, message),
  chat(_ws, message) {
    const chat = chatLine(String(message));
    if (chat) server.publish(chat.room, chat.line);
  },
  http: () => {},
};

const server = Bun.serve({
  hostname: options.host,
  port: 0,
  idleTimeout: 0,
  fetch(/** @type {Request} */ request) {
    if (request.method === 'POST') return post(request);
    if (request.headers.has('upgrade') && server.upgrade(request, { data: role(request.url) }))
      return undefined;
    if (request.url.endsWith('/cpu')) burn(options.burn);
    return new Response('hello', { headers: { 'content-type': 'text/plain' } });
  },
  websocket: {
    perMessageDeflate: false,
    idleTimeout: 0,
    maxPayloadLength: limits.maxPayload,
    backpressureLimit: limits.maxBackpressure,
    open(/** @type {any} */ ws) {
      const { topic, publisher } = ws.data;
      if (topic && !publisher) ws.subscribe(topic);
    },
    message: /** @type {OnMessage} */ (works[options.work]),
  },
});
endWithRunner();
listening(server.port);

/** @param {Request} request */
async function post(request) {
  if (request.url.endsWith('/order')) {
    const headers = { 'content-type': 'application/json' };
    return new Response(orderSummary(await request.text()), { headers });
  }
  server.publish(role(request.url).topic, new Uint8Array(await request.arrayBuffer()));
  return new Response(null, { status: 202 });
}
