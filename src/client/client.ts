/**
 * A WebSocket that comes back. One loop connects, waits for the end, and waits before the next attempt; whatever ends
 * the client ends that loop, through one AbortController.
 */
import { Backoff } from './backoff.js';
import { connect, type Opened } from './connect.js';
import type { Connection } from './connection.js';
import type { Incoming, Outgoing } from './data.js';
import { Emitter } from './emitter.js';
import {
  AbortedError,
  ClientError,
  ClosedError,
  ConnectError,
  GaveUpError,
  LostError,
  OptionError,
  RefusedError,
} from './errors.js';
import { Inbox } from './inbox.js';
import { isOffline, pause } from './network.js';
import { type ClientOptions, checkNumber, type Settings, settle, type Url } from './options.js';
import { type Delivery, Outbox } from './outbox.js';
import type { Status } from './status.js';
import { canPing } from './websocket.js';

export type ClientEvents = {
  /** A message came. */
  message: [data: Incoming];
  /** Every change of `client.status`. */
  status: [status: Status, before: Status];
  /** A message of ours was given up: what its promise rejects with, for those who do not await each. */
  drop: [error: ClientError, data: Outgoing];
};

export interface SendOptions {
  /**
   * Milliseconds after which the message is given up if it was not written by then; 0: if it cannot be written at once,
   * Infinity: never. @default the client's option `within`, 50
   */
  within?: number;
}

const LONGEST_REASON_BYTES = 123; // RFC 6455, 5.5

interface Waiter {
  resolve(): void;
  reject(error: ClientError): void;
}

export class Client implements AsyncIterable<Incoming> {
  readonly #settings: Settings;
  readonly #events = new Emitter<ClientEvents>();
  readonly #outbox: Outbox;
  readonly #inboxes = new Set<Inbox>();
  readonly #backoff: Backoff;
  /** Aborted when the client is closed. */
  readonly #end = new AbortController();
  readonly #abort = (): void => {
    this.#connection?.abandon();
    this.#finish(new AbortedError(this.#settings.signal?.reason));
  };
  #status: Status = { state: 'idle' };
  #connection: Connection | undefined;
  #ready: { promise: Promise<void>; waiter: Waiter } | undefined;

  /** See {@link createClient}. */
  constructor(url: Url, options: ClientOptions = {}) {
    this.#settings = settle(url, options);
    this.#backoff = new Backoff(this.#settings);
    this.#outbox = new Outbox(this.#settings, (error, data) => this.#events.emit('drop', error, data));
    const { signal, autoConnect } = this.#settings;
    if (signal?.aborted) {
      this.#abort();
      return;
    }
    signal?.addEventListener('abort', this.#abort);
    // Not before those who made it could listen.
    if (autoConnect) queueMicrotask(() => this.connect());
  }

  /** What it is doing now; event `status` tells of every change. */
  get status(): Status {
    return this.#status;
  }

  /** Bytes of messages that wait to be written, with some 256 for each message besides. */
  get buffered(): number {
    return this.#outbox.buffered;
  }

  /**
   * Resolves when the client is open, at once where it is. Asked for again after a loss, it is for the next connection.
   * Rejects when the client is closed, with what closed it, else {@link ClosedError}.
   */
  get ready(): Promise<void> {
    if (this.#status.state === 'open') return Promise.resolve();
    if (this.#status.state === 'closed') return Promise.reject(this.#status.error ?? new ClosedError());
    if (this.#ready === undefined) {
      let waiter!: Waiter;
      const promise = new Promise<void>((resolve, reject) => {
        waiter = { resolve, reject };
      });
      this.#ready = { promise, waiter };
    }
    return this.#ready.promise;
  }

  /** Begins to connect; for a client that was made with `autoConnect: false`. Does nothing where it has begun. */
  connect(): void {
    if (this.#status.state === 'idle') void this.#run();
  }

  /**
   * Sends a message, when it can be written within a time, in the order of sending. Never waits; bytes are copied.
   *
   * The promise says what became of it. A message may be lost, so a rejection that nobody awaits ends no process: event
   * `drop` has it too.
   * @returns rejects with {@link ExpiredError}, {@link BufferFullError}, {@link ClosedError}, {@link DataError},
   * {@link OptionError}; the last two, which are mistakes, are as loud as any rejection
   */
  send(data: Outgoing, { within = this.#settings.within }: SendOptions = {}): Promise<Delivery> {
    try {
      return this.#outbox.send(data, checkNumber('within', within));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Calls the listener at each such event, in the order of adding. What a listener throws ends nothing here. */
  on<Name extends keyof ClientEvents>(name: Name, listener: (...args: ClientEvents[Name]) => void): this {
    this.#events.add(name, listener);
    return this;
  }

  off<Name extends keyof ClientEvents>(name: Name, listener: (...args: ClientEvents[Name]) => void): this {
    this.#events.delete(name, listener);
    return this;
  }

  /**
   * All messages from now on, over all reconnects. Ends when the client was closed or aborted; throws when it gave up
   * or was refused, and {@link UnreadError} when the loop falls behind by more than `maxUnread`.
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<Incoming, undefined> {
    const inbox = new Inbox(this.#settings.maxUnread, left => this.#inboxes.delete(left));
    if (this.#status.state === 'closed') inbox.end(wishless(this.#status.error));
    else this.#inboxes.add(inbox);
    return inbox;
  }

  /**
   * Ends the client for good: what waits to be written is given up, and the server gets a close frame.
   * @param code 1000, or 3000 to 4999
   * @param reason at most 123 bytes
   * @returns resolves when the connection is gone, after `closeTimeout` at the latest
   */
  async close(code = 1000, reason = ''): Promise<void> {
    checkClose(code, reason);
    const connection = this.#connection;
    connection?.close(code, reason, this.#settings.closeTimeout);
    this.#finish(undefined);
    await connection?.ended;
  }

  /** Connects, again and again, until the client is closed. */
  async #run(): Promise<void> {
    try {
      while (!this.#isClosed()) {
        this.#become({ state: 'connecting', attempt: this.#backoff.failures + 1 });
        if (this.#isClosed()) break;
        const error = await this.#connectOnce();
        if (!this.#isClosed()) await this.#waitAfter(error);
      }
    } finally {
      this.#settings.signal?.removeEventListener('abort', this.#abort);
      // Only where `shouldReconnect` threw, which is reported as what nobody caught.
      this.#finish(new ClosedError());
    }
  }

  /** From one attempt to its failure, or to the end of the connection that it led to. */
  async #connectOnce(): Promise<ClientError> {
    const opened = await this.#open();
    if (opened instanceof ClientError) {
      this.#backoff.failed();
      return opened;
    }
    const { connection, url } = opened;
    const openedAt = performance.now();
    this.#connection = connection;
    if (this.#isClosed()) connection.abandon();
    else this.#opened(connection, url);
    const { code, reason, cause } = await connection.ended;
    this.#connection = undefined;
    this.#outbox.detach();
    this.#backoff.lasted(performance.now() - openedAt);
    if (!this.#settings.shouldReconnect(code, reason)) return new RefusedError(code, reason);
    return new LostError(code, reason, { cause });
  }

  /** What is thrown while it connects is a value here: it is where every run begins. */
  async #open(): Promise<Opened | ClientError> {
    try {
      return await connect(this.#settings, this.#end.signal, data => this.#receive(data));
    } catch (error) {
      return error as ClientError; // as `connect` promises
    }
  }

  #opened(connection: Connection, url: string): void {
    const { socket } = connection;
    const pings = this.#settings.pingInterval > 0 && canPing(socket);
    this.#become({ state: 'open', url, protocol: socket.protocol, pings });
    if (this.#isClosed()) return; // by a listener
    this.#outbox.attach(socket);
    this.#ready?.waiter.resolve();
    this.#ready = undefined;
  }

  /** Waits before the next attempt, or closes the client when there is to be none. */
  async #waitAfter(error: ClientError): Promise<void> {
    if (!(error instanceof ConnectError || error instanceof LostError)) {
      this.#finish(error);
      return;
    }
    const { failures } = this.#backoff;
    if (failures >= this.#settings.maxAttempts) {
      this.#finish(new GaveUpError(failures, error));
      return;
    }
    // Without a network there is no hurry, only the chance that the browser is wrong; its `online` ends the wait.
    const delay = isOffline() ? this.#settings.maxDelay : this.#backoff.delay();
    this.#become({ state: 'waiting', attempt: failures + 1, delay, error });
    if (await pause(delay, this.#end.signal)) this.#backoff.reset();
  }

  #receive(data: Incoming): void {
    if (this.#isClosed()) return;
    this.#events.emit('message', data);
    for (const inbox of this.#inboxes) inbox.put(data);
  }

  #become(status: Status): void {
    const before = this.#status;
    this.#status = status;
    this.#events.emit('status', status, before);
  }

  #isClosed(): boolean {
    return this.#end.signal.aborted;
  }

  /** The end of everything but a connection that is being closed. */
  #finish(error: ClientError | undefined): void {
    if (this.#isClosed()) return;
    if (this.#status.state === 'idle') this.#settings.signal?.removeEventListener('abort', this.#abort);
    this.#end.abort();
    this.#become({ state: 'closed', error });
    this.#outbox.close(new ClosedError({ cause: error }));
    for (const inbox of this.#inboxes) inbox.end(wishless(error));
    this.#ready?.waiter.reject(error ?? new ClosedError());
    this.#ready = undefined;
  }
}

/** A loop that was ended on purpose has nothing to throw. */
function wishless(error: ClientError | undefined): ClientError | undefined {
  return error instanceof AbortedError ? undefined : error;
}

/** @throws {OptionError} for what a WebSocket would not take either */
function checkClose(code: number, reason: string): void {
  if (code !== 1000 && !(Number.isInteger(code) && code >= 3000 && code <= 4999)) {
    throw new OptionError(`a close code must be 1000 or from 3000 to 4999, not ${code}`);
  }
  if (new TextEncoder().encode(reason).length > LONGEST_REASON_BYTES) {
    throw new OptionError(`a close reason has at most ${LONGEST_REASON_BYTES} bytes`);
  }
}

/**
 * A WebSocket client that works whether the server is there or not. It begins to connect in the next microtask, so that
 * listeners added right away miss nothing, and comes back whenever it loses its connection. Runs in browsers and in Node.
 *
 * @param url `ws://` or `wss://`, or a function that is asked before every attempt: for a fresh token, say
 * @throws {OptionError} `ERR_THREADGATE_CLIENT_OPTION`
 * @example
 * const client = createClient('wss://example.org/feed');
 * client.on('status', status => console.log(status.state));
 * client.send('hello', { within: 1000 }).catch(error => console.log(error.code));
 * for await (const message of client) console.log(message);
 */
export function createClient(url: Url, options: ClientOptions = {}): Client {
  return new Client(url, options);
}
