/**
 * A request's head as text, one field a line: method, URL, client address (of upgrades only), namespace, agreed subprotocol, then each
 * header's name and value. No field can hold a line break: HTTP forbids it. Written by main, read by lanes.
 */

const FIELDS_BEFORE_HEADERS = 5;

/** A host and perhaps a port, and nothing that could pass for a path or for credentials. */
const HOST = /^([\w.-]+|\[[\da-f:.]+\])(:\d{1,5})?$/i;

export function formatHead(
  method: string,
  url: string,
  remoteAddress: string,
  namespace: string,
  protocol: string,
  headers: string,
): string {
  return `${method}\n${url}\n${remoteAddress}\n${namespace}\n${protocol}${headers}`;
}

/** One header in the form that `formatHead` takes them, to be joined without a separator. */
export function formatHeader(name: string, value: string): string {
  return `\n${name}\n${value}`;
}

export class Head {
  private readonly fields: string[];

  constructor(text: string) {
    this.fields = text.split('\n');
  }

  get method(): string {
    return this.fields[0] as string;
  }

  /** Path and query. */
  get target(): string {
    return this.fields[1] as string;
  }

  get path(): string {
    const query = this.target.indexOf('?');
    return query < 0 ? this.target : this.target.slice(0, query);
  }

  get remoteAddress(): string {
    return this.fields[2] as string;
  }

  get namespace(): string {
    return this.fields[3] as string;
  }

  get protocol(): string {
    return this.fields[4] as string;
  }

  /** The first header of that (lower case) name. */
  header(name: string): string | undefined {
    for (let i = FIELDS_BEFORE_HEADERS; i < this.fields.length; i += 2) {
      if (this.fields[i] === name) return this.fields[i + 1];
    }
    return undefined;
  }

  headers(): [string, string][] {
    const headers: [string, string][] = [];
    for (let i = FIELDS_BEFORE_HEADERS; i + 1 < this.fields.length; i += 2) {
      headers.push([this.fields[i] as string, this.fields[i + 1] as string]);
    }
    return headers;
  }

  /** The absolute URL, as far as the client told: its Host header, and X-Forwarded-Proto from a proxy in front. */
  get url(): string {
    const scheme = this.header('x-forwarded-proto') === 'https' ? 'https' : 'http';
    const host = this.header('host');
    return `${scheme}://${host !== undefined && HOST.test(host) ? host : 'localhost'}${this.target}`;
  }
}
