// @ts-check
/** uWebSockets.js alone, handlers inline: the ceiling of one thread. */

import { burn } from '../burn.js';
import { limits, listening, options, publisherQuery, topic } from './options.js';
import { uws } from './uws-module.js';

/** @typedef {import('uWebSockets.js').WebSocketBehavior<{ publisher: boolean }>} Behavior */

/** @type {Record<string, Behavior>} */
const workloads = {
  echo: {
    message(ws, message, isBinary) {
      ws.send(message, isBinary);
    },
  },
  cpu: {
    message(ws, message, isBinary) {
      burn(options.burn);
      ws.send(message, isBinary);
    },
  },
  fanout: {
    upgrade(res, req, context) {
      res.upgrade(
        { publisher: req.getQuery() === publisherQuery },
        req.getHeader('sec-websocket-key'),
        req.getHeader('sec-websocket-protocol'),
        req.getHeader('sec-websocket-extensions'),
        context,
      );
    },
    open(ws) {
      if (!ws.getUserData().publisher) ws.subscribe(topic);
    },
    message(_ws, message, isBinary) {
      // Not `ws.publish`: from a connection without subscriptions uWebSockets publishes nothing.
      app.publish(topic, message, isBinary);
    },
  },
};

const app = uws.App().ws('/*', {
  compression: uws.DISABLED,
  idleTimeout: 0,
  maxPayloadLength: limits.maxPayload,
  maxBackpressure: limits.maxBackpressure,
  ...workloads[options.workload],
});

app.listen(options.host, options.port, socket => {
  if (!socket) throw new Error(`cannot listen on port ${options.port}`);
  listening(uws.us_socket_local_port(socket));
});
