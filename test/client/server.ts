/** A plain WebSocket server (`ws`) that knows nothing of us, on a port where it can be killed and started again. */
import { once } from 'node:events';
import { onTestFinished } from 'vitest';
import { type ServerOptions, type WebSocket, WebSocketServer } from 'ws';

export class PlainServer {
  /** Text of what came, over all connections and restarts. */
  readonly received: string[] = [];
  /** How many connections there were. */
  count = 0;
  /** Called for each connection. */
  onConnection: (socket: WebSocket) => void = () => {};
  /** Called for each message. */
  onMessage: (text: string, socket: WebSocket) => void = () => {};
  #server: WebSocketServer | undefined;

  constructor(
    public port: number,
    readonly options: ServerOptions = {},
  ) {}

  async start(): Promise<void> {
    const server = new WebSocketServer({ ...this.options, port: this.port, host: '127.0.0.1' });
    server.on('connection', socket => {
      this.count += 1;
      socket.on('error', () => {}); // the close that follows is what counts
      socket.on('message', data => {
        this.received.push(String(data));
        this.onMessage(String(data), socket);
      });
      this.onConnection(socket);
    });
    await once(server, 'listening');
    const address = server.address();
    if (typeof address === 'object' && address !== null) this.port = address.port;
    this.#server = server;
  }

  /** Ends it as a crash does: without a close frame. */
  async kill(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    for (const socket of server.clients) socket.terminate();
    server.close();
    await once(server, 'close');
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}`;
  }

  get sockets(): WebSocket[] {
    return [...(this.#server?.clients ?? [])];
  }
}

export async function startServer(options?: ServerOptions, port = 0): Promise<PlainServer> {
  const server = new PlainServer(port, options);
  await server.start();
  onTestFinished(() => server.kill());
  return server;
}
