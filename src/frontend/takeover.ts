/**
 * One lane goes on with what another has left: connections, requests, and the records that no hook has seen.
 *
 * Invariant: for each connection the new lane gets first `resume` with its topics, unless it never saw the `open`, and
 * then what waited, in order. A record that a hook has seen is not among them: it is done, or it is lost and told.
 */
import { Backlog } from '../lanes/backlog.js';
import type { Lane } from '../lanes/lane.js';
import type { Session } from '../sessions/session.js';
import type { Sessions } from '../sessions/sessions.js';
import { HOOK_RECORDS, HookBit, Inbound, SUBSCRIBED } from '../wire/records.js';
import type { WaitingRecord } from '../wire/ring.js';
import type { Connection, Connections } from './connections.js';
import type { Requests } from './requests.js';

const NO_BYTES = new Uint8Array(0);
const NO_SLOTS: ReadonlySet<number> = new Set();

/** Records that count against the bounds of what may wait. */
const CHARGED: ReadonlySet<number> = new Set([
  Inbound.message,
  Inbound.guaranteed,
  Inbound.ping,
  Inbound.pong,
]);

/** A connection whose messages end a lane so often within so many milliseconds is closed. */
const STRIKES = 3;
const STRIKES_WITHIN_MS = 60_000;
const POISON_CODE = 1011;
const POISON_REASON = 'its messages ended the handler';

export interface TakeoverEvents {
  /** What a hook of this connection was handling when its lane ended is lost. @param type of the record */
  lost(connection: Connection, type: number): void;
  /** The connection's messages have ended lanes too often; it is closed, by now at the latest. @param refused number of a message of its session, or 0 */
  poisoned(connection: Connection, refused: number): void;
}

export class Takeover {
  /** Messages that a hook was handling when its lane ended. */
  lost = 0;

  /** Sessions that have to send again what was with the lane, because a message before it was cut off. */
  private readonly rewinding = new Set<Session>();

  constructor(
    private readonly connections: Connections,
    private readonly requests: Requests,
    private readonly sessions: Sessions<Connection>,
    private readonly laneAt: (index: number) => Lane,
    private readonly events: TakeoverEvents,
  ) {}

  /** @param from has ended, or reads no more */
  carryOut(from: Lane, to: Lane): void {
    const unsettled = from.gone ? this.countLost(from) : [];
    const remains = collect(from);
    /** What came for connections that were on their way already: it goes behind what waited for them. */
    const behind: Backlog[] = [];
    for (const connection of this.connections.all()) {
      if (connection.lane !== from) continue;
      if (connection.moving !== undefined) behind.push(connection.moving.held);
      if (!from.gone && from.staying.has(connection.slot)) hold(connection, to.index);
      else this.move(connection, to, remains.opening, remains.closing);
    }
    this.requests.takeOver(from, to, remains.tokens);
    // Before what waited goes on: what waited for one that is closed for it would end the next lane as well.
    if (from.gone) this.holdAgainst(from, unsettled);
    for (const record of remains.records) this.repeat(to, record);
    for (const held of behind) for (const record of held.records()) this.repeat(to, record);
    for (const session of this.rewinding) this.sessions.rewind(session);
    this.rewinding.clear();
  }

  /** Tells whose hook had not finished. @returns whose promise had not settled */
  private countLost(lane: Lane): Connection[] {
    const { executing } = lane;
    const { directory } = this.connections;
    const running = [...this.connections.all()].filter(
      ({ lane: owner, slot }) => owner === lane && directory.running(slot) !== 0,
    );
    const lost = new Map(running.map(connection => [connection, directory.running(connection.slot)]));
    if (executing !== undefined) {
      const onThread = this.connections.withSlot(executing.slot, executing.tag);
      if (onThread !== undefined) lost.set(onThread, executing.type);
    }
    for (const [connection, type] of lost) {
      if (type === Inbound.message) this.lost++;
      if (type === Inbound.guaranteed && connection.session !== undefined) {
        this.sessions.cutOff(connection.session, connection);
        this.rewinding.add(connection.session);
      }
      if (HOOK_RECORDS.has(type)) this.events.lost(connection, type);
    }
    return running;
  }

  /** Where nobody knows whose it was, each suspect bears its part: one of many is soon innocent. */
  private holdAgainst(lane: Lane, unsettled: Connection[]): void {
    const { blamed } = lane;
    if (blamed === undefined) {
      for (const suspect of unsettled) this.strike(suspect, 1 / unsettled.length);
    } else {
      const culprit = this.connections.withSlot(blamed.slot, blamed.tag);
      if (culprit !== undefined) this.strike(culprit, 1);
    }
  }

  private strike(connection: Connection, weight: number): void {
    const time = performance.now();
    // A client that comes back with the same message is no other.
    const record = connection.session ?? connection;
    const recent = record.strikes.filter(strike => time - strike.time < STRIKES_WITHIN_MS);
    record.strikes = [...recent, { time, weight }];
    const sum = record.strikes.reduce((total, strike) => total + strike.weight, 0);
    // In thirds and the like the sum may miss the whole by a rounding.
    if (sum < STRIKES - 1e-9) return;
    const { session, ws } = connection;
    const isOpen = ws !== undefined && connection.cause === undefined;
    // Also where the connection is gone: its client comes back, and with it the message.
    const refused = session === undefined ? 0 : this.sessions.refuse(session, POISON_REASON);
    if (!isOpen && refused === 0) return;
    connection.cause ??= 'poison';
    this.events.poisoned(connection, refused);
    if (isOpen) ws.end(POISON_CODE, POISON_REASON);
  }

  /** Hands so many of a lane's connections to another: every n-th, from anywhere. */
  handOffSome(from: Lane, to: Lane, count: number): void {
    const own = [...this.connections.all()].filter(({ lane, ws }) => lane === from && ws !== undefined);
    const step = own.length / count;
    const first = Math.floor(Math.random() * step);
    for (let i = 0; i < count; i++) {
      const connection = own[first + Math.floor(i * step)];
      if (connection !== undefined) this.handOff(connection, to.index);
    }
  }

  /** Begins to hand one connection from its lane to that at another index, while both go on. */
  handOff(connection: Connection, to: number): void {
    if (connection.moving !== undefined || connection.ws === undefined || connection.lane.gone) return;
    const { lane, slot, tag } = connection;
    lane.inbox.post(Inbound.leave, 0, 0, slot, tag, NO_BYTES);
    connection.known = true;
    hold(connection, to);
  }

  /** The lane before is through with it. */
  left(slot: number, tag: number): void {
    const connection = this.connections.withSlot(slot, tag);
    if (connection?.moving === undefined) return;
    const { lane: from, accepted, moving } = connection;
    const to = this.laneAt(moving.to);
    // What that lane was to do for it is settled: the rest that is charged to it is held here.
    from.inbox.discharge((accepted - this.connections.directory.settled(slot)) >>> 0);
    this.move(connection, to, NO_SLOTS, NO_SLOTS);
    for (const record of moving.held.records()) this.repeat(to, record);
  }

  private move(
    connection: Connection,
    to: Lane,
    opening: ReadonlySet<number>,
    closing: ReadonlySet<number>,
  ): void {
    const { slot, tag, lane: from } = connection;
    connection.lane = to;
    connection.accepted = 0;
    connection.settled = 0;
    this.connections.directory.move(slot, to.index);
    if (connection.ws === undefined) {
      // Its close hook was under way, or is through; otherwise its record waits: also behind a move, as the last of all.
      const waits = closing.has(slot) || connection.moving?.held.empty === false;
      connection.moving = undefined;
      if (!waits) this.connections.release(slot, tag);
      return;
    }
    connection.moving = undefined;
    from.connections--;
    to.connections++;
    const topics = connection.topics > 0 ? connection.ws.getTopics() : [];
    for (const topic of topics) to.inbox.post(Inbound.topic, SUBSCRIBED, 0, slot, tag, Buffer.from(topic));
    const resumes = to.has(HookBit.resume) && !opening.has(slot);
    if (resumes) to.inbox.post(Inbound.resume, 0, 0, slot, tag, NO_BYTES);
    connection.known ||= resumes || topics.length > 0;
  }

  private repeat(to: Lane, { type, flags, aux, target, tag, payload }: WaitingRecord): void {
    switch (type) {
      case Inbound.request:
      case Inbound.upgrade:
        if (!this.requests.has(target)) return; // its client is gone
        to.inbox.charge(undefined, payload.length);
        break;
      case Inbound.abort:
      case Inbound.writable:
        return; // for answers that the lane before had begun, or for what was left out above
      case Inbound.topic:
      case Inbound.resume:
        return; // told by `move`
      case Inbound.leave:
        return; // it has left
      default:
        this.repeatForConnection(to, { type, flags, aux, target, tag, payload });
        return;
    }
    to.inbox.post(type, flags, aux, target, tag, payload);
  }

  private repeatForConnection(to: Lane, { type, flags, aux, target, tag, payload }: WaitingRecord): void {
    const connection = this.connections.withSlot(target, tag);
    if (connection === undefined) return;
    const { session } = connection;
    if (connection.cause === 'poison' && type !== Inbound.close) {
      if (type === Inbound.guaranteed && session !== undefined) this.rewinding.add(session);
      return;
    }
    if (type === Inbound.guaranteed && session !== undefined && this.rewinding.has(session)) return;
    if (connection.moving !== undefined) {
      connection.moving.held.push(type, flags, aux, target, tag, payload);
      return;
    }
    if (CHARGED.has(type)) to.inbox.charge(connection, payload.length);
    to.inbox.post(type, flags, aux, target, tag, payload);
  }
}

interface Remains {
  records: WaitingRecord[];
  /** Slots whose `open` no hook has seen. */
  opening: Set<number>;
  /** Slots whose `close` no hook has seen. */
  closing: Set<number>;
  /** Requests and upgrades that no hook has seen. */
  tokens: Set<number>;
}

/** What no hook has seen, and whose first and last records are among it. */
function collect(from: Lane): Remains {
  const remains: Remains = { records: [], opening: new Set(), closing: new Set(), tokens: new Set() };
  for (const record of from.inbox.remains()) {
    remains.records.push(record);
    if (record.type === Inbound.open) remains.opening.add(record.target);
    else if (record.type === Inbound.close) remains.closing.add(record.target);
    else if (record.type === Inbound.request || record.type === Inbound.upgrade)
      remains.tokens.add(record.target);
  }
  return remains;
}

/** From now on what comes for the connection is held back, until its lane is through with it. */
function hold(connection: Connection, to: number): void {
  connection.moving = { to, held: new Backlog(Number.POSITIVE_INFINITY) };
}
