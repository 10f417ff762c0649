/** What one `for await` loop is yet to read. Bounded: a loop that is too slow ends with an error, never with a gap. */
import { costOf, type Incoming } from './data.js';
import { type ClientError, UnreadError } from './errors.js';
import { Fifo } from './fifo.js';

interface Reader {
  resolve(result: IteratorResult<Incoming, undefined>): void;
  reject(error: ClientError): void;
}

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };

export class Inbox implements AsyncIterableIterator<Incoming, undefined> {
  readonly #maxUnread: number;
  readonly #left: (inbox: Inbox) => void;
  readonly #readers: Reader[] = [];
  readonly #unread = new Fifo<Incoming>();
  #bytes = 0;
  #end: { error: ClientError | undefined } | undefined;

  /** @param left called once, when nothing more is to be put in */
  constructor(maxUnread: number, left: (inbox: Inbox) => void) {
    this.#maxUnread = maxUnread;
    this.#left = left;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  put(data: Incoming): void {
    const reader = this.#readers.shift();
    if (reader !== undefined) {
      reader.resolve({ done: false, value: data });
      return;
    }
    const cost = costOf(data);
    if (this.#bytes + cost > this.#maxUnread) {
      this.end(new UnreadError(this.#maxUnread));
      return;
    }
    this.#unread.push(data);
    this.#bytes += cost;
  }

  /** Nothing more comes. What is unread can still be read, then the loop ends, by throwing the error if there is one. */
  end(error: ClientError | undefined): void {
    if (this.#end !== undefined) return;
    this.#end = { error };
    this.#left(this);
    for (const reader of this.#readers.splice(0)) this.#finish(reader);
  }

  next(): Promise<IteratorResult<Incoming, undefined>> {
    const data = this.#take();
    if (data !== undefined) return Promise.resolve({ done: false, value: data });
    return new Promise((resolve, reject) => {
      if (this.#end === undefined) this.#readers.push({ resolve, reject });
      else this.#finish({ resolve, reject });
    });
  }

  /** The loop was left. */
  return(): Promise<IteratorReturnResult<undefined>> {
    this.#unread.clear();
    this.end(undefined);
    return Promise.resolve(DONE);
  }

  #take(): Incoming | undefined {
    const data = this.#unread.shift();
    if (data !== undefined) this.#bytes -= costOf(data);
    return data;
  }

  /** The error is thrown once; after that the loop is over, as with any iterator. */
  #finish({ resolve, reject }: Reader): void {
    const error = this.#end?.error;
    this.#end = { error: undefined };
    if (error === undefined) resolve(DONE);
    else reject(error);
  }
}
