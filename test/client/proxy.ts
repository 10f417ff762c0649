/** A TCP proxy that delays, cuts, halves and stalls: what networks do, on purpose and, with a seed, again. */
import { once } from 'node:events';
import { type AddressInfo, createConnection, createServer, type Server, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import type { Random } from '../support/random.js';

type Fault = 'none' | 'delay' | 'cut' | 'halve';

export class FaultyProxy {
  /** While true nothing passes, either way, and nobody is told. */
  stalled = false;
  /** Connections that were cut. */
  cuts = 0;
  readonly #pairs = new Set<[Socket, Socket]>();
  readonly #server: Server;

  /** @param random what happens to each piece of bytes is drawn from it; none: everything passes */
  constructor(
    readonly target: number,
    readonly random?: Random,
  ) {
    this.#server = createServer(inner => this.#join(inner));
  }

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Cuts all connections. */
  cut(): void {
    for (const pair of this.#pairs) this.#cut(pair);
  }

  /** What was held back goes on its way. */
  resume(): void {
    this.stalled = false;
    for (const pair of this.#pairs) for (const socket of pair) socket.resume();
  }

  async close(): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #join(near: Socket): void {
    const far = createConnection({ port: this.target, host: '127.0.0.1' });
    const pair: [Socket, Socket] = [near, far];
    this.#pairs.add(pair);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.on('data', chunk => this.#pass(chunk, from, to, pair));
      from.on('error', () => {}); // its close follows
      from.on('close', () => {
        to.destroy();
        this.#pairs.delete(pair);
      });
    }
  }

  #pass(chunk: Buffer, from: Socket, to: Socket, pair: [Socket, Socket]): void {
    if (this.stalled) {
      from.pause();
      from.unshift(chunk);
      return;
    }
    const fault = this.#draw();
    if (fault === 'cut') {
      this.#cut(pair);
    } else if (fault === 'halve') {
      to.write(chunk.subarray(0, chunk.length >> 1));
      to.end(() => this.#cut(pair));
    } else if (fault === 'delay') {
      from.pause();
      setTimeout(
        () => {
          to.write(chunk);
          from.resume();
        },
        this.random?.between(1, 5),
      );
    } else {
      to.write(chunk);
    }
  }

  #draw(): Fault {
    const drawn = this.random?.next() ?? 1;
    if (drawn < 0.02) return 'cut';
    if (drawn < 0.04) return 'halve';
    return drawn < 0.2 ? 'delay' : 'none';
  }

  #cut(pair: [Socket, Socket]): void {
    if (!this.#pairs.delete(pair)) return;
    this.cuts += 1;
    for (const socket of pair) socket.destroy();
  }
}

export async function startProxy(target: number, random?: Random): Promise<FaultyProxy> {
  const proxy = new FaultyProxy(target, random);
  await proxy.listen();
  onTestFinished(() => proxy.close());
  return proxy;
}
