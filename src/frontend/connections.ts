/**
 * All connections of this process: the table that finds one by its slot, and the one place where they open and close.
 *
 * A closed connection keeps its slot until its lane has said that it needs it no more (`release`), so that a close hook
 * can still read the upgrade request. Where the lane never heard of the connection the slot is free at once.
 */
import { randomFillSync } from 'node:crypto';
import type { Backlog } from '../lanes/backlog.js';
import type { Lane } from '../lanes/lane.js';
import type { SessionOffer } from '../sessions/offer.js';
import type { Session } from '../sessions/session.js';
import type { WaitGroup } from '../sync/index.js';
import { type DirectoryMemory, DirectoryWriter } from '../wire/directory.js';
import { HeadAllocator } from '../wire/heads.js';
import type { WebSocket } from './uws.js';

/** What uWebSockets keeps with each socket. */
export interface SocketData {
  connection: Connection;
}

/** Why a connection ended, for statistics. */
export type CloseCause =
  | 'client'
  | 'app'
  | 'lost'
  | 'slow-consumer'
  | 'inbound-overflow'
  | 'poison'
  | 'session-moved'
  | 'bad-frame'
  | 'shutdown';

const NO_STRIKES: Connection['strikes'] = [];

/** One connection, main thread. Little more than plain fields: there may be ten thousands. */
export class Connection {
  /** Undefined once it is closed: uWebSockets forbids any use then. */
  ws: WebSocket<SocketData> | undefined = undefined;
  slot = 0;
  tag = 0;
  /** Inbound bytes taken in and known to be settled; see LaneInbox.admit. */
  accepted = 0;
  settled = 0;
  /** Bytes that wait for the client, as last written to the directory. */
  buffered = 0;
  /** Topics that it is subscribed to. */
  topics = 0;
  /** Whether the lane has been told of it. */
  known = false;
  /** Whether no more messages are taken from it; see drain.ts. */
  finishing = false;
  /** What this side ended it for. From then on nothing more is sent to it. */
  cause: CloseCause | undefined = undefined;
  /** Set while it goes from one lane to another that both live: where to, and what came for it meanwhile. */
  moving: { to: number; held: Backlog } | undefined = undefined;
  /** When its messages ended a lane, or may have, in milliseconds of `performance.now()`. */
  strikes: readonly { time: number; weight: number }[] = NO_STRIKES;
  /** Where its client asked for one: it outlives the connection. */
  session: Session | undefined = undefined;
  /** The writer's list of this connection's frames in the batch at hand; see writer.ts. */
  firstFrame = -1;
  lastFrame = -1;
  /** The upgrade request and what the app decided, until the socket opens. */
  opening: Opening | undefined;

  constructor(
    /** Where its hooks run: another one, once that has ended. */
    public lane: Lane,
    opening: Opening,
  ) {
    this.opening = opening;
  }

  /** Sends a record to its lane: behind all others of this connection. */
  tell(type: number, flags: number, aux: number, payload: Uint8Array): void {
    this.known = true;
    if (this.moving === undefined) this.lane.inbox.post(type, flags, aux, this.slot, this.tag, payload);
    else this.moving.held.push(type, flags, aux, this.slot, this.tag, payload);
  }
}

export interface Opening {
  head: Uint8Array;
  namespace: string;
  /** Serialized; empty for none. */
  context: Uint8Array;
  /** The upgrade's token, by which the lane finds the context; 0 for none. */
  token: number;
  /** The session that it belongs to; undefined for none. */
  session: SessionOffer | undefined;
}

const ID_BYTES = 16;

export class Connections {
  readonly directory: DirectoryWriter;
  readonly closesByCause = new Map<CloseCause, number>();
  opened = 0;
  /** Counts open connections while the gateway drains. */
  inFlight: WaitGroup | undefined;

  /** Told when a lane is through with a closed connection that belongs to a session. */
  onSessionReleased: ((session: Session, connection: Connection) => void) | undefined;

  private readonly heads: HeadAllocator;
  private readonly bySlot: (Connection | undefined)[] = [];
  private readonly namespaces = new Map<string, { id: number; connections: number }>();
  private readonly namespaceNames = new Map<number, string>();
  private readonly freeNamespaceIds: number[] = [];
  private readonly random = Buffer.alloc(ID_BYTES * 256);
  private randomUsed = this.random.length;

  constructor(memory: DirectoryMemory) {
    this.directory = new DirectoryWriter(memory);
    this.heads = new HeadAllocator(memory.heads);
  }

  /** Whether there is no slot for one more connection. */
  get full(): boolean {
    return this.directory.full;
  }

  /** Whether there is room for what a connection will need; true until something else is given room. */
  hasRoomFor({ head, context }: Opening): boolean {
    const headOffset = this.heads.allocate(head.length);
    const contextOffset = this.heads.allocate(context.length);
    if (headOffset !== undefined) this.heads.release(headOffset, head.length);
    if (contextOffset !== undefined) this.heads.release(contextOffset, context.length);
    return headOffset !== undefined && contextOffset !== undefined && !this.full;
  }

  /** The open connection with that tag, or undefined. */
  find(slot: number, tag: number): Connection | undefined {
    const connection = this.bySlot[slot];
    return connection !== undefined && connection.tag === tag && connection.ws !== undefined
      ? connection
      : undefined;
  }

  /** The same, open or closed, as long as it has its slot. */
  withSlot(slot: number, tag: number): Connection | undefined {
    const connection = this.bySlot[slot];
    return connection?.tag === tag ? connection : undefined;
  }

  /** Gives a connection whose socket has just opened its slot. @returns false when there is no room for it */
  open(connection: Connection, ws: WebSocket<SocketData>): boolean {
    const { opening } = connection;
    if (opening === undefined) return false;
    const { head, context, namespace } = opening;
    const headOffset = this.heads.allocate(head.length);
    const contextOffset = context.length === 0 ? 0 : this.heads.allocate(context.length);
    const slot = headOffset === undefined || contextOffset === undefined ? undefined : this.directory.take();
    if (headOffset === undefined || contextOffset === undefined || slot === undefined) {
      if (headOffset !== undefined) this.heads.release(headOffset, head.length);
      if (contextOffset !== undefined && context.length > 0)
        this.heads.release(contextOffset, context.length);
      return false;
    }
    this.heads.bytes.set(head, headOffset);
    if (context.length > 0) this.heads.bytes.set(context, contextOffset);
    if (this.randomUsed === this.random.length) {
      randomFillSync(this.random);
      this.randomUsed = 0;
    }
    const entry = {
      lane: connection.lane.index,
      namespace: this.enterNamespace(namespace),
      headOffset,
      headLength: head.length,
      contextOffset,
      contextLength: context.length,
      session: opening.session?.name,
    };
    connection.slot = slot;
    connection.tag = this.directory.fill(slot, entry, this.random, this.randomUsed);
    connection.ws = ws;
    connection.opening = undefined;
    this.randomUsed += ID_BYTES;
    this.bySlot[slot] = connection;
    connection.lane.connections++;
    this.opened++;
    this.inFlight?.add();
    return true;
  }

  /** The socket is closed. The slot stays until `release`. */
  close(connection: Connection, cause: CloseCause): void {
    connection.ws = undefined;
    this.directory.close(connection.slot, connection.tag);
    connection.lane.connections--;
    this.inFlight?.done();
    this.closesByCause.set(cause, (this.closesByCause.get(cause) ?? 0) + 1);
  }

  /** The lane needs the closed connection no more. */
  release(slot: number, tag: number): void {
    const connection = this.bySlot[slot];
    if (connection === undefined || connection.tag !== tag || connection.ws !== undefined) return;
    const { headOffset, headLength, contextOffset, contextLength } = this.directory.entry(slot);
    this.heads.release(headOffset, headLength);
    if (contextLength > 0) this.heads.release(contextOffset, contextLength);
    this.leaveNamespace(this.directory.namespace(slot));
    this.bySlot[slot] = undefined;
    this.directory.release(slot);
    if (connection.session !== undefined) this.onSessionReleased?.(connection.session, connection);
  }

  /** Writes how much waits for the client to where every lane can read it. */
  setBuffered(connection: Connection, bytes: number): void {
    if (connection.buffered === bytes) return;
    connection.buffered = bytes;
    this.directory.setBuffered(connection.slot, bytes);
  }

  /** Every connection that has a slot, open or closed. Closing or releasing the one at hand is allowed. */
  *all(): Generator<Connection> {
    for (const connection of this.bySlot) if (connection !== undefined) yield connection;
  }

  get openCount(): number {
    return this.directory.openCount;
  }

  private enterNamespace(name: string): number {
    let entry = this.namespaces.get(name);
    if (entry === undefined) {
      entry = { id: this.freeNamespaceIds.pop() ?? this.namespaces.size, connections: 0 };
      this.namespaces.set(name, entry);
      this.namespaceNames.set(entry.id, name);
    }
    entry.connections++;
    return entry.id;
  }

  private leaveNamespace(id: number): void {
    const name = this.namespaceNames.get(id) as string;
    const entry = this.namespaces.get(name);
    if (entry === undefined || --entry.connections > 0) return;
    this.namespaces.delete(name);
    this.namespaceNames.delete(id);
    this.freeNamespaceIds.push(id);
  }
}
