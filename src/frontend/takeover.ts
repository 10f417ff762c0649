/**
 * One lane goes on with what another has left: connections, requests, and the records that no hook has seen.
 *
 * Invariant: for each connection the new lane gets first `resume` with its topics, unless it never saw the `open`, and
 * then what waited, in order. A record that a hook has seen is not among them: it is done, or it is lost and told.
 */
import type { Lane } from '../lanes/lane.js';
import { HookBit, Inbound, SUBSCRIBED } from '../wire/records.js';
import type { WaitingRecord } from '../wire/ring.js';
import type { Connection, Connections } from './connections.js';
import type { Requests } from './requests.js';

const NO_BYTES = new Uint8Array(0);

/** A connection whose messages end a lane so often within so many milliseconds is closed. */
const STRIKES = 3;
const STRIKES_WITHIN_MS = 60_000;
const POISON_CODE = 1011;
const POISON_REASON = 'its messages ended the handler';

export interface TakeoverEvents {
  /** What a hook of this connection was handling when its lane ended is lost. */
  lost(connection: Connection): void;
  /** The connection's messages have ended lanes too often; it is closed. */
  poisoned(connection: Connection): void;
}

export class Takeover {
  /** Records that a hook had begun and not finished when its lane ended. */
  lost = 0;

  constructor(
    private readonly connections: Connections,
    private readonly requests: Requests,
    private readonly events: TakeoverEvents,
  ) {}

  /** @param from has ended, or reads no more */
  carryOut(from: Lane, to: Lane): void {
    const suspects = from.gone ? this.countLost(from) : [];
    const remains = collect(from);
    for (const connection of this.connections.all()) {
      if (connection.lane === from) this.move(connection, to, remains.opening, remains.closing);
    }
    this.requests.takeOver(from, to, remains.tokens);
    for (const record of remains.records) this.repeat(to, record);
    for (const suspect of suspects) this.strike(suspect);
  }

  /** Tells whose hook had not finished. @returns whose hook may have ended the lane */
  private countLost(lane: Lane): Connection[] {
    const { executing } = lane;
    const { directory } = this.connections;
    const running = [...this.connections.all()].filter(
      ({ lane: owner, slot }) => owner === lane && directory.isRunning(slot),
    );
    const culprit =
      executing && this.connections.withSlot(executing.slot, executing.tag);
    const lost = new Set(culprit === undefined ? running : [culprit, ...running]);
    this.lost += lost.size;
    for (const connection of lost) this.events.lost(connection);
    // The hook on the thread is to blame; where there was none, any that had not settled may be.
    return culprit === undefined ? running : [culprit];
  }

  private strike(connection: Connection): void {
    const now = performance.now();
    connection.strikes = [...connection.strikes.filter(time => now - time < STRIKES_WITHIN_MS), now];
    if (connection.strikes.length < STRIKES || connection.ws === undefined || connection.cause !== undefined)
      return;
    connection.cause = 'poison';
    this.events.poisoned(connection);
    connection.ws.end(POISON_CODE, POISON_REASON);
  }

  private move(connection: Connection, to: Lane, opening: Set<number>, closing: Set<number>): void {
    const { slot, tag, lane: from } = connection;
    connection.lane = to;
    connection.accepted = 0;
    connection.settled = 0;
    this.connections.directory.move(slot, to.index);
    if (connection.ws === undefined) {
      // Its close hook was under way, or is through; otherwise its record waits.
      if (!closing.has(slot)) this.connections.release(slot, tag);
      return;
    }
    from.connections--;
    to.connections++;
    const topics = connection.topics > 0 ? connection.ws.getTopics() : [];
    for (const topic of topics) to.post(Inbound.topic, SUBSCRIBED, 0, slot, tag, Buffer.from(topic));
    const resumes = to.has(HookBit.resume) && !opening.has(slot);
    if (resumes) to.post(Inbound.resume, 0, 0, slot, tag, NO_BYTES);
    connection.known ||= resumes || topics.length > 0;
  }

  private repeat(to: Lane, { type, flags, aux, target, tag, payload }: WaitingRecord): void {
    switch (type) {
      case Inbound.request:
      case Inbound.upgrade:
        if (!this.requests.has(target)) return; // its client is gone
        to.charge(undefined, payload.length);
        break;
      case Inbound.abort:
      case Inbound.writable:
        return; // for answers that the lane before had begun, or for what was left out above
      case Inbound.topic:
      case Inbound.resume:
        return; // told by `move`
      case Inbound.message:
      case Inbound.ping:
      case Inbound.pong: {
        to.charge(this.connections.withSlot(target, tag), payload.length);
        break;
      }
    }
    to.post(type, flags, aux, target, tag, payload);
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
  for (const record of from.remains()) {
    remains.records.push(record);
    if (record.type === Inbound.open) remains.opening.add(record.target);
    else if (record.type === Inbound.close) remains.closing.add(record.target);
    else if (record.type === Inbound.request || record.type === Inbound.upgrade)
      remains.tokens.add(record.target);
  }
  return remains;
}
