/**
 * The contract between an app and the gateway: what an app exports, and what its hooks are given.
 *
 * Hooks, Peer and Message follow the crossws convention (https://crossws.h3.dev, 0.4): same names, same argument
 * shapes, same meaning. What only threadgate has stands beside it and is marked "threadgate only".
 * Everything here is seen by code on a lane (a worker thread).
 */

import type { JobData, JobName, JobResult, JobValue, RunOptions } from './job.js';
import type { OwnerDiedError, WaitOptions } from './sync/index.js';

type MaybePromise<T> = T | Promise<T>;

/** Anything that `new Headers()` accepts. */
export type HeadersInput = ConstructorParameters<typeof Headers>[0];

/** What may be sent: text, bytes, or anything with a JSON form. `null` and `undefined` are sent as empty text. */
export type Data = unknown;

/** Free-form data that belongs to one connection. Extend it by declaration merging to type your own. */
export interface PeerContext extends Record<string, unknown> {}

/** Options of one delivery. */
export interface SendOptions {
  /**
   * Compress this frame, where permessage-deflate was negotiated (see the gateway's `compression` option).
   * @default false
   */
  compress?: boolean;
  /**
   * Threadgate only: kept for the client until it has acknowledged it, over reconnects. It must have asked for that: see
   * `peer.session`. Not compressed.
   * @default false
   */
  guaranteed?: boolean;
}

export interface PublishOptions extends Omit<SendOptions, 'guaranteed'> {
  /**
   * Only reach subscribers of this namespace.
   * @default every namespace (`gateway.publish`) or the peer's own (`peer.publish`)
   */
  namespace?: string;
}

export interface WaitForDrainOptions {
  /**
   * Resolve once `bufferedAmount` is at or below this many bytes.
   * @default 0
   */
  threshold?: number;
  /**
   * Milliseconds between two looks at `bufferedAmount`.
   * @default 100
   */
  pollInterval?: number;
  /** Ends the wait: the promise rejects with the signal's reason. */
  signal?: AbortSignal;
}

/** The part of the standard WebSocket interface that makes sense on a server. */
export interface PeerWebSocket {
  /** 1 while open, 2 once a close was asked for from here, 3 when closed. */
  readonly readyState: number;
  /** The subprotocol that was agreed on, or an empty string. */
  readonly protocol: string;
  /** The extensions that the client offered. */
  readonly extensions: string;
  /** The URL of the upgrade request, with `ws:` or `wss:`. */
  readonly url: string;
  /** Bytes not yet handed to the client's socket. */
  readonly bufferedAmount: number;
  /** What `message.data` gives: unset means text as a string and binary as a Uint8Array. */
  binaryType?: 'arraybuffer' | 'blob' | 'nodebuffer' | 'uint8array' | 'text';
  send(data: Data): void;
  close(code?: number, reason?: string): void;
}

/** A connection's lock, held. `await using` gives it back at the end of its block. */
export interface PeerHold extends AsyncDisposable {
  /** Set when a lane ended with the lock in its hands: a sequence may have been cut off. */
  readonly ownerDied: OwnerDiedError | undefined;
  /** Gives it back, once what was sent from this lane so far is on its way. A second call does nothing. */
  unlock(): Promise<void>;
}

/** A connection as hooks see it. May be kept and used later, from any hook of the same lane. */
export interface Peer {
  /** A random UUID, version 4; the same on every lane. */
  readonly id: string;
  /** Publish and subscribe stay within a namespace: the URL's path, unless `upgrade` gave another. */
  readonly namespace: string;
  /**
   * Threadgate only: names the session of a client that asked for guaranteed delivery, the same over all its connections;
   * undefined for one that did not. 32 hexadecimal digits; no secret.
   */
  readonly session: string | undefined;
  /** The client's IP address. */
  readonly remoteAddress: string | undefined;
  /** The upgrade request. */
  readonly request: Request;
  /**
   * Data of your own. On the lane that owns the connection it is the object that `upgrade` returned; on another lane
   * it is a copy of what `upgrade` returned, where that could be cloned.
   */
  readonly context: PeerContext;
  readonly websocket: PeerWebSocket;
  /** All open connections of this namespace, on all lanes, this one included. Lives; looks afresh at every use. */
  readonly peers: Set<Peer>;
  /** Topics that this peer was subscribed to from this lane. */
  readonly topics: Set<string>;
  /** Bytes that wait for this client, wherever they wait: on this lane, on the main thread, or in its socket's buffer. */
  readonly bufferedAmount: number;
  /** Threadgate only: the gateway that this peer belongs to. */
  readonly gateway: Gateway;
  /**
   * Threadgate only: the connection's lock, one for all lanes. What lanes send while they hold it is not interleaved with
   * what others send while they do; who sends without it is not held up.
   * @throws {@link PeerGoneError} `ERR_THREADGATE_PEER_GONE` when the connection is closed
   * @throws TimeoutError `ERR_THREADGATE_SYNC_TIMEOUT`, or the signal's reason
   * @example
   * await using hold = await peer.lock();
   * peer.send('first part');
   * peer.send(await secondPart());
   */
  lock(options?: WaitOptions): Promise<PeerHold>;
  /** Resolves when `bufferedAmount` has fallen to `threshold`, or the connection is no longer open. */
  waitForDrain(options?: WaitForDrainOptions): Promise<void>;
  /**
   * Sends one frame: binary for bytes, text for everything else (objects as JSON).
   * Frames of one lane arrive in the order in which they were sent.
   *
   * With `guaranteed` it goes to the client's session: numbered, and kept until the client has acknowledged it, over as
   * many connections as that takes, also when this one is closed already (of those that are over, the last eight of a session
   * still reach it). Guaranteed messages have an order of their own.
   * Those that a `message` hook sends while it handles a guaranteed message leave when it is through, all or none.
   * @returns 1 when it was accepted for sending, 0 when the connection is no longer open
   * @throws {@link DataError} `ERR_THREADGATE_DATA` for data with no wire form, such as a Blob
   * @throws {@link NoSessionError} `ERR_THREADGATE_NO_SESSION` for a guaranteed one to a client without a session
   */
  send(data: Data, options?: SendOptions): number;
  /** Sends to all subscribers of the topic in this peer's namespace, but not to this peer itself. */
  publish(topic: string, data: Data, options?: PublishOptions): boolean;
  /** @returns false when the connection is no longer open */
  subscribe(topic: string): boolean;
  /** @returns false when the connection is no longer open */
  unsubscribe(topic: string): boolean;
  /**
   * Closes the connection after everything sent before.
   * @param code 1000 to 1014 without 1004, 1005 and 1006, or 3000 to 4999; default 1000
   * @param reason at most 123 bytes of UTF-8
   * @throws {@link CloseError} `ERR_THREADGATE_CLOSE` for another code or a longer reason
   */
  close(code?: number, reason?: string): boolean;
  /** Drops the connection at once, without a close frame. What waits for it is lost. */
  terminate(): boolean;
  /** Sends a ping frame. More than 125 bytes go to the `error` hook instead. */
  ping(data?: Data): number;
  toString(): string;
}

/** One message of a client. May be kept: its bytes are a copy. */
export interface Message {
  /**
   * A random UUID, version 4, made when first asked for; of a guaranteed message the session and its number, the same at
   * every attempt.
   */
  readonly id: string;
  /**
   * Threadgate only: whether a hook may have handled this guaranteed message before, all or in part: its lane ended
   * meanwhile, or the gateway does not know: so each session's first message after a gateway with `sessionDir` was killed. Always false for others.
   */
  readonly redelivered: boolean;
  readonly peer: Peer;
  /** A string for a text frame, a Uint8Array for a binary one. */
  readonly rawData: string | Uint8Array;
  /** The data as `peer.websocket.binaryType` asks for; `rawData` where that is unset. */
  readonly data: unknown;
  /** Threadgate only: whether the client sent a binary frame. */
  readonly isBinary: boolean;
  text(): string;
  /** @throws SyntaxError when the text is not JSON */
  json<T = unknown>(): T;
  uint8Array(): Uint8Array;
  arrayBuffer(): ArrayBuffer;
  blob(): Blob;
  toString(): string;
}

/** What an `upgrade` hook may return to accept a connection. */
export interface UpgradeAccept {
  /** Headers to add to the 101 response. */
  headers?: HeadersInput;
  /** The subprotocol to agree on: one of those that the client offered. */
  protocol?: string;
  /** @default the path of the URL */
  namespace?: string;
  /** Becomes `peer.context`. */
  context?: PeerContext;
}

/** A hook's own failure, as the `error` hook sees it. `cause` holds what was thrown. */
export type HookError = Error;

/** What happens to a connection. One connection's hooks run one at a time, in order; an async hook is waited for. */
export interface Hooks {
  /**
   * Before the handshake is answered. Return or throw a `Response` to refuse. Without this hook the main thread accepts
   * by itself, which is faster.
   */
  upgrade(
    request: Request & { readonly context: PeerContext },
    // biome-ignore lint/suspicious/noConfusingVoidType: a hook that returns nothing is typed void by its author
  ): MaybePromise<UpgradeAccept | Response | undefined | void>;
  open(peer: Peer): MaybePromise<void>;
  message(peer: Peer, message: Message): MaybePromise<void>;
  /**
   * Threadgate only: instead of `open`, for a connection that was opened on a lane which has ended since (it died, or its
   * code was replaced). Its id, request, topics, and the context as `upgrade` gave it are as before; what an earlier lane
   * kept in its own memory is gone. Messages that waited come after it.
   */
  resume(peer: Peer): MaybePromise<void>;
  close(peer: Peer, details: { code?: number; reason?: string }): MaybePromise<void>;
  /** What waited for this client has gone out to it. */
  drain(peer: Peer): MaybePromise<void>;
  /** Another hook of this connection threw or rejected; the connection stays open. */
  error(peer: Peer, error: HookError): MaybePromise<void>;
  ping(peer: Peer, data: Uint8Array): MaybePromise<void>;
  pong(peer: Peer, data: Uint8Array): MaybePromise<void>;
}

/** Writes to the gateway's log, with the lane's number beside it. */
export interface Log {
  debug(message: string, fields?: Record<string, unknown>): void;
  info(message: string, fields?: Record<string, unknown>): void;
  warn(message: string, fields?: Record<string, unknown>): void;
  error(message: string, fields?: Record<string, unknown>): void;
}

/** The gateway as code on a lane sees it: `peer.gateway`, and the second argument of `fetch`. */
export interface Gateway {
  /** Number of the lane that this code runs on, from 0. */
  readonly lane: number;
  /** All open connections on all lanes. Lives; looks afresh at every use. */
  readonly peers: Set<Peer>;
  readonly log: Log;
  /**
   * What `createGateway` was given as `data`: this lane's own copy, where shared memory, and with it what a `handle` of
   * threadgate/sync stands for, is the same for all. Undefined for none.
   */
  readonly data: unknown;
  /**
   * Aborted, on every lane, when the gateway ends: once all that was in flight is finished, or the time for that is up.
   * For what an app does by itself: `fetch(url, { signal: gateway.signal })`, tickers, reading loops.
   */
  readonly signal: AbortSignal;
  /** Sends to all subscribers of a topic, in all namespaces or in one. */
  publish(topic: string, data: Data, options?: PublishOptions): void;
  /**
   * Hands CPU work to another thread: runs an export of the module that the app's `jobs` names.
   *
   * The data go straight to the job's thread and its value comes straight back, both as structured clones, or
   * transferred where asked for. As many jobs as `jobThreads` run at the same time; up to `maxQueuedJobs` wait, first
   * come, first served. A job that is aborted or out of time is stopped by ending its thread, wherever it stands; so
   * a job should hold nothing outside its thread that must be given back.
   *
   * Never rejects. A lane that ends, and a gateway that closes, abort what runs for them.
   *
   * @returns `{ ok: true, value }`, or `{ ok: false, error }` where `error.code` says why: `ERR_THREADGATE_JOB_UNKNOWN`,
   * `…_JOB_FAILED`, `…_JOB_TIMEOUT`, `…_JOB_ABORTED`, `…_JOB_QUEUE_FULL`, `ERR_THREADGATE_DATA` for what cannot be
   * cloned, `ERR_THREADGATE_OPTION`, `ERR_THREADGATE_CLOSED`
   * @example
   * ```ts
   * const result = await peer.gateway.run('thumbnail', bytes, { timeout: 2_000 });
   * peer.send(result.ok ? result.value : `sorry: ${result.error.message}`);
   * ```
   */
  run<Name extends JobName>(
    name: Name,
    data?: JobData<Name>,
    options?: RunOptions,
  ): Promise<JobResult<JobValue<Name>>>;
}

/** The default export of an app's module. Every lane imports that module for itself. */
export interface App {
  websocket?: Partial<Hooks>;
  /**
   * Threadgate only: called once on every lane, before it takes anything: for work of the lane's own beside serving
   * (`gateway.signal` ends it), and for what has to be there first. It is waited for; a throw or a rejection counts as a
   * failure of the import. Lanes that come later (one died, the code is replaced) call it as well, and while a lane is
   * replaced two of them run: what only one may do takes a `mutex` of threadgate/sync with a name.
   */
  start?(gateway: Gateway): MaybePromise<void>;
  /** Takes every HTTP request that is no WebSocket upgrade. Without it they are answered with 404. */
  fetch?(request: Request, gateway: Gateway): MaybePromise<Response>;
  /**
   * Threadgate only: the module whose exports are the jobs of `gateway.run`, relative to the app's own module or as a
   * file: URL. It is imported on threads of its own, never on a lane, when its first job is asked for.
   */
  jobs?: string | URL;
}

/**
 * Gives hooks their types; returns what it was given.
 * @example
 * ```ts
 * export default {
 *   websocket: defineHooks({
 *     message(peer, message) {
 *       peer.send(message.text());
 *     },
 *   }),
 * };
 * ```
 */
export function defineHooks<T extends Partial<Hooks>>(hooks: T & Partial<Hooks>): T {
  return hooks;
}
