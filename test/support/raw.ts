/** A TCP socket that speaks just as much HTTP and WebSocket as a test tells it to. Ended when its test is over. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

export const Opcode = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export interface Frame {
  fin: boolean;
  /** The first reserved bit: the payload is compressed. */
  rsv1: boolean;
  opcode: number;
  payload: Buffer;
}

export class RawSocket {
  /** Resolves when the other side has ended the stream or the socket broke. */
  readonly closed: Promise<void>;
  private received = Buffer.alloc(0);
  private ended = false;
  private wake: () => void = () => {};

  constructor(readonly socket: Socket) {
    socket.on('data', chunk => {
      this.received = this.received.length === 0 ? chunk : Buffer.concat([this.received, chunk]);
      this.wake();
    });
    socket.on('error', () => {});
    this.closed = new Promise(resolve => {
      const end = (): void => {
        this.ended = true;
        this.wake();
        resolve();
      };
      socket.on('end', end);
      socket.on('close', end);
    });
  }

  write(data: string | Uint8Array): void {
    this.socket.write(data);
  }

  /** Resolves when everything written was handed to the kernel. */
  flushed(): Promise<void> {
    return new Promise(resolve => this.socket.write('', () => resolve()));
  }

  /** Takes what `parse` finds at the start of what was received, as soon as it finds it. */
  private async read<T>(parse: (bytes: Buffer) => { value: T; length: number } | undefined): Promise<T> {
    for (;;) {
      const found = parse(this.received);
      if (found !== undefined) {
        this.received = this.received.subarray(found.length);
        return found.value;
      }
      if (this.ended) throw new Error(`the socket ended after: ${this.received.toString('latin1', 0, 500)}`);
      await new Promise<void>(resolve => {
        this.wake = resolve;
      });
    }
  }

  /** Everything up to and including `end`, one character a byte. */
  readUntil(end: string): Promise<string> {
    return this.read(bytes => {
      const at = bytes.indexOf(end, 0, 'latin1');
      return at < 0
        ? undefined
        : { value: bytes.toString('latin1', 0, at + end.length), length: at + end.length };
    });
  }

  readBytes(length: number): Promise<Buffer> {
    return this.read(bytes =>
      bytes.length < length ? undefined : { value: Buffer.from(bytes.subarray(0, length)), length },
    );
  }

  /** Everything until the other side ends the stream, one character a byte. */
  async readToEnd(): Promise<string> {
    await this.closed;
    const rest = this.received.toString('latin1');
    this.received = Buffer.alloc(0);
    return rest;
  }

  /** @returns the head of the answer, which is a 101 when all went well */
  async upgrade(path = '/', headers: string[] = []): Promise<string> {
    const lines = [
      `GET ${path} HTTP/1.1`,
      'Host: localhost',
      'Upgrade: websocket',
      'Connection: Upgrade',
      `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`,
      'Sec-WebSocket-Version: 13',
      ...headers,
    ];
    this.write(`${lines.join('\r\n')}\r\n\r\n`);
    return this.readUntil('\r\n\r\n');
  }

  frame(
    opcode: number,
    payload: Uint8Array | string = '',
    { fin = true, rsv1 = false, masked = true } = {},
  ): void {
    this.write(encodeFrame(opcode, payload, { fin, rsv1, masked }));
  }

  nextFrame(): Promise<Frame> {
    return this.read(parseFrame);
  }

  /** Stops taking bytes from the kernel: its buffers fill up, then those of the gateway. */
  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  destroy(): void {
    this.socket.destroy();
  }
}

export function encodeFrame(
  opcode: number,
  payload: Uint8Array | string,
  { fin = true, rsv1 = false, masked = true } = {},
): Buffer {
  const data = Buffer.from(payload);
  const length =
    data.length < 126
      ? Buffer.from([data.length])
      : data.length < 65_536
        ? Buffer.from([126, data.length >> 8, data.length & 255])
        : Buffer.concat([Buffer.from([127]), bigEndian64(data.length)]);
  const head = Buffer.concat([Buffer.from([(fin ? 0x80 : 0) | (rsv1 ? 0x40 : 0) | opcode]), length]);
  if (!masked) return Buffer.concat([head, data]);
  head[1] = (head[1] as number) | 0x80;
  const mask = randomBytes(4);
  for (let i = 0; i < data.length; i++) data[i] = (data[i] as number) ^ (mask[i & 3] as number);
  return Buffer.concat([head, mask, data]);
}

function bigEndian64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

function parseFrame(bytes: Buffer): { value: Frame; length: number } | undefined {
  if (bytes.length < 2) return undefined;
  const first = bytes.readUInt8(0);
  let length = bytes.readUInt8(1) & 0x7f;
  let at = 2;
  if (length === 126) {
    if (bytes.length < 4) return undefined;
    length = bytes.readUInt16BE(2);
    at = 4;
  } else if (length === 127) {
    if (bytes.length < 10) return undefined;
    length = Number(bytes.readBigUInt64BE(2));
    at = 10;
  }
  if (bytes.length < at + length) return undefined;
  const value = {
    fin: (first & 0x80) !== 0,
    rsv1: (first & 0x40) !== 0,
    opcode: first & 15,
    payload: Buffer.from(bytes.subarray(at, at + length)),
  };
  return { value, length: at + length };
}

/** Code and reason of a close frame. */
export function closeOf({ payload }: Frame): { code: number; reason: string } {
  return {
    code: payload.length >= 2 ? payload.readUInt16BE(0) : 1005,
    reason: payload.toString('utf8', 2),
  };
}

/** A connected TCP socket. */
export async function openRaw(port: number): Promise<RawSocket> {
  const socket = createConnection({ port, host: '127.0.0.1' });
  onTestFinished(() => {
    socket.destroy();
  });
  await once(socket, 'connect');
  return new RawSocket(socket);
}

/** A WebSocket that has been upgraded. */
export async function openRawWebSocket(port: number, path = '/', headers: string[] = []): Promise<RawSocket> {
  const raw = await openRaw(port);
  const head = await raw.upgrade(path, headers);
  if (!head.startsWith('HTTP/1.1 101 ')) throw new Error(`not upgraded: ${head}`);
  return raw;
}
