/** Reads a request's head out of uWebSockets' request object, which is gone as soon as its callback returns. */
import { formatHeader } from '../wire/head.js';
import type { HttpRequest, HttpResponse } from './uws.js';

export interface RequestHead {
  method: string;
  /** Path and query. */
  target: string;
  /** All headers in the form of `formatHeader`. */
  headers: string;
  /** Of the body, as the client announced it; undefined for a chunked one. */
  contentLength: number | undefined;
  hasBody: boolean;
}

/** @param protocols in the place of what the client offered as subprotocols; '' for none */
export function readHead(req: HttpRequest, protocols?: string): RequestHead {
  let headers = '';
  let contentLength: number | undefined;
  let chunked = false;
  req.forEach((name, sent) => {
    const value = name === 'sec-websocket-protocol' ? (protocols ?? sent) : sent;
    if (value === '' && sent !== '') return;
    headers += formatHeader(name, isPlain(value) ? value : Buffer.from(value).toString('latin1'));
    if (name === 'content-length') contentLength = Number(value);
    else if (name === 'transfer-encoding') chunked = true;
  });
  const query = req.getQuery();
  return {
    method: req.getCaseSensitiveMethod(),
    target: query ? `${req.getUrl()}?${query}` : req.getUrl(),
    headers,
    contentLength,
    hasBody: chunked || (contentLength !== undefined && contentLength > 0),
  };
}

/** The client's IP address. Asking for it costs a system call. */
export function clientAddress(res: HttpResponse): string {
  return Buffer.from(res.getRemoteAddressAsText()).toString('latin1');
}

/** Whether it is ASCII. Other values are bytes to HTTP, one a character, though uWebSockets read them as UTF-8. */
function isPlain(value: string): boolean {
  return /^[\t -~]*$/.test(value);
}

let scratch = Buffer.allocUnsafeSlow(16 * 1024);

/** @returns the text's bytes, in memory that the next call uses again */
export function encodeHead(text: string): Uint8Array {
  if (text.length * 3 > scratch.length) scratch = Buffer.allocUnsafeSlow(text.length * 4);
  return scratch.subarray(0, scratch.write(text));
}
