/** A client of the session protocol, frame by frame: docs/protocol.md, from the other side and independent of it. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { onTestFinished } from 'vitest';
import { Client, type ConnectOptions, type Received } from './client.js';

export interface Welcome {
  session: string;
  resumed: boolean;
  mark: string;
  window: number;
  largest: number;
}

export type Frame =
  | { kind: 'message'; number: number; data: string | Buffer }
  | { kind: 'acknowledged' | 'go'; number: number }
  | { kind: 'refused'; number: number; reason: string }
  | { kind: 'pong' };

export interface MessageOptions {
  binary?: boolean;
  sentBefore?: boolean;
}

const NO_FRAMES: never[] = [];

export function newSecret(): string {
  return randomBytes(16).toString('base64url');
}

/** One connection of a session. Frames are apart from ordinary messages, which `next` gives. */
export class SessionClient extends Client {
  welcome: Welcome | undefined;
  /** Frames that came and were not taken. */
  readonly frames: Frame[] = [];
  private readonly takers: ((frame: Frame | undefined) => void)[] = [];

  constructor(port: number, options: ConnectOptions) {
    super(port, options);
    void this.closed.then(() => {
      for (const take of this.takers.splice(0)) take(undefined);
    });
  }

  protected override receive(message: Received): void {
    if (this.welcome === undefined) {
      this.welcome = JSON.parse(String(message)) as Welcome;
      return;
    }
    if (typeof message === 'string' || message.subarray(0, 8).toString('hex') !== this.welcome.mark) {
      super.receive(message);
      return;
    }
    const frame = parse(message.subarray(8));
    const take = (this.takers ?? NO_FRAMES).shift();
    if (take === undefined) this.frames.push(frame);
    else take(frame);
  }

  async frame(): Promise<Frame> {
    const frame =
      this.frames.shift() ?? (await new Promise<Frame | undefined>(take => this.takers.push(take)));
    if (frame === undefined) throw new Error(`closed: ${JSON.stringify(await this.closed)}`);
    return frame;
  }

  /** The next frame of one kind; others before it are dropped. */
  async frameOf<Kind extends Frame['kind']>(kind: Kind): Promise<Extract<Frame, { kind: Kind }>> {
    for (;;) {
      const frame = await this.frame();
      if (frame.kind === kind) return frame as Extract<Frame, { kind: Kind }>;
    }
  }

  /** Texts of the next messages. */
  async texts(count: number): Promise<string[]> {
    const texts: string[] = [];
    while (texts.length < count) texts.push(String((await this.frameOf('message')).data));
    return texts;
  }

  /** Waits until everything up to this number is acknowledged. */
  async acknowledged(number: number): Promise<void> {
    for (;;) {
      const frame = await this.frame();
      if ((frame.kind === 'acknowledged' || frame.kind === 'go') && frame.number >= number) return;
    }
  }

  message(number: number, data: string | Buffer, { binary, sentBefore }: MessageOptions = {}): void {
    const isBinary = binary ?? typeof data !== 'string';
    this.raw(1, Buffer.from([(isBinary ? 1 : 0) | (sentBefore ? 2 : 0)]), encode(number), Buffer.from(data));
  }

  acknowledge(number: number): void {
    this.raw(2, encode(number));
  }

  raw(kind: number, ...rest: Buffer[]): void {
    const mark = Buffer.from(this.welcome?.mark ?? '', 'hex');
    this.send(Buffer.concat([mark, Buffer.from([kind]), ...rest]));
  }
}

function encode(number: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(number));
  return bytes;
}

function parse(bytes: Buffer): Frame {
  const number = (at: number): number => Number(bytes.readBigUInt64BE(at));
  switch (bytes[0]) {
    case 1: {
      const data = bytes.subarray(10);
      return { kind: 'message', number: number(2), data: bytes[1] === 1 ? data : data.toString() };
    }
    case 2:
      return { kind: 'acknowledged', number: number(1) };
    case 3:
      return { kind: 'go', number: number(1) };
    case 4:
      return { kind: 'refused', number: number(1), reason: bytes.toString('utf8', 9) };
    case 6:
      return { kind: 'pong' };
    default:
      throw new Error(`a frame of kind ${bytes[0]}`);
  }
}

export interface SessionConnectOptions extends ConnectOptions {
  secret?: string;
  received?: number;
  acknowledged?: number;
}

/** A connection whose first message has come. */
export async function connectSession(
  port: number,
  {
    secret = newSecret(),
    received = 0,
    acknowledged = 0,
    protocols = ['threadgate.v1'],
    ...options
  }: SessionConnectOptions = {},
): Promise<SessionClient & { welcome: Welcome }> {
  const offered = [...protocols, `session.${secret}.${received}.${acknowledged}`];
  const client = new SessionClient(port, { protocols: offered, ...options });
  onTestFinished(() => client.disconnect());
  const first = once(client.socket, 'message');
  await Promise.race([first, client.closed]);
  if (client.welcome === undefined) throw new Error(`closed: ${JSON.stringify(await client.closed)}`);
  return client as SessionClient & { welcome: Welcome };
}
