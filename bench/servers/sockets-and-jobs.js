// @ts-check
/**
 * The main thread of gateways that hand over each message by itself: uWebSockets.js holds the sockets, `handle` has the
 * work done on some other thread.
 */

import { endWithRunner, limits, listening, options } from './options.js';
import { uws } from './uws-module.js';

/** @typedef {import('uWebSockets.js').WebSocket<{ id: number }>} Socket */

/** @param {(id: number, message: ArrayBuffer, reply: (data: ArrayBuffer | Uint8Array) => void) => void} handle */
export function serve(handle) {
  let opened = 0;
  /** @type {Map<number, Socket>} */
  const sockets = new Map();
  const app = uws.App().ws('/*', {
    compression: uws.DISABLED,
    idleTimeout: 0,
    maxPayloadLength: limits.maxPayload,
    maxBackpressure: limits.maxBackpressure,
    upgrade(res, req, context) {
      res.upgrade(
        { id: opened++ },
        req.getHeader('sec-websocket-key'),
        req.getHeader('sec-websocket-protocol'),
        req.getHeader('sec-websocket-extensions'),
        context,
      );
    },
    open(/** @type {Socket} */ ws) {
      sockets.set(ws.getUserData().id, ws);
    },
    message(/** @type {Socket} */ ws, message) {
      const { id } = ws.getUserData();
      // The message's memory is gone when this returns.
      handle(id, message.slice(0), data => sockets.get(id)?.send(data, true));
    },
    close(/** @type {Socket} */ ws) {
      sockets.delete(ws.getUserData().id);
    },
  });
  app.listen(options.host, 0, socket => {
    if (!socket) throw new Error('cannot listen');
    endWithRunner();
    listening(uws.us_socket_local_port(socket));
  });
}
