/** Collects request bodies before a lane is troubled with them: within a bound for each, and a bound for all. */
import { refuse } from './refuse.js';
import type { RequestHead } from './request-head.js';
import type { HttpResponse } from './uws.js';

export class RequestBodies {
  private collecting = 0;

  /** Both bounds in bytes. */
  constructor(
    private readonly maxBody: number,
    private readonly maxTotal: number,
  ) {}

  /** Calls `done` with the whole body: memory that the caller may use during the call only. */
  collect(res: HttpResponse, head: RequestHead, done: (body: Uint8Array) => void): void {
    if (head.contentLength !== undefined && head.contentLength > this.maxBody) {
      refuse(res, 413, 'the body is too large\n', true);
      return;
    }
    const chunks: Uint8Array[] = [];
    let length = 0;
    let ended = false;
    const end = (): void => {
      ended = true;
      this.collecting -= length;
    };
    res.onAborted(() => {
      if (!ended) end();
    });
    res.onData((data, isLast) => {
      if (ended) return;
      const chunk = new Uint8Array(data);
      length += chunk.length;
      this.collecting += chunk.length;
      if (length > this.maxBody) {
        end();
        refuse(res, 413, 'the body is too large\n', true);
      } else if (this.collecting > this.maxTotal) {
        end();
        refuse(res, 503, 'the gateway is overloaded\n', true);
      } else if (!isLast) {
        // uWebSockets takes the chunk back when this callback returns.
        chunks.push(chunk.slice());
      } else {
        end();
        done(chunks.length === 0 ? chunk : Buffer.concat([...chunks, chunk], length));
      }
    });
  }
}
