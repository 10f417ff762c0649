/**
 * Sends a Response to the main thread: in one record where its body is at hand, else as a stream that stays within a
 * window of what the client has taken.
 */
import { ABORTED, Outbound } from '../src/wire/records.js';
import type { Outbox } from './outbox.js';
import { LaneResponse } from './response.js';

/** Bytes of a streamed body that may be on their way to the client's socket. */
const WINDOW_BYTES = 256 * 1024;

/** What the main thread says by itself, or what means nothing to it. */
const LEFT_OUT = new Set(['content-length', 'transfer-encoding', 'connection', 'keep-alive']);

export class ResponseSender {
  private onTheWay = 0;
  private aborted = false;
  private resume: (() => void) | undefined;
  private reader: ReadableStreamDefaultReader<Uint8Array> | undefined;

  constructor(
    private readonly outbox: Outbox,
    private readonly token: number,
    private readonly isHead: boolean,
  ) {}

  /**
   * @returns undefined when all is sent, or a promise that settles when it is or cannot be
   * @throws TypeError when its body is not there to be sent
   */
  send(response: Response): Promise<void> | undefined {
    if (response.status < 200) throw new TypeError(`a response of status ${response.status} cannot be sent`);
    if (response.bodyUsed) throw new TypeError('the body of the response was already read');
    const bytes = LaneResponse.bodyOf(response);
    if (this.isHead) {
      this.sendHeadOnly(response, bytes?.length);
      return undefined;
    }
    if (bytes !== undefined) {
      this.whole(response.status, formatHeaders(LaneResponse.headersOf(response)), bytes);
      return undefined;
    }
    if (response.body?.locked) throw new TypeError('the body of the response is being read by somebody else');
    return this.stream(response);
  }

  private whole(status: number, head: string, body: Uint8Array): void {
    const headBytes = Buffer.from(head);
    this.outbox.record(Outbound.response, 0, status, this.token, headBytes.length, headBytes, body);
  }

  /** The answer to HEAD tells how long the body would be, where that is known. */
  private sendHeadOnly(response: Response, bodyLength: number | undefined): void {
    const told = response.headers.get('content-length') ?? bodyLength?.toString();
    const headers = [...LaneResponse.headersOf(response)].filter(
      ([name]) => !LEFT_OUT.has(name.toLowerCase()),
    );
    if (told !== undefined) headers.push(['content-length', told]);
    this.whole(
      response.status,
      headers.map(([name, value]) => `${name}\n${value}`).join('\n'),
      new Uint8Array(0),
    );
    response.body?.cancel().catch(() => {});
  }

  private async stream(response: Response): Promise<void> {
    const { outbox, token } = this;
    // What `fetch` got compressed it has decompressed, though the header still says so.
    const fetched = response.url !== '';
    const head = Buffer.from(formatHeaders(LaneResponse.headersOf(response), fetched));
    outbox.record(Outbound.responseHead, 0, response.status, token, 0, head);
    if (response.body === null) {
      outbox.record(Outbound.responseEnd, 0, 0, token, 0);
      return;
    }
    this.reader = response.body.getReader();
    try {
      for (;;) {
        const { done, value } = await this.reader.read();
        if (this.aborted) return;
        if (done) break;
        if (!(value instanceof Uint8Array)) throw new TypeError('a response body must be a stream of bytes');
        await this.chunk(value);
        if (this.aborted) return;
      }
      outbox.record(Outbound.responseEnd, 0, 0, token, 0);
    } catch (error) {
      if (this.aborted) return;
      outbox.record(Outbound.responseEnd, ABORTED, 0, token, 0);
      this.reader.cancel(error).catch(() => {});
      throw error;
    }
  }

  private async chunk(value: Uint8Array): Promise<void> {
    for (let at = 0; at < value.length && !this.aborted; at += WINDOW_BYTES) {
      const part = value.subarray(at, at + WINDOW_BYTES);
      this.onTheWay += part.length;
      this.outbox.record(Outbound.responseChunk, 0, 0, this.token, 0, part);
      while (this.onTheWay >= WINDOW_BYTES && !this.aborted) {
        await new Promise<void>(resolve => {
          this.resume = resolve;
        });
      }
    }
  }

  writable(bytes: number): void {
    this.onTheWay -= bytes;
    this.resume?.();
  }

  /** The client is gone: ends the app's stream. */
  abort(): void {
    this.aborted = true;
    this.reader?.cancel(new Error('the client is gone')).catch(() => {});
    this.resume?.();
  }
}

/** Lines of name and value in turn. */
function formatHeaders(headers: Iterable<[string, string]>, decoded = false): string {
  let text = '';
  for (const [name, value] of headers) {
    const known = name.toLowerCase();
    if (LEFT_OUT.has(known) || (decoded && known === 'content-encoding')) continue;
    text += text === '' ? `${name}\n${value}` : `\n${name}\n${value}`;
  }
  return text;
}
