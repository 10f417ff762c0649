/** Collects request bodies before a lane is troubled with them: within a bound for each, and a bound for all. */
import { refuse } from './refuse.js';
import type { RequestHead } from './request-head.js';
import type { HttpResponse } from './uws.js';

/** Bytes that a body whose length is not known begins with. */
const FIRST_BYTES = 4 * 1024;

/** One body, in one piece of memory that grows: many tiny chunks cost no more than what they hold. */
class Body {
  memory: Buffer;
  length = 0;

  constructor(capacity: number) {
    this.memory = Buffer.allocUnsafeSlow(capacity);
  }

  /** @returns bytes by which its memory grew */
  append(chunk: Uint8Array, limit: number): number {
    const before = this.memory.length;
    const needed = this.length + chunk.length;
    if (needed > before) {
      const larger = Buffer.allocUnsafeSlow(Math.min(Math.max(needed, before * 2), limit));
      larger.set(this.memory.subarray(0, this.length));
      this.memory = larger;
    }
    this.memory.set(chunk, this.length);
    this.length = needed;
    return this.memory.length - before;
  }
}

export class RequestBodies {
  private collecting = 0;

  /** Both bounds in bytes. */
  constructor(
    private readonly maxBody: number,
    private readonly maxTotal: number,
  ) {}

  /** Calls `done` with the whole body: memory that the caller may use during the call only. */
  collect(res: HttpResponse, head: RequestHead, done: (body: Uint8Array) => void): void {
    const { contentLength } = head;
    if (contentLength !== undefined && contentLength > this.maxBody) {
      refuse(res, 413, 'the body is too large\n', true);
      return;
    }
    const body = new Body(Math.min(contentLength ?? FIRST_BYTES, FIRST_BYTES, this.maxBody));
    this.collecting += body.memory.length;
    let ended = false;
    const end = (): void => {
      ended = true;
      this.collecting -= body.memory.length;
    };
    res.onAborted(() => {
      if (!ended) end();
    });
    res.onData((data, isLast) => {
      if (ended) return;
      const chunk = new Uint8Array(data);
      if (body.length + chunk.length > this.maxBody) {
        end();
        refuse(res, 413, 'the body is too large\n', true);
      } else if (isLast && body.length === 0) {
        end();
        done(chunk);
      } else {
        // uWebSockets takes the chunk back when this callback returns.
        this.collecting += body.append(chunk, this.maxBody);
        if (this.collecting > this.maxTotal) {
          end();
          refuse(res, 503, 'the gateway is overloaded\n', true);
        } else if (isLast) {
          end();
          done(body.memory.subarray(0, body.length));
        }
      }
    });
  }
}
