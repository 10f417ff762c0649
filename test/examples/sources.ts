/** Image sources for the example `cameras`: a small HTTP server, each of whose pictures behaves as a test tells it to. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

type Behaviour = (request: IncomingMessage, response: ServerResponse) => void;

export class Sources {
  /** By path. What is not there is answered with 404. */
  readonly behaviours = new Map<string, Behaviour>();
  /** Requests that came, by path. */
  readonly asked = new Map<string, number>();
  /** Requests under way. */
  open = 0;
  /** The most that were under way at the same time. */
  most = 0;
  private readonly server = createServer((request, response) => {
    const path = request.url ?? '';
    this.asked.set(path, this.count(path) + 1);
    this.open++;
    this.most = Math.max(this.most, this.open);
    response.once('close', () => this.open--);
    const behaviour = this.behaviours.get(path);
    if (behaviour === undefined) response.writeHead(404).end();
    else behaviour(request, response);
  });

  count(path: string): number {
    return this.asked.get(path) ?? 0;
  }

  async listen(): Promise<void> {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    onTestFinished(() => {
      this.server.close();
      this.server.closeAllConnections();
    });
  }

  url(path: string): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}${path}`;
  }

  /** Connections that are there, idle ones included. */
  connections(): Promise<number> {
    return new Promise((resolve, reject) =>
      this.server.getConnections((error, count) => (error === null ? resolve(count) : reject(error))),
    );
  }

  /** Ends the requests that are under way, unanswered. */
  cutOff(): void {
    this.server.closeAllConnections();
  }

  /** A picture without validators. */
  shows(path: string, body: string | Uint8Array, headers: Record<string, string> = {}): void {
    this.behaviours.set(path, (_request, response) => {
      response.writeHead(200, { 'content-type': 'image/png', ...headers }).end(body);
    });
  }

  /** A picture with an ETag or a date, which answers 304 to who has it. @returns what it answered */
  showsSince(path: string, body: string, header: 'etag' | 'last-modified', value: string): number[] {
    const condition = header === 'etag' ? 'if-none-match' : 'if-modified-since';
    const statuses: number[] = [];
    this.behaviours.set(path, ({ headers }, response) => {
      const known = headers[condition] === value;
      statuses.push(known ? 304 : 200);
      response.writeHead(known ? 304 : 200, { [header]: value, 'content-type': 'image/png' });
      response.end(known ? undefined : body);
    });
    return statuses;
  }

  fails(path: string, status: number): void {
    this.behaviours.set(path, (_request, response) => void response.writeHead(status).end('sorry'));
  }

  /** A picture that takes its time. */
  answersAfter(path: string, ms: number): void {
    this.behaviours.set(path, (_request, response) => {
      setTimeout(() => response.writeHead(200, { 'content-type': 'image/png' }).end(path), ms);
    });
  }

  /** Takes requests and answers none. */
  hangs(path: string): void {
    this.behaviours.set(path, () => {});
  }
}

export async function startSources(): Promise<Sources> {
  const sources = new Sources();
  await sources.listen();
  return sources;
}
