/**
 * The admin listener: health, readiness and statistics, on a port of its own that is not for clients.
 * `node:http` serves it: it is asked a few times a minute.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ListenError } from '../errors.js';
import type { GatewayStats } from '../stats.js';

export class AdminListener {
  private readonly server: Server;

  constructor(
    private readonly ready: () => boolean,
    private readonly stats: () => GatewayStats,
  ) {
    this.server = createServer((request, response) => this.answer(request, response));
  }

  /** @returns the port @throws {ListenError} */
  listen(host: string, port: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.server.once('error', error => {
        reject(new ListenError(`cannot listen on ${host}:${port} for the admin listener: ${error.message}`));
      });
      this.server.listen(port, host, () => resolve((this.server.address() as AddressInfo).port));
    });
  }

  private answer(request: IncomingMessage, response: ServerResponse): void {
    if (request.method !== 'GET' && request.method !== 'HEAD')
      return end(response, 405, 'method not allowed\n');
    switch (request.url?.split('?')[0]) {
      case '/healthz':
        return end(response, 200, 'ok\n');
      case '/readyz':
        return this.ready() ? end(response, 200, 'ready\n') : end(response, 503, 'not ready\n');
      case '/stats':
        return end(response, 200, `${JSON.stringify(this.stats(), undefined, 2)}\n`, 'application/json');
      default:
        return end(response, 404, 'not found; there are /healthz, /readyz and /stats\n');
    }
  }

  close(): void {
    this.server.close();
    this.server.closeAllConnections();
  }
}

function end(response: ServerResponse, status: number, text: string, type = 'text/plain'): void {
  response.writeHead(status, { 'content-type': type }).end(text);
}
