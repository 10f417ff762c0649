/**
 * The standard Request, made only when something is asked for that the head alone cannot tell.
 *
 * Making one costs more than everything else that a small request costs, so handlers are given this: it has Request's
 * prototype and all its members, answers method, URL and simple bodies itself, and for the rest makes the real one.
 * `installRequest` replaces the global Request on a lane's thread, so that `new Request(request)` and
 * `fetch(request)` take ours as well.
 */
import type { Head } from '../src/wire/head.js';
import { delegate } from './delegate.js';

const StandardRequest = globalThis.Request;
const standardFetch = globalThis.fetch;

export class LaneRequest {
  private made: Request | undefined = undefined;
  private knownUrl: string | undefined = undefined;
  private knownHeaders: Headers | undefined = undefined;
  private controller: AbortController | undefined = undefined;
  private aborted = false;
  private used = false;

  constructor(
    private readonly head: Head,
    private readonly payload: Buffer | undefined = undefined,
  ) {}

  get method(): string {
    return this.head.method;
  }

  get url(): string {
    this.knownUrl ??= normalized(this.head.url);
    return this.knownUrl;
  }

  get headers(): Headers {
    this.knownHeaders ??= this.made?.headers ?? new Headers(this.head.headers());
    return this.knownHeaders;
  }

  get signal(): AbortSignal {
    this.controller ??= new AbortController();
    if (this.aborted) this.controller.abort();
    return this.controller.signal;
  }

  get bodyUsed(): boolean {
    return this.made?.bodyUsed ?? this.used;
  }

  async text(): Promise<string> {
    if (this.made !== undefined) return this.made.text();
    const text = this.use().toString('utf8');
    return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
  }

  async json(): Promise<unknown> {
    return JSON.parse(await this.text());
  }

  async arrayBuffer(): Promise<ArrayBuffer> {
    if (this.made !== undefined) return this.made.arrayBuffer();
    const bytes = this.use();
    return (bytes.buffer as ArrayBuffer).slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
  }

  private use(): Buffer {
    if (this.used) throw new TypeError('Body is unusable: Body has already been read');
    this.used = this.payload !== undefined;
    return this.payload ?? Buffer.alloc(0);
  }

  /** The real one. */
  get standard(): Request {
    if (this.made === undefined) {
      const { method, payload } = this;
      const body = method === 'GET' || method === 'HEAD' ? undefined : payload;
      this.made = new StandardRequest(this.url, {
        method,
        headers: this.headers,
        signal: this.signal,
        ...(body !== undefined && { body: body as Uint8Array<ArrayBuffer> }),
      });
    }
    return this.made;
  }

  /** Its client is gone. */
  abort(): void {
    this.aborted = true;
    this.controller?.abort();
  }
}

function normalized(url: string): string {
  try {
    return new URL(url).href;
  } catch {
    // A Host header that is no host: the path still says what is wanted.
    return new URL(url.replace(/^(https?:\/\/)[^/]*/, '$1localhost')).href;
  }
}

delegate(LaneRequest.prototype, StandardRequest.prototype, request => (request as LaneRequest).standard);

/** Makes the globals of this thread take a LaneRequest wherever they take a Request. */
export function installRequest(): void {
  const unwrap = <T>(input: T): T =>
    input instanceof LaneRequest ? (input.standard as unknown as T) : input;
  globalThis.Request = class Request extends StandardRequest {
    static override [Symbol.hasInstance](value: unknown): boolean {
      return value instanceof StandardRequest;
    }

    constructor(input: ConstructorParameters<typeof StandardRequest>[0], init?: RequestInit) {
      super(unwrap(input), init);
    }
  } as typeof globalThis.Request;
  globalThis.fetch = (input, init) => standardFetch(unwrap(input), init);
}
