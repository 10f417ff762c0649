/** A WebSocket client (`ws`) whose messages and end can be awaited. Ended when its test is over. */
import { once } from 'node:events';
import { onTestFinished } from 'vitest';
import { type ClientOptions, WebSocket } from 'ws';

export interface Closed {
  code: number;
  reason: string;
}

export type Received = string | Buffer;

export interface ConnectOptions extends ClientOptions {
  path?: string;
  protocols?: string[];
}

export class Client {
  readonly socket: WebSocket;
  /** Resolves when the connection has ended, however it did. */
  readonly closed: Promise<Closed>;
  /** Received and not taken by `next` so far. */
  readonly inbox: Received[] = [];
  /** Data of the pings that came. */
  readonly pings: Buffer[] = [];
  readonly pongs: Buffer[] = [];
  private readonly waiting: { resolve(message: Received): void; reject(error: Error): void }[] = [];
  private end: Closed | undefined;
  private error: Error | undefined;

  constructor(port: number, { path = '/', protocols = [], ...options }: ConnectOptions = {}) {
    this.socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, protocols, {
      perMessageDeflate: false,
      ...options,
    });
    this.socket.on('message', (data: Buffer, isBinary) => this.receive(isBinary ? data : data.toString()));
    this.socket.on('ping', data => this.pings.push(data));
    this.socket.on('pong', data => this.pongs.push(data));
    // The close that follows tells of it.
    this.socket.on('error', error => {
      this.error = error;
    });
    this.closed = new Promise(resolve => {
      this.socket.on('close', (code, reason) => {
        this.end = { code, reason: reason.toString() };
        for (const { reject } of this.waiting.splice(0)) reject(this.ended());
        resolve(this.end);
      });
    });
  }

  protected receive(message: Received): void {
    const waiter = this.waiting.shift();
    if (waiter === undefined) this.inbox.push(message);
    else waiter.resolve(message);
  }

  private ended(): Error {
    const { code, reason } = this.end ?? {};
    return new Error(`the connection was closed with ${code} '${reason}'`, { cause: this.error });
  }

  /** The next message: a string for a text frame, a Buffer for a binary one. Rejects when none will come. */
  next(): Promise<Received> {
    const message = this.inbox.shift();
    if (message !== undefined) return Promise.resolve(message);
    if (this.end !== undefined) return Promise.reject(this.ended());
    return new Promise((resolve, reject) => this.waiting.push({ resolve, reject }));
  }

  async take(count: number): Promise<Received[]> {
    const messages: Received[] = [];
    while (messages.length < count) messages.push(await this.next());
    return messages;
  }

  async nextJson<T = unknown>(): Promise<T> {
    return JSON.parse(String(await this.next())) as T;
  }

  send(data: string | Uint8Array): void {
    this.socket.send(data);
  }

  /** Sends a command and returns the next message as JSON. */
  async ask<T = unknown>(command: string | object): Promise<T> {
    this.send(typeof command === 'string' ? command : JSON.stringify(command));
    return this.nextJson<T>();
  }

  close(code?: number, reason?: string): Promise<Closed> {
    this.socket.close(code, reason);
    return this.closed;
  }

  async disconnect(): Promise<void> {
    this.socket.terminate();
    await this.closed;
  }
}

/** An open connection. Rejects when it is refused. */
export async function connect(port: number, options?: ConnectOptions): Promise<Client> {
  const client = new Client(port, options);
  onTestFinished(() => client.disconnect());
  await once(client.socket, 'open');
  return client;
}

export async function connectMany(port: number, count: number, options?: ConnectOptions): Promise<Client[]> {
  const clients: Client[] = [];
  while (clients.length < count) {
    const some = Math.min(100, count - clients.length);
    clients.push(...(await Promise.all(Array.from({ length: some }, () => connect(port, options)))));
  }
  return clients;
}

export interface Refusal {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: string;
}

/** Tries to connect, and resolves with the HTTP answer that refused it. */
export function refused(port: number, options?: ConnectOptions): Promise<Refusal> {
  const client = new Client(port, options);
  onTestFinished(() => client.disconnect());
  return new Promise((resolve, reject) => {
    client.socket.on('open', () => reject(new Error('the upgrade was accepted')));
    client.socket.on('unexpected-response', async (_request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of response) chunks.push(chunk as Buffer);
      resolve({
        status: response.statusCode ?? 0,
        headers: response.headers,
        body: Buffer.concat(chunks).toString(),
      });
    });
  });
}
