/**
 * The standard Response, made only when something is asked for that its arguments alone cannot tell.
 *
 * Most handlers make a Response of a string or bytes and return it; the standard one then costs far more than sending
 * it. `installResponse` replaces the global Response on a lane's thread by this one, which keeps a copy of its arguments
 * and makes the real one when needed. A real one, such as `fetch` gives, is a Response as before.
 */
import { delegate } from './delegate.js';

const StandardResponse = globalThis.Response;

type Body = ConstructorParameters<typeof StandardResponse>[0];
type Fields = [string, string][];

/** What may stand in a header without being looked at by the standard Headers. */
const PLAIN_NAME = /^[a-z0-9-]+$/i;
const PLAIN_VALUE = /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/;

const TEXT_TYPE = 'text/plain;charset=UTF-8';
const NO_BYTES = new Uint8Array(0);

export class LaneResponse {
  readonly status: number;
  /** The real one, once it had to be made. Also tells ours from real ones, which `instanceof` must not. */
  #made: Response | undefined = undefined;
  #headers: Headers | undefined = undefined;
  /** The headers given, while nobody has asked for a Headers object. */
  #fields: Fields | undefined = undefined;
  #content: string | Uint8Array<ArrayBuffer> | null;

  constructor(content?: Body, init?: ResponseInit) {
    this.status = init?.status ?? 200;
    this.#content = null;
    if (content === undefined || content === null) this.#content = null;
    else if (typeof content === 'string') this.#content = content;
    else if (content instanceof Uint8Array) this.#content = new Uint8Array(content);
    else if (content instanceof ArrayBuffer) this.#content = new Uint8Array(content.slice(0));
    else this.#made = new StandardResponse(content, init);
    if (this.#made !== undefined) return;
    if (!isOrdinary(this.status) || init?.statusText !== undefined) {
      // Anything out of the ordinary is judged by the standard one.
      this.#made = new StandardResponse(content, init);
      return;
    }
    this.#fields = plainFields(init?.headers);
    if (this.#fields === undefined) this.#headers = this.#typed(new Headers(init?.headers));
  }

  #typed(headers: Headers): Headers {
    if (typeof this.#content === 'string' && !headers.has('content-type'))
      headers.set('content-type', TEXT_TYPE);
    return headers;
  }

  get headers(): Headers {
    if (this.#made !== undefined) return this.#made.headers;
    this.#headers ??= this.#typed(new Headers(this.#fields));
    return this.#headers;
  }

  get ok(): boolean {
    return this.status >= 200 && this.status <= 299;
  }

  get bodyUsed(): boolean {
    return this.#made?.bodyUsed ?? false;
  }

  /** The real one. */
  get standard(): Response {
    this.#made ??= new StandardResponse(this.#content, { status: this.status, headers: this.headers });
    return this.#made;
  }

  /** The whole body, where it is at hand; undefined where it has to be read from a stream. */
  static bodyOf(response: Response | LaneResponse): Uint8Array | undefined {
    if (!(#made in response) || response.#made !== undefined) {
      const { body } = response as Response;
      return body === null ? NO_BYTES : undefined;
    }
    const content = response.#content;
    if (content === null) return NO_BYTES;
    return typeof content === 'string' ? Buffer.from(content) : content;
  }

  /** All headers. */
  static headersOf(response: Response | LaneResponse): Iterable<[string, string]> {
    if (!(#made in response) || response.#made !== undefined || response.#headers !== undefined) {
      return response.headers;
    }
    const fields = response.#fields as Fields;
    const typed = typeof response.#content !== 'string' || fields.some(([name]) => isContentType(name));
    return typed ? fields : [...fields, ['content-type', TEXT_TYPE]];
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

function isOrdinary(status: number): boolean {
  const nullBody = status === 204 || status === 205 || status === 304;
  return Number.isInteger(status) && status >= 200 && status <= 599 && !nullBody;
}

function isContentType(name: string): boolean {
  return name.length === 12 && name.toLowerCase() === 'content-type';
}

/** The headers of a plain object that need no standard Headers to be checked; undefined for all others. */
function plainFields(headers: ResponseInit['headers']): Fields | undefined {
  if (headers === undefined) return [];
  if (headers instanceof Headers || Symbol.iterator in headers) return undefined;
  const fields = Object.entries(headers) as Fields;
  return fields.every(([name, value]) => PLAIN_NAME.test(name) && PLAIN_VALUE.test(value))
    ? fields
    : undefined;
}

delegate(LaneResponse.prototype, StandardResponse.prototype, response => (response as LaneResponse).standard);

/** Makes this thread's global Response ours. */
export function installResponse(): void {
  Object.defineProperty(LaneResponse, 'name', { value: 'Response' });
  globalThis.Response = LaneResponse as unknown as typeof globalThis.Response;
}
