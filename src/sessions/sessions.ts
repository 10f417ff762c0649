/**
 * All sessions of this process. Main thread.
 *
 * What a hook sends with guarantee while it handles a guaranteed message is held (see transactions.ts) until the hook is
 * through: then that message is handled and what it sent is in the queues, all at once; if the hook is cut off, neither.
 * So a message that comes again finds the world as if it had never been there, as far as that world is sessions.
 *
 * Changes of queues are written to the journal, where there is one, before any frame of them leaves (`flush`).
 */
import { randomBytes } from 'node:crypto';
import type { SessionStats } from '../stats.js';
import { Away } from './away.js';
import {
  BINARY_DATA,
  FrameKind,
  MARK_BYTES,
  MESSAGE_HEADER_BYTES,
  NUMBER_AT,
  numberFrame,
  plainFrame,
  readNumber,
  SENT_BEFORE,
} from './frames.js';
import type { Journal } from './journal.js';
import type { SessionOffer } from './offer.js';
import { Session, type SessionConnection } from './session.js';
import { Transactions } from './transactions.js';

/** Bytes of frames on their way in one direction, at most. */
const WINDOW_BYTES = 256 * 1024;
/** Connections of a session that lanes are through with and whose peers still reach it. */
const PAST_KEYS_KEPT = 8;

export interface SessionOptions {
  /** Milliseconds that a session without a connection is kept. */
  ttlMs: number;
  /** Bytes of messages that one session may hold for its client. */
  maxBytes: number;
  /** Sessions without a connection; beyond it the oldest is ended. */
  maxAway: number;
  maxPayload: number;
  maxInboundPerConnection: number;
  maxBackpressure: number;
}

/** Why a session ended, for statistics. */
export type SessionEnd = 'bye' | 'expired' | 'overflow' | 'crowded-out';

export interface SessionEvents<C extends SessionConnection> {
  /** A message for the connection's hooks. payload: number, data. @returns false when the connection is closed for it */
  message(connection: C, binary: boolean, redelivered: boolean, payload: Uint8Array): boolean;
  /** Something was sent. @returns false when no more may be sent */
  sent(connection: C): boolean;
  /** To be closed by the gateway. */
  close(
    connection: C,
    cause: 'session-moved' | 'bad-frame' | 'slow-consumer',
    code: number,
    reason: string,
  ): void;
  /** Guaranteed messages can be kept for nobody any more. */
  dropped(id: string, count: number, why: string): void;
}

export class Sessions<C extends SessionConnection> {
  readonly endedByCause = new Map<SessionEnd, number>();
  /** Guaranteed messages: handled by hooks, sent to clients, refused; and those whose hook was cut off and that came again. */
  handled = 0;
  sent = 0;
  refused = 0;
  redelivered = 0;

  private readonly byId = new Map<string, Session>();
  private readonly byKey = new Map<number, Session>();
  private readonly transactions = new Transactions();
  private readonly away: Away;
  private readonly dirty = new Set<Session>();
  private readonly outWindow: number;
  private readonly inWindow: number;

  constructor(
    private readonly options: SessionOptions,
    private readonly journal: Journal | undefined,
    private readonly events: SessionEvents<C>,
  ) {
    this.away = new Away(options.ttlMs, options.maxAway, (session, cause) => this.end(session, cause));
    this.outWindow = Math.min(WINDOW_BYTES, options.maxBackpressure >> 1);
    // A quarter, for small messages cost more while they wait than on the way.
    this.inWindow = Math.min(WINDOW_BYTES, options.maxInboundPerConnection >> 2);
    for (const state of journal?.load() ?? []) {
      const session = new Session(state, this.outWindow);
      this.byId.set(session.id, session);
      this.away.add(session);
    }
    journal?.keep(() => [...this.byId.values()].map(({ state }) => state));
  }

  /** Whether clients can have one. */
  get offered(): boolean {
    return this.options.ttlMs > 0;
  }

  get stats(): SessionStats {
    const { handled, sent, redelivered, refused } = this;
    let waitingBytes = 0;
    for (const session of this.byId.values()) waitingBytes += session.waitingBytes;
    return {
      attached: this.byId.size - this.away.size,
      away: this.away.size,
      waitingBytes,
      handled,
      sent,
      redelivered,
      refused,
      endedByCause: Object.fromEntries(this.endedByCause),
    };
  }

  // ── connections ──

  /** A connection has just opened that belongs to a session: nothing was sent over it yet. */
  attach(connection: C, offer: SessionOffer): Session {
    const known = this.byId.get(offer.name.toString('hex'));
    const session = known ?? this.begin(offer);
    const before = session.connection as C | undefined;
    const isKnown = session.attach(connection, offer);
    if (!isKnown) this.journal?.began(session.state);
    // At once, for there may be many.
    if (session.dropped > 0) this.events.dropped(session.id, session.dropped, 'overflow');
    session.dropped = 0;
    this.away.delete(session);
    this.key(session, connection);
    const { mark } = session;
    connection.ws?.send(
      JSON.stringify({
        session: session.id,
        resumed: known !== undefined && isKnown,
        mark: mark.toString('hex'),
        window: this.inWindow,
        largest: this.options.maxPayload - MESSAGE_HEADER_BYTES,
      }),
    );
    session.refusals = session.refusals.filter(({ number }) => number > offer.acknowledged);
    for (const refusal of session.refusals) this.tellRefusal(session, refusal);
    if (before !== undefined)
      this.events.close(before, 'session-moved', 4409, 'the session goes on over another connection');
    this.touch(session);
    this.flush();
    return session;
  }

  private begin({ name, received, acknowledged }: SessionOffer): Session {
    const state = {
      name,
      mark: randomBytes(MARK_BYTES),
      handled: acknowledged,
      lastNumber: received,
      frames: [],
    };
    const session = new Session(state, this.outWindow);
    this.byId.set(session.id, session);
    this.journal?.began(state);
    return session;
  }

  private key(session: Session, connection: C): void {
    const key = keyOf(connection.slot, connection.tag);
    this.byKey.set(key, session);
    session.keys.add(key);
  }

  /** Few are kept of what is past; a hook that is still at work counts for the connection that it began with. */
  private keyIsPast(session: Session, connection: C): void {
    session.pastKeys.push(keyOf(connection.slot, connection.tag));
    if (session.pastKeys.length <= PAST_KEYS_KEPT) return;
    const oldest = session.pastKeys.shift() as number;
    session.keys.delete(oldest);
    this.byKey.delete(oldest);
  }

  /** The connection is closed. */
  detach(session: Session, connection: C): void {
    if (session.connection !== connection) return; // it goes on elsewhere already
    session.detach(connection);
    if (!session.ended) this.away.add(session);
  }

  private end(session: Session, cause: SessionEnd): void {
    if (session.ended) return;
    session.ended = true;
    this.byId.delete(session.id);
    this.away.delete(session);
    this.dirty.delete(session);
    for (const key of session.keys) this.byKey.delete(key);
    this.journal?.ended(session.name);
    this.count(cause);
    const count = session.state.frames.length + session.dropped;
    if (count > 0) this.events.dropped(session.id, count, cause);
  }

  private count(cause: SessionEnd): void {
    this.endedByCause.set(cause, (this.endedByCause.get(cause) ?? 0) + 1);
  }

  // ── from the client ──

  /** A frame came. Its bytes are uWebSockets', and gone when this returns. */
  receive(session: Session, connection: C, frame: Buffer): void {
    if (session.ended || session.connection !== connection || connection.cause !== undefined) return;
    const kind = frame[MARK_BYTES];
    if (kind === FrameKind.message && frame.length >= MESSAGE_HEADER_BYTES) {
      this.receiveMessage(session, connection, frame);
    } else if (kind === FrameKind.acknowledged && frame.length >= MARK_BYTES + 9) {
      // What is no news is not written: else a client could have the journal grow as it likes.
      if (!session.acknowledge(readNumber(frame, MARK_BYTES + 1))) return;
      this.journal?.received(session.name, session.received);
      this.touch(session);
      this.flush();
    } else if (kind === FrameKind.ping) {
      connection.ws?.send(plainFrame(session.mark, FrameKind.pong), true);
      this.events.sent(connection);
    } else if (kind === FrameKind.bye) {
      this.end(session, 'bye');
    } else {
      this.events.close(connection, 'bad-frame', 4400, 'bad frame');
    }
  }

  private receiveMessage(session: Session, connection: C, frame: Buffer): void {
    const number = readNumber(frame, NUMBER_AT);
    // Doubled, or sent before the client heard that it has to begin again further back.
    if (!session.listensTo(connection) || number !== session.accepted + 1) return;
    const flags = frame[MARK_BYTES + 1] as number;
    // In a session that is new here one before it may have handled the message, and the client says so.
    const isSuspect = number === session.cutOff || number === session.doubtful;
    const redelivered = isSuspect || (flags & SENT_BEFORE) !== 0;
    if (
      this.events.message(connection, (flags & BINARY_DATA) !== 0, redelivered, frame.subarray(NUMBER_AT))
    ) {
      session.accept(connection);
      if (redelivered) this.redelivered++;
    }
  }

  // ── from lanes ──

  /**
   * A hook, or whatever else runs on a lane, has sent a message.
   * @param source the connection whose guaranteed message was being handled meanwhile; tag 0: none was
   */
  send(
    slot: number,
    tag: number,
    source: { slot: number; tag: number },
    data: Uint8Array,
    binary: boolean,
  ): void {
    const session = this.byKey.get(keyOf(slot, tag));
    if (session === undefined) return this.events.dropped(`of slot ${slot}`, 1, 'the session is over');
    if (session.lost) {
      session.dropped++;
      return;
    }
    if (source.tag === 0) {
      this.push(session, data, binary);
    } else {
      this.transactions.hold(keyOf(source.slot, source.tag), session, data, binary);
    }
    this.bound(session);
  }

  /** The hook for this message of this connection is through. */
  settled(slot: number, tag: number, number: number): void {
    const key = keyOf(slot, tag);
    for (const { to, data, binary, mark } of this.transactions.take(key)) {
      if (to.ended) this.events.dropped(to.id, 1, 'the session is over');
      else if (to.mark !== mark) to.dropped++;
      else this.push(to, data, binary);
    }
    this.handled++;
    const session = this.byKey.get(key);
    if (session === undefined) return;
    session.settle(number);
    this.journal?.handled(session.name, session.handled);
    this.touch(session);
  }

  /** The hook for a message of this connection was cut off by its lane's end: it never was. */
  cutOff(session: Session, connection: C): void {
    this.transactions.take(keyOf(connection.slot, connection.tag));
    // A lane can end between what its last hook left and the word that no hook runs.
    if (session.accepted > session.handled) session.cutOff = session.handled + 1;
  }

  /** What was accepted and not handled is asked for again. */
  rewind(session: Session): void {
    if (session.ended) return;
    session.rewind();
    this.touch(session);
    this.flush();
  }

  /** A lane is through with this closed connection. */
  released(session: Session, connection: C): void {
    if (session.ended) return;
    this.keyIsPast(session, connection);
    session.released(connection);
    this.touch(session);
    this.flush();
  }

  /** The message whose hook was cut off ended its lane too often. @returns its number; 0 where it was none of a session's */
  refuse(session: Session, reason: string): number {
    const number = session.cutOff;
    if (number === 0 || session.ended) return 0;
    this.refused++;
    session.settle(number);
    session.strikes = [];
    this.journal?.handled(session.name, number);
    session.refusals = [...session.refusals, { number, reason }];
    this.tellRefusal(session, { number, reason });
    this.touch(session);
    this.flush();
    return number;
  }

  private tellRefusal(session: Session, { number, reason }: { number: number; reason: string }): void {
    session.connection?.ws?.send(numberFrame(session.mark, FrameKind.refused, number, reason), true);
  }

  private push(session: Session, data: Uint8Array, binary: boolean): void {
    const frame = session.push(data, binary);
    this.sent++;
    this.journal?.sent(session.name, frame);
    this.touch(session);
  }

  /**
   * What waits for a client that does not acknowledge is bounded. Beyond that it is lost, and only that: what the client sent
   * is handled once all the same, by a hook that sends too much as well.
   */
  private bound(session: Session): void {
    if (session.waitingBytes + session.heldBytes <= this.options.maxBytes || session.ended) return;
    const count = session.lose();
    this.count('overflow');
    if (count > 0) this.events.dropped(session.id, count, 'overflow');
    this.journal?.began(session.state);
    const connection = session.connection as C | undefined;
    if (connection !== undefined)
      this.events.close(connection, 'slow-consumer', 1013, 'guaranteed messages outran the client');
  }

  // ── out ──

  private touch(session: Session): void {
    this.dirty.add(session);
  }

  /** Makes what was changed last, and then sends what is due. */
  flush(): void {
    if (this.dirty.size === 0) return;
    this.journal?.write();
    for (const session of this.dirty) {
      const { ws, cause } = session.connection ?? {};
      if (ws !== undefined && cause === undefined) ws.cork(() => this.sendDue(session));
    }
    this.dirty.clear();
  }

  private sendDue(session: Session): void {
    const connection = session.connection as C;
    for (const frame of session.due()) {
      connection.ws?.send(frame, true);
      if (!this.events.sent(connection)) return;
    }
    const acknowledgement = session.acknowledgement();
    if (acknowledgement === undefined) return;
    connection.ws?.send(acknowledgement, true);
    this.events.sent(connection);
  }

  stop(): void {
    this.away.stop();
    for (const session of this.byId.values()) if (session.atRest) this.journal?.rested(session.name);
    this.journal?.close();
  }
}

/** Slots have at most 20 bits, tags 31: a number holds both. */
function keyOf(slot: number, tag: number): number {
  return tag * 2 ** 20 + slot;
}
