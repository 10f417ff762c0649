/** Answers that need no lane. */
import { STATUS_CODES } from 'node:http';
import type { HttpResponse } from './uws.js';

/** Answers at once. To be called only while the response is still valid. */
export function refuse(res: HttpResponse, status: number, text: string, closeConnection = false): void {
  res.cork(() => {
    res.writeStatus(statusLine(status)).writeHeader('content-type', 'text/plain').end(text, closeConnection);
  });
}

export function statusLine(status: number): string {
  return `${status} ${STATUS_CODES[status] ?? 'Unknown'}`;
}
