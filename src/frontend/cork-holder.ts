/**
 * A socket whose only purpose is to hold uWebSockets' cork while another one is upgraded.
 *
 * `res.upgrade` turns the response's memory into a WebSocket's. When that happens in place, `res.cork` does not notice,
 * goes on to read the response's state where it no longer is, and may close the new connection at once
 * (uNetworking/uWebSockets#1929; mended in v20.79, newer than what npm has for our Nodes). While another
 * socket holds the cork, `res.cork` only runs its function and looks at nothing afterwards. The price: the 101 response
 * goes out in small writes. Upgrades inside the request's own callback are not affected.
 */
import { randomUUID } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { type us_listen_socket, uws, type WebSocket } from './uws.js';

/** Any valid key: nobody checks the answer. */
const HANDSHAKE_KEY = 'dGhyZWFkZ2F0ZS1jb3JrIQ==';

export class CorkHolder {
  private constructor(
    private ws: WebSocket<object> | undefined,
    private readonly client: Socket,
  ) {}

  /** Opens a connection to itself over loopback. */
  static create(): Promise<CorkHolder> {
    return new Promise((resolve, reject) => {
      const path = `/${randomUUID()}`;
      let listening: us_listen_socket | undefined;
      let client: Socket | undefined;
      let holder: CorkHolder | undefined;
      uws
        .App()
        .ws(path, {
          idleTimeout: 0,
          open: ws => {
            if (listening !== undefined) uws.us_listen_socket_close(listening);
            holder = new CorkHolder(ws as WebSocket<object>, client as Socket);
            resolve(holder);
          },
          close: () => {
            if (holder !== undefined) holder.ws = undefined;
          },
        })
        .listen('127.0.0.1', 0, socket => {
          if (!socket) {
            reject(new Error('no loopback port is free'));
            return;
          }
          listening = socket;
          client = connect(uws.us_socket_local_port(socket), '127.0.0.1');
          client.on('error', reject).resume();
          client.write(
            `GET ${path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
              `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${HANDSHAKE_KEY}\r\n\r\n`,
          );
        });
    });
  }

  /** Runs the function while this socket holds the cork. */
  hold(run: () => void): void {
    if (this.ws === undefined) run();
    else this.ws.cork(run);
  }

  close(): void {
    this.ws?.close();
    this.client.destroy();
  }
}
