/**
 * The gateway's side of `threadgate.v1`, played from a script: says what a test tells it to, byte by byte as docs/protocol.md
 * has it, and shows what the client said.
 */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';

export const MARK = '9f86d081884c7d65';
export const SESSION = 'a9993e364706816aba3e25717850c26c';

export const WELCOME = { session: SESSION, resumed: false, mark: MARK, window: 262_144, largest: 1_048_558 };

/** What the client said: a frame, or a message of the app. */
export type Said =
  | { kind: 1; binary: boolean; doubtful: boolean; number: number; data: string }
  | { kind: 2; number: number }
  | { kind: 5 | 7 }
  | { text: string }
  | { bytes: string };

/** A frame of this kind: the rest are numbers (8 bytes), bytes, and text. */
export function frame(kind: number, ...rest: (number | Uint8Array | string)[]): Buffer {
  const parts = rest.map(part => {
    if (typeof part !== 'number') return Buffer.from(part as string);
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64BE(BigInt(part));
    return bytes;
  });
  return Buffer.concat([Buffer.from(MARK, 'hex'), Uint8Array.of(kind), ...parts]);
}

function understand(data: Buffer, isBinary: boolean): Said {
  if (!isBinary) return { text: String(data) };
  if (data.toString('hex', 0, 8) !== MARK) return { bytes: data.toString('hex') };
  const kind = data[8];
  if (kind === 1) {
    const flags = data[9] as number;
    const number = Number(data.readBigUInt64BE(10));
    const isBytes = (flags & 1) !== 0;
    const text = data.toString(isBytes ? 'hex' : 'utf8', 18);
    return { kind, binary: isBytes, doubtful: (flags & 2) !== 0, number, data: text };
  }
  if (kind === 2) return { kind, number: Number(data.readBigUInt64BE(9)) };
  if ((kind === 5 || kind === 7) && data.length === 9) return { kind };
  throw new Error(`the client sent a frame that it may not send: ${data.toString('hex')}`);
}

/** A guaranteed text message as the client is to say it. */
export function said(number: number, data: string, doubtful = false): Said {
  return { kind: 1, binary: false, doubtful, number, data };
}

export class ScriptedConnection {
  /** What it said and nobody has asked for. */
  readonly heard: Said[] = [];
  readonly closed: Promise<{ code: number; reason: string }>;
  readonly #readers: ((said: Said) => void)[] = [];

  constructor(
    readonly socket: WebSocket,
    readonly offered: string[],
  ) {
    socket.on('error', () => {});
    socket.on('message', (data: Buffer, isBinary) => this.#hear(understand(data, isBinary)));
    this.closed = new Promise(resolve => {
      socket.on('close', (code, reason) => resolve({ code, reason: String(reason) }));
    });
  }

  /** The next thing that the client says. */
  next(): Promise<Said> {
    const said = this.heard.shift();
    if (said !== undefined) return Promise.resolve(said);
    return new Promise(resolve => this.#readers.push(resolve));
  }

  async take(count: number): Promise<Said[]> {
    const all: Said[] = [];
    while (all.length < count) all.push(await this.next());
    return all;
  }

  welcome(part: Partial<typeof WELCOME> = {}): this {
    this.socket.send(JSON.stringify({ ...WELCOME, ...part }));
    return this;
  }

  message(number: number, data: string | Uint8Array): this {
    this.socket.send(frame(1, Uint8Array.of(typeof data === 'string' ? 0 : 1), number, data));
    return this;
  }

  acknowledge(number: number): this {
    this.socket.send(frame(2, number));
    return this;
  }

  go(number: number): this {
    this.socket.send(frame(3, number));
    return this;
  }

  refuse(number: number, reason: string): this {
    this.socket.send(frame(4, number, reason));
    return this;
  }

  pong(): this {
    this.socket.send(frame(6));
    return this;
  }

  #hear(said: Said): void {
    const reader = this.#readers.shift();
    if (reader === undefined) this.heard.push(said);
    else reader(said);
  }
}

export class ScriptedGateway {
  /** What to choose of what is offered; false: nothing. */
  choose: (offered: string[]) => string | false = offered =>
    offered.find(each => each.startsWith('threadgate.')) ?? false;
  readonly #connections: ScriptedConnection[] = [];
  readonly #waiting: ((connection: ScriptedConnection) => void)[] = [];
  readonly #server = new WebSocketServer({
    port: 0,
    host: '127.0.0.1',
    handleProtocols: offered => this.choose([...offered]),
  });

  async start(): Promise<void> {
    this.#server.on('connection', (socket, request) => {
      const offered = request.headers['sec-websocket-protocol']?.split(/, ?/) ?? [];
      const connection = new ScriptedConnection(socket, offered);
      const waiting = this.#waiting.shift();
      if (waiting === undefined) this.#connections.push(connection);
      else waiting(connection);
    });
    await once(this.#server, 'listening');
  }

  /** The next connection that a client makes. */
  connection(): Promise<ScriptedConnection> {
    const connection = this.#connections.shift();
    if (connection !== undefined) return Promise.resolve(connection);
    return new Promise(resolve => this.#waiting.push(resolve));
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async end(): Promise<void> {
    for (const socket of this.#server.clients) socket.terminate();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

export async function startScript(): Promise<ScriptedGateway> {
  const gateway = new ScriptedGateway();
  await gateway.start();
  onTestFinished(() => gateway.end());
  return gateway;
}
