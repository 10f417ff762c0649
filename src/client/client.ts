/**
 * A WebSocket that comes back. One loop connects, waits for the end, and waits before the next attempt; whatever ends
 * the client ends that loop, through one AbortController.
 */
import { Backoff } from './backoff.js';
import { BAD_FRAME, checkClose, TAKEN_OVER } from './close.js';
import { connect, type Opened } from './connect.js';
import type { Connection } from './connection.js';
import type { Incoming, Outgoing } from './data.js';
import { type Delivery, forgive } from './delivery.js';
import { Emitter } from './emitter.js';
import {
  AbortedError,
  ClientError,
  ClosedError,
  ConnectError,
  GaveUpError,
  LostError,
  NoSessionError,
  OptionError,
  RefusedError,
} from './errors.js';
import { Inbox } from './inbox.js';
import { isOffline, pause } from './network.js';
import { type ClientOptions, checkNumber, type Settings, settle, type Url } from './options.js';
import { Outbox } from './outbox.js';
import { isGuaranteed, type SendOptions } from './send-options.js';
import { type Gap, Session } from './session.js';
import type { Status } from './status.js';
import { canPing, OPEN } from './websocket.js';
import { Writer } from './writer.js';

export type ClientEvents = {
  /** A message came. */
  message: [data: Incoming];
  /** Every change of `client.status`. */
  status: [status: Status, before: Status];
  /** A message of ours was given up: what its promise rejects with, for those who do not await each. */
  drop: [error: ClientError, data: Outgoing];
  /** The session with the gateway was lost, and a new one begins. Comes after status `open`, before any message. */
  gap: [gap: Gap];
};

interface Waiter {
  resolve(): void;
  reject(error: ClientError): void;
}

export class Client implements AsyncIterable<Incoming> {
  readonly #settings: Settings;
  readonly #events = new Emitter<ClientEvents>();
  readonly #writer: Writer;
  /** Undefined where nothing is to be guaranteed. */
  readonly #session: Session | undefined;
  readonly #outbox: Outbox;
  readonly #inboxes = new Set<Inbox>();
  readonly #backoff: Backoff;
  /** Aborted when the client is closed. */
  readonly #end = new AbortController();
  readonly #abort = (): void => {
    this.#sayBye();
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
    const { signal, autoConnect, guaranteed, maxGuaranteed, maxBuffered, maxInSocket } = this.#settings;
    const dropped = (error: ClientError, data: Outgoing): void => this.#events.emit('drop', error, data);
    this.#writer = new Writer(maxInSocket);
    this.#session = guaranteed === false ? undefined : new Session(maxGuaranteed, this.#writer, dropped);
    this.#outbox = new Outbox(maxBuffered, this.#writer, dropped);
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

  /** Bytes of messages that may be lost and wait to be written, with some 256 for each message besides. */
  get buffered(): number {
    return this.#outbox.buffered;
  }

  /** Bytes of guaranteed messages that are not acknowledged, counted likewise. */
  get unacknowledged(): number {
    return this.#session?.unacknowledged ?? 0;
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
   * Sends a message, when it can be written within a time, in the order of sending; or with guarantee, in the order of those
   * with guarantee. Never waits; bytes are copied.
   *
   * The promise says what became of it. A rejection that nobody awaits ends no process: event `drop` has it too.
   * @returns rejects with {@link BufferFullError}, {@link ClosedError}; without guarantee {@link ExpiredError}; with guarantee
   * {@link NoSessionError}, {@link TooLargeError}, {@link RefusedMessageError}; and, loud where nobody awaits them because they are
   * mistakes, {@link DataError}, {@link OptionError}
   */
  send(data: Outgoing, options: SendOptions = {}): Promise<Delivery> {
    try {
      if (isGuaranteed(options)) return this.#sendGuaranteed(data);
      return this.#outbox.send(data, checkNumber('within', options.within ?? this.#settings.within));
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
   * Ends the client for good: what waits to be written or acknowledged is given up, and the server gets a close frame. A
   * session ends with it.
   * @param code 1000, or 3000 to 4999
   * @param reason at most 123 bytes
   * @returns resolves when the connection is gone, after `closeTimeout` at the latest
   */
  async close(code = 1000, reason = ''): Promise<void> {
    checkClose(code, reason);
    const connection = this.#connection;
    this.#sayBye();
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
    const { connection } = opened;
    const openedAt = performance.now();
    this.#connection = connection;
    if (this.#isClosed()) connection.abandon();
    else this.#opened(opened);
    const { code, reason, cause } = await connection.ended;
    this.#connection = undefined;
    this.#writer.detach();
    this.#session?.end();
    this.#backoff.lasted(performance.now() - openedAt);
    return this.#judge(new LostError(code, reason, { cause }), opened.welcome !== undefined);
  }

  /**
   * One attempt; where a session is only preferred and none was ever had, one more without: browsers do not tell a server
   * that knows no sessions from one that is away.
   */
  async #open(): Promise<Opened | ClientError> {
    const session = this.#session;
    const opened = await this.#attempt(session);
    if (this.#settings.guaranteed !== 'preferred' || session?.wasHad || this.#isClosed()) return opened;
    return opened instanceof ClientError && comesAgain(opened) ? this.#attempt(undefined) : opened;
  }

  /** What is thrown while it connects is a value here: it is where every run begins. */
  async #attempt(session: Session | undefined): Promise<Opened | ClientError> {
    try {
      return await connect(this.#settings, this.#end.signal, session);
    } catch (error) {
      if (error instanceof LostError) return this.#judge(error, true);
      return error as ClientError; // as `connect` promises
    }
  }

  /** Whether to come back after this end. */
  #judge(error: LostError, hasSession: boolean): LostError | RefusedError {
    const { closeCode, reason } = error;
    // Nobody else knows the session's name: it was an attempt of ours, given up, that came through late.
    if (hasSession && closeCode === TAKEN_OVER) return error;
    return this.#settings.shouldReconnect(closeCode, reason) ? error : new RefusedError(closeCode, reason);
  }

  #opened({ connection, url, protocol, welcome }: Opened): void {
    const { socket } = connection;
    let gap: Gap | undefined;
    try {
      gap = welcome && this.#session?.begin(welcome);
    } catch (error) {
      connection.abandon(error);
      return;
    }
    const pings = this.#settings.pingInterval > 0 && (canPing(socket) || welcome !== undefined);
    this.#become({ state: 'open', url, protocol, session: welcome?.session, pings });
    if (this.#isClosed()) return; // by a listener
    this.#writer.attach(socket);
    if (welcome === undefined) this.#session?.giveUp(noSession());
    else connection.beat(() => this.#say(this.#session?.ping));
    connection.listen(data => this.#receive(data, connection));
    if (gap !== undefined) this.#events.emit('gap', gap);
    this.#ready?.waiter.resolve();
    this.#ready = undefined;
  }

  /** Waits before the next attempt, or closes the client when there is to be none. */
  async #waitAfter(error: ClientError): Promise<void> {
    if (!comesAgain(error)) {
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

  #receive(data: Incoming, connection: Connection): void {
    if (this.#isClosed()) return;
    try {
      if (this.#session === undefined) this.#hand(data);
      else this.#session.receive(data, mine => this.#hand(mine));
    } catch (error) {
      connection.abandon(error, BAD_FRAME, 'bad frame');
    }
  }

  #hand(data: Incoming): void {
    this.#events.emit('message', data);
    for (const inbox of this.#inboxes) inbox.put(data);
  }

  #sendGuaranteed(data: Outgoing): Promise<Delivery> {
    const { status } = this;
    if (status.state === 'closed') return this.#refuse(new ClosedError({ cause: status.error }), data);
    const isPlain = status.state === 'open' && status.session === undefined;
    if (this.#session === undefined || isPlain) return this.#refuse(noSession(), data);
    return this.#session.send(data);
  }

  #refuse(error: ClientError, data: Outgoing): Promise<never> {
    this.#events.emit('drop', error, data);
    return forgive(Promise.reject(error));
  }

  /** Tells the gateway that the session is over, if there is one. */
  #sayBye(): void {
    this.#say(this.#session?.bye);
  }

  /** Says this now, past what waits. */
  #say(frame: Uint8Array<ArrayBuffer> | undefined): void {
    const socket = this.#connection?.socket;
    if (frame !== undefined && socket?.readyState === OPEN) socket.send(frame);
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
    const closed = new ClosedError({ cause: error });
    this.#writer.detach();
    this.#session?.end();
    this.#session?.giveUp(closed);
    this.#outbox.close(closed);
    for (const inbox of this.#inboxes) inbox.end(wishless(error));
    this.#ready?.waiter.reject(error ?? new ClosedError());
    this.#ready = undefined;
  }
}

/** Whether it is a failure that another attempt may mend. */
function comesAgain(error: ClientError): error is ConnectError | LostError | NoSessionError {
  return error instanceof ConnectError || error instanceof LostError || error instanceof NoSessionError;
}

function noSession(): NoSessionError {
  return new NoSessionError(
    'nothing can be guaranteed without a session: give createClient the option guaranteed, and connect to a threadgate gateway that has sessions',
  );
}

/** A loop that was ended on purpose has nothing to throw. */
function wishless(error: ClientError | undefined): ClientError | undefined {
  return error instanceof AbortedError ? undefined : error;
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
