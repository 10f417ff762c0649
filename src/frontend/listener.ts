/** The listening socket: WebSocket upgrades and HTTP on one port. */
import { ListenError } from '../errors.js';
import type { Requests } from './requests.js';
import type { Sockets } from './sockets.js';
import { type ListenOptions, type TemplatedApp, type us_listen_socket, uws } from './uws.js';

/** LIBUS_LISTEN_EXCLUSIVE_PORT: what the types declare, the module does not export as they say. */
const EXCLUSIVE_PORT: ListenOptions.LIBUS_LISTEN_EXCLUSIVE_PORT = 1;

export class Listener {
  private socket: us_listen_socket | undefined;

  constructor(
    private readonly app: TemplatedApp,
    sockets: Sockets,
    requests: Requests,
  ) {
    sockets.attach(app);
    app.any('/*', (res, req) => requests.handle(res, req));
  }

  /** @returns the port @throws {ListenError} when the address cannot be had */
  listen(host: string, port: number): Promise<number> {
    return new Promise((resolve, reject) => {
      // Exclusive: otherwise a second gateway on the same port would silently take half of its clients.
      this.app.listen(host, port, EXCLUSIVE_PORT, socket => {
        if (!socket) {
          reject(
            new ListenError(
              `cannot listen on ${host}:${port}: the port is in use, or the address is not ours`,
            ),
          );
          return;
        }
        this.socket = socket;
        resolve(uws.us_socket_local_port(socket));
      });
    });
  }

  /** Takes no new clients from now on. Those that are here stay. */
  stopListening(): void {
    if (this.socket !== undefined) uws.us_listen_socket_close(this.socket);
    this.socket = undefined;
  }

  /** Drops every socket that is left, without a word. */
  close(): void {
    this.stopListening();
    this.app.close();
  }
}
