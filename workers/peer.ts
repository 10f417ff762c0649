/**
 * A connection as hooks see it, on any lane: its own lane's or another's.
 *
 * Holds no memory of the connection but its slot and tag; whatever it tells is read from the directory, and whatever it
 * does becomes a record for the main thread. With a stale tag it does nothing.
 */
import { deserialize } from 'node:v8';
import type {
  Gateway,
  Peer,
  PeerContext,
  PeerHold,
  PeerWebSocket,
  PublishOptions,
  SendOptions,
  WaitForDrainOptions,
} from '../src/app.js';
import { CloseError, DataError, NoSessionError, PeerGoneError } from '../src/errors.js';
import { Mutex, type WaitOptions } from '../src/sync/index.js';
import { CLOSE_CODES, isCloseCode, LONGEST_REASON_BYTES } from '../src/wire/close.js';
import { bytesOf, textOf } from '../src/wire/data.js';
import type { Directory } from '../src/wire/directory.js';
import { Head } from '../src/wire/head.js';
import { COMPRESS, Outbound, TOPIC_SEPARATOR } from '../src/wire/records.js';
import { checkName } from '../src/wire/topics.js';
import type { HookTask } from './dispatcher.js';
import { type Handling, sourceBytes } from './handling.js';
import type { Outbox } from './outbox.js';
import { LaneWebSocket } from './peer-websocket.js';
import { LaneRequest } from './request.js';

/** What all peers of a lane share. */
export interface PeerHost {
  readonly directory: Directory;
  readonly outbox: Outbox;
  readonly gateway: Gateway;
  peersOf(namespace: number): Set<Peer>;
  /** Tells the `error` hook of a failure that is not worth throwing. */
  fail(peer: LanePeer, hook: string, error: unknown): void;
}

const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;

const LONGEST_PING_BYTES = 125;

/** Names of topics with their namespace, as bytes: an app uses few of them, over and over. */
const topicBytes = new Map<string, Uint8Array>();
const TOPICS_KEPT = 1024;

function topicName(namespace: string | undefined, topic: string): Uint8Array {
  const name = namespace === undefined ? topic : namespace + TOPIC_SEPARATOR + topic;
  let bytes = topicBytes.get(name);
  if (bytes === undefined) {
    checkName('topic', topic);
    if (namespace !== undefined) checkName('namespace', namespace);
    bytes = Buffer.from(name);
    if (topicBytes.size === TOPICS_KEPT) topicBytes.clear();
    topicBytes.set(name, bytes);
  }
  return bytes;
}

/** Sends to a topic. @param except the peer to leave out */
export function publish(
  outbox: Outbox,
  topic: string,
  data: unknown,
  options: PublishOptions | undefined,
  namespace: string | undefined,
  except?: LanePeer,
): void {
  const prefix = topicName(namespace, topic);
  const flags = options?.compress ? COMPRESS : 0;
  const type = namespace === undefined ? Outbound.publishAll : Outbound.publish;
  outbox.data(type, flags, except?.slot ?? 0, except?.tag ?? 0, data, prefix);
}

export class LanePeer implements Peer {
  /** Hooks that wait for the one that is running; undefined when none is. Kept by the dispatcher. */
  running = false;
  /** A hook did not settle in time: no more of them run but `close`. Kept by the dispatcher. */
  givenUp = false;
  firstTask: HookTask | undefined = undefined;
  lastTask: HookTask | undefined = undefined;

  /** The guaranteed message that its hook is handling. */
  private handling: Handling | undefined = undefined;
  private knownSession: string | undefined = undefined;
  private state = OPEN;
  private knownId: string | undefined = undefined;
  private knownHead: Head | undefined = undefined;
  private knownRequest: Request | undefined = undefined;
  private knownContext: PeerContext | undefined = undefined;
  private knownTopics: Set<string> | undefined = undefined;
  private knownWebSocket: PeerWebSocket | undefined = undefined;
  /** Bytes sent from this lane in batches that main may not be through with, up to the batch of `sentSequence`. */
  private sentBytes = 0;
  private sentSequence = 0;

  constructor(
    private readonly host: PeerHost,
    readonly slot: number,
    readonly tag: number,
  ) {}

  // ── what it is ──

  get id(): string {
    if (this.knownId === undefined) {
      const id = this.host.directory.id(this.slot);
      if (!this.host.directory.sameAs(this.slot, this.tag)) return '00000000-0000-4000-8000-000000000000';
      this.knownId = id;
    }
    return this.knownId;
  }

  get session(): string | undefined {
    if (this.knownSession === undefined) {
      const session = this.host.directory.session(this.slot);
      if (this.host.directory.sameAs(this.slot, this.tag)) this.knownSession = session;
    }
    return this.knownSession;
  }

  private get head(): Head {
    if (this.knownHead === undefined) {
      const text = this.host.directory.headText(this.slot);
      if (!this.host.directory.sameAs(this.slot, this.tag)) throw new PeerGoneError(this.id);
      this.knownHead = new Head(text);
    }
    return this.knownHead;
  }

  get namespace(): string {
    return this.head.namespace;
  }

  get remoteAddress(): string | undefined {
    return this.head.remoteAddress;
  }

  get request(): Request {
    this.knownRequest ??= new LaneRequest(this.head) as unknown as Request;
    return this.knownRequest;
  }

  get context(): PeerContext {
    if (this.knownContext === undefined) {
      const bytes = this.host.directory.contextBytes(this.slot);
      const valid = bytes !== undefined && this.host.directory.sameAs(this.slot, this.tag);
      this.knownContext = valid ? (deserialize(bytes) as PeerContext) : {};
    }
    return this.knownContext;
  }

  /** The lane that ran `upgrade` keeps the very object that it returned. */
  setContext(context: PeerContext): void {
    this.knownContext = context;
  }

  get gateway(): Gateway {
    return this.host.gateway;
  }

  get peers(): Set<Peer> {
    return this.host.peersOf(this.host.directory.namespace(this.slot));
  }

  get topics(): Set<string> {
    this.knownTopics ??= new Set();
    return this.knownTopics;
  }

  get websocket(): PeerWebSocket {
    this.knownWebSocket ??= new LaneWebSocket(this);
    return this.knownWebSocket;
  }

  get protocol(): string {
    return this.head.protocol;
  }

  get extensions(): string {
    return this.head.header('sec-websocket-extensions') ?? '';
  }

  get readyState(): number {
    if (this.state === OPEN && !this.open) return CLOSED;
    return this.state;
  }

  get open(): boolean {
    return this.host.directory.isOpen(this.slot, this.tag);
  }

  // ── what waits for it ──

  get bufferedAmount(): number {
    if (!this.open) return 0;
    const onMain = this.host.directory.buffered(this.slot);
    if (this.sentBytes > 0 && this.host.outbox.delivered(this.sentSequence)) this.sentBytes = 0;
    return onMain + this.sentBytes;
  }

  waitForDrain(options: WaitForDrainOptions = {}): Promise<void> {
    const { threshold = 0, pollInterval = 100, signal } = options;
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.bufferedAmount <= threshold) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const end = (): void => {
        clearInterval(timer);
        signal?.removeEventListener('abort', abort);
      };
      const abort = (): void => {
        end();
        reject(signal?.reason);
      };
      const timer = setInterval(() => {
        if (this.bufferedAmount > threshold && this.open) return;
        end();
        resolve();
      }, pollInterval);
      signal?.addEventListener('abort', abort, { once: true });
    });
  }

  // ── what can be done with it ──

  send(data: unknown, options?: SendOptions): number {
    if (options?.guaranteed === true) return this.sendGuaranteed(data);
    if (this.state !== OPEN || !this.open) return 0;
    const { outbox } = this.host;
    const bytes = outbox.data(Outbound.send, options?.compress ? COMPRESS : 0, this.slot, this.tag, data);
    if (this.sentSequence !== outbox.sequence) {
      if (outbox.delivered(this.sentSequence)) this.sentBytes = 0;
      this.sentSequence = outbox.sequence;
    }
    this.sentBytes += bytes;
    return 1;
  }

  /** Not only while it is open: its session outlives it. */
  private sendGuaranteed(data: unknown): number {
    const { directory, outbox } = this.host;
    if (this.session === undefined) {
      if (!directory.sameAs(this.slot, this.tag)) return 0;
      throw new NoSessionError(this.id);
    }
    outbox.data(Outbound.guaranteed, 0, this.slot, this.tag, data, sourceBytes());
    return 1;
  }

  publish(topic: string, data: unknown, options?: PublishOptions): boolean {
    // Not `open`: a close hook still tells the others.
    if (this.state === CLOSED || !this.host.directory.sameAs(this.slot, this.tag)) return false;
    publish(this.host.outbox, topic, data, options, options?.namespace ?? this.namespace, this);
    return true;
  }

  subscribe(topic: string): boolean {
    return this.changeTopic(Outbound.subscribe, topic);
  }

  unsubscribe(topic: string): boolean {
    return this.changeTopic(Outbound.unsubscribe, topic);
  }

  private changeTopic(type: number, topic: string): boolean {
    if (this.state !== OPEN || !this.open) return false;
    this.host.outbox.record(type, 0, 0, this.slot, this.tag, topicName(this.namespace, topic));
    this.noteTopic(topic, type === Outbound.subscribe);
    return true;
  }

  /** Keeps `topics` right. */
  noteTopic(topic: string, subscribed: boolean): void {
    if (subscribed) this.topics.add(topic);
    else this.knownTopics?.delete(topic);
  }

  close(code = 1000, reason = ''): boolean {
    checkClose(code);
    const bytes = Buffer.from(reason);
    if (bytes.length > LONGEST_REASON_BYTES) {
      throw new CloseError(
        `a close reason can have at most ${LONGEST_REASON_BYTES} bytes, not ${bytes.length}`,
      );
    }
    if (this.state !== OPEN || !this.open) return false;
    this.state = CLOSING;
    this.host.outbox.record(Outbound.close, 0, code, this.slot, this.tag, bytes);
    return true;
  }

  terminate(): boolean {
    if (!this.open) return false;
    this.state = CLOSING;
    this.host.outbox.record(Outbound.terminate, 0, 0, this.slot, this.tag);
    return true;
  }

  ping(data?: unknown): number {
    if (this.state !== OPEN || !this.open) return 0;
    const text = textOf(data);
    const bytes = text === undefined ? bytesOf(data) : Buffer.from(text);
    if (bytes.length > LONGEST_PING_BYTES) {
      const error = new DataError(
        `a ping can carry at most ${LONGEST_PING_BYTES} bytes, not ${bytes.length}`,
      );
      this.host.fail(this, 'ping', error);
      return 0;
    }
    this.host.outbox.record(Outbound.ping, 0, 0, this.slot, this.tag, bytes);
    return 1;
  }

  async lock(options?: WaitOptions): Promise<PeerHold> {
    const { directory, outbox } = this.host;
    const { cells, index } = directory.lockCell(this.slot);
    const hold = await new Mutex(cells, index).lockAsync(options);
    if (!this.open) {
      hold.unlock();
      throw new PeerGoneError(this.id);
    }
    const unlock = async (): Promise<void> => {
      // Batches of several lanes are carried out as they come: ours must be through before the next may send.
      await outbox.delivery();
      hold.unlock();
    };
    return { ownerDied: hold.ownerDied, unlock, [Symbol.asyncDispose]: unlock };
  }

  // ── told by the dispatcher ──

  /** A hook begins to handle a guaranteed message. */
  beginHandling(number: Uint8Array): Handling {
    this.handling = { slot: this.slot, tag: this.tag, number, open: true };
    return this.handling;
  }

  /** That hook is through, if it ever began. */
  endHandling(): void {
    const { handling } = this;
    if (handling === undefined) return;
    handling.open = false;
    this.handling = undefined;
    this.host.outbox.record(Outbound.settled, 0, 0, this.slot, this.tag, handling.number);
  }

  /** The connection is closed, and its close hook is about to run: reads what could not be read later. */
  closing(): void {
    this.state = CLOSING;
    void this.id;
    void this.session;
    void this.head;
    void this.context;
  }

  /** The close hook is through. */
  closed(): void {
    this.state = CLOSED;
  }

  toString(): string {
    return this.id;
  }

  [Symbol.toPrimitive](): string {
    return this.id;
  }

  get [Symbol.toStringTag](): string {
    return 'WebSocket';
  }

  [Symbol.for('nodejs.util.inspect.custom')](): unknown {
    return { peer: { id: this.id, open: this.open } };
  }
}

function checkClose(code: number): void {
  if (!isCloseCode(code)) throw new CloseError(`${code} is no close code: use ${CLOSE_CODES}`);
}
