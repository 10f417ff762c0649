// @ts-check
/** uWebSockets.js alone, handlers inline: the ceiling of one thread. */

import { burn } from '../work/burn.js';
import { chatLine } from '../work/chat.js';
import { isHeavy } from '../work/heavy.js';
import { orderSummary } from '../work/order.js';
import { endWithRunner, limits, listening, options, role } from './options.js';
import { uws } from './uws-module.js';

/**
 * @typedef {import('uWebSockets.js').HttpResponse} HttpResponse
 * @typedef {import('uWebSockets.js').WebSocketBehavior<{ topic: string, publisher: boolean }>} Behavior
 */

const decoder = new TextDecoder();

/** Only workloads with topics ask who a client is. @type {Behavior} */
const topics = {
  upgrade(res, req, context) {
    res.upgrade(
      role(req.getQuery()),
      req.getHeader('sec-websocket-key'),
      req.getHeader('sec-websocket-protocol'),
      req.getHeader('sec-websocket-extensions'),
      context,
    );
  },
  open(ws) {
    const { topic, publisher } = ws.getUserData();
    if (!publisher) ws.subscribe(topic);
  },
};

/** @type {Record<string, Behavior>} */
const works = {
  echo: {
    message(ws, message, isBinary) {
      burn(options.burn);
      ws.send(message, isBinary);
    },
  },
  mixed: {
    message(ws, message, isBinary) {
      if (isHeavy(new Uint8Array(message))) burn(options.burn);
      ws.send(message, isBinary);
    },
  },
  fanout: {
    ...topics,
    message(ws, message, isBinary) {
      // Not `ws.publish`: from a connection without subscriptions uWebSockets publishes nothing.
      app.publish(ws.getUserData().topic, message, isBinary);
    },
  },
  chat: {
    ...topics,
    message(_ws, message) {
      const chat = chatLine(decoder.decode(message));
      if (chat) app.publish(chat.room, chat.line, false);
    },
  },
  http: topics,
};

const app = uws.App().ws('/*', {
  compression: uws.DISABLED,
  idleTimeout: 0,
  maxPayloadLength: limits.maxPayload,
  maxBackpressure: limits.maxBackpressure,
  ...works[options.work],
});

app
  .get('/', res => {
    res.writeHeader('content-type', 'text/plain').end('hello');
  })
  .get('/cpu', res => {
    burn(options.burn);
    res.writeHeader('content-type', 'text/plain').end('hello');
  })
  .post('/order', res => {
    withBody(res, body => {
      res.writeHeader('content-type', 'application/json').end(orderSummary(body.toString()));
    });
  })
  .post('/publish', (res, req) => {
    const { topic } = role(req.getQuery());
    withBody(res, body => {
      app.publish(topic, body, true);
      res.writeStatus('202 Accepted').end();
    });
  });

/** @param {HttpResponse} res @param {(body: Buffer) => void} use while the response is open, inside its cork */
function withBody(res, use) {
  /** @type {Buffer[]} */
  const parts = [];
  res.onAborted(() => {});
  res.onData((chunk, isLast) => {
    if (isLast && parts.length === 0) {
      use(Buffer.from(chunk));
      return;
    }
    // The chunk is gone when this returns.
    parts.push(Buffer.from(Buffer.from(chunk)));
    if (isLast) use(Buffer.concat(parts));
  });
}

app.listen(options.host, 0, socket => {
  if (!socket) throw new Error('cannot listen');
  endWithRunner();
  listening(uws.us_socket_local_port(socket));
});
