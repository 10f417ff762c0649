/**
 * The standard Response, made only when something is asked for that its arguments alone cannot tell.
 *
 * Most handlers make a Response of a string or bytes and return it; the standard one then costs far more than sending
 * it. `installResponse` replaces the global Response on a lane's thread by this one, which keeps its arguments and makes
 * the real one when needed. A real one, such as `fetch` gives, is a Response as before.
 */
import { delegate } from './delegate.js';

const StandardResponse = globalThis.Response;

type Body = ConstructorParameters<typeof StandardResponse>[0];

/** What may stand in a header without being looked at by the standard Headers. */
const PLAIN_NAME = /^[a-z0-9-]+$/i;
const PLAIN_VALUE = /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/;

export class LaneResponse {
  readonly status: number;
  private made: Response | undefined = undefined;
  private knownHeaders: Headers | undefined = undefined;

  constructor(
    private readonly content?: Body,
    private readonly init?: ResponseInit,
  ) {
    this.status = init?.status ?? 200;
    // Anything out of the ordinary is judged by the standard one, here and now.
    if (this.status !== 200 || init?.statusText !== undefined) this.judge();
  }

  private judge(): void {
    const { status } = this;
    const nullBody = status === 101 || status === 204 || status === 205 || status === 304;
    const ordinary = Number.isInteger(status) && status >= 200 && status <= 599 && !nullBody;
    if (!ordinary || this.init?.statusText !== undefined)
      this.made = new StandardResponse(this.content, this.init);
  }

  get headers(): Headers {
    if (this.made !== undefined) return this.made.headers;
    if (this.knownHeaders === undefined) {
      this.knownHeaders = new Headers(this.init?.headers);
      const type = typeof this.content === 'string' ? 'text/plain;charset=UTF-8' : undefined;
      if (type !== undefined && !this.knownHeaders.has('content-type'))
        this.knownHeaders.set('content-type', type);
    }
    return this.knownHeaders;
  }

  get ok(): boolean {
    return this.status >= 200 && this.status <= 299;
  }

  /** The real one. */
  get standard(): Response {
    if (this.made === undefined) {
      const { content, init, knownHeaders } = this;
      this.made = new StandardResponse(
        content,
        knownHeaders === undefined ? init : { ...init, headers: knownHeaders },
      );
    }
    return this.made;
  }

  /** The whole body, where it is at hand; undefined where it has to be read from a stream. */
  static bodyOf(response: Response): Uint8Array | undefined {
    if (!(response instanceof LaneResponse)) return response.body === null ? new Uint8Array(0) : undefined;
    if (response.made !== undefined) return response.made.body === null ? new Uint8Array(0) : undefined;
    const { content } = response;
    if (content === undefined || content === null) return new Uint8Array(0);
    if (typeof content === 'string') return Buffer.from(content);
    if (content instanceof Uint8Array) return content;
    if (content instanceof ArrayBuffer) return new Uint8Array(content);
    return undefined;
  }

  /** All headers, checked. @throws TypeError for a name or value that HTTP does not allow */
  static headersOf(response: Response): Iterable<[string, string]> {
    if (!(response instanceof LaneResponse)) return response.headers;
    const { made, knownHeaders, init, content } = response;
    if (made !== undefined || knownHeaders !== undefined) return response.headers;
    const given = init?.headers;
    if (given !== undefined && (given instanceof Headers || Symbol.iterator in given))
      return response.headers;
    const headers = Object.entries((given ?? {}) as Record<string, string>);
    let typed = typeof content !== 'string';
    for (const [name, value] of headers) {
      if (!PLAIN_NAME.test(name) || !PLAIN_VALUE.test(value)) return response.headers;
      typed ||= name.toLowerCase() === 'content-type';
    }
    // Blob, FormData and URLSearchParams bring a type of their own.
    if (LaneResponse.bodyOf(response) === undefined) return response.standard.headers;
    if (!typed) headers.push(['content-type', 'text/plain;charset=UTF-8']);
    return headers;
  }

  static json(data: unknown, init?: ResponseInit): LaneResponse {
    const text = JSON.stringify(data);
    if (text === undefined) throw new TypeError('The data is not JSON serializable');
    const headers = new Headers(init?.headers);
    if (!headers.has('content-type')) headers.set('content-type', 'application/json');
    return new LaneResponse(text, { ...init, headers });
  }

  static error(): Response {
    return StandardResponse.error();
  }

  static redirect(...args: Parameters<typeof StandardResponse.redirect>): Response {
    return StandardResponse.redirect(...args);
  }

  static [Symbol.hasInstance](value: unknown): boolean {
    return Function.prototype[Symbol.hasInstance].call(StandardResponse, value);
  }
}

delegate(LaneResponse.prototype, StandardResponse.prototype, response => (response as LaneResponse).standard);

/** Makes this thread's global Response ours. */
export function installResponse(): void {
  Object.defineProperty(LaneResponse, 'name', { value: 'Response' });
  globalThis.Response = LaneResponse as unknown as typeof globalThis.Response;
}
