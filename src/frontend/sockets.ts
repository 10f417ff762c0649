/**
 * The WebSocket side of uWebSockets: what happens when a client asks for an upgrade, sends, drains, closes.
 * Everything here runs inside uWebSockets' callbacks: copy first, keep nothing that it owns.
 */
import type { Hub } from '../hub/hub.js';
import type { Lane } from '../lanes/lane.js';
import { type ProtocolOffer, parseOffer } from '../sessions/offer.js';
import type { Sessions } from '../sessions/sessions.js';
import { formatHead } from '../wire/head.js';
import { BINARY, HookBit, Inbound, REDELIVERED } from '../wire/records.js';
import type { Backpressure } from './backpressure.js';
import { type CloseCause, Connection, type Connections, type SocketData } from './connections.js';
import { refuse } from './refuse.js';
import { clientAddress, readHead } from './request-head.js';
import type { Requests } from './requests.js';
import { type TemplatedApp, uws, type WebSocket } from './uws.js';

const OVERFLOW_CODE = 1013;
const OVERFLOW_REASON = 'too many messages waiting';
const ABNORMAL_CODE = 1006;

const NO_BYTES = new Uint8Array(0);

export interface SocketOptions {
  maxPayload: number;
  idleTimeout: number;
  compression: false | 'shared' | 'dedicated';
}

export interface LanesForSockets {
  /** The lane that a new connection is to live on; undefined when none takes any. */
  forConnection(): Lane | undefined;
  /** The lane at that index now. */
  at(index: number): Lane;
}

export interface SocketEvents {
  /** A connection sent more than may wait and is closed for it. */
  overflowed(connection: Connection): void;
  /** The client of a connection that is being finished has taken off some of what waited for it. */
  takenOff(connection: Connection): void;
}

type Socket = WebSocket<SocketData>;

/** uWebSockets puts what `upgrade` was given on the socket object itself; read there it costs no call. */
function connectionOf(ws: Socket): Connection {
  return (ws as unknown as SocketData).connection;
}

export class Sockets {
  messagesIn = 0;
  bytesIn = 0;
  private readonly tokenBytes = new Uint8Array(4);

  constructor(
    private readonly connections: Connections,
    private readonly requests: Requests,
    private readonly backpressure: Backpressure,
    private readonly hub: Hub,
    private readonly sessions: Sessions<Connection>,
    private readonly options: SocketOptions,
    private readonly lanes: LanesForSockets,
    private readonly events: SocketEvents,
  ) {}

  attach(app: TemplatedApp): void {
    app.ws<SocketData>('/*', {
      maxPayloadLength: this.options.maxPayload,
      // 0: bounded by Backpressure instead, which says why there.
      maxBackpressure: 0,
      closeOnBackpressureLimit: false,
      idleTimeout: this.options.idleTimeout,
      sendPingsAutomatically: true,
      compression: compressionOf(this.options.compression),
      upgrade: (res, req, context) => this.upgrade(res, req, context),
      open: ws => this.open(ws),
      message: (ws, data, isBinary) => this.message(ws, data, isBinary),
      drain: ws => this.drain(ws),
      ping: (ws, data) => this.control(ws, 'ping', Inbound.ping, data),
      pong: (ws, data) => this.control(ws, 'pong', Inbound.pong, data),
      subscription: (ws, topic, now, before) => this.subscription(ws, topic, now, before),
      close: (ws, code, reason) => this.close(ws, code, reason),
    });
  }

  private upgrade(...[res, req, context]: UpgradeArguments): void {
    // uWebSockets goes by the key alone.
    if (req.getHeader('upgrade').toLowerCase() !== 'websocket') return this.requests.handle(res, req);
    if (req.getHeader('sec-websocket-version') !== '13')
      return refuse(res, 426, 'WebSocket version 13 only\n');
    if (this.requests.draining) return refuse(res, 503, 'the gateway is closing\n', true);
    const lane = this.lanes.forConnection();
    if (lane === undefined) return refuse(res, 503, 'the gateway is not ready\n');
    if (!lane.has(HookBit.websocket)) return refuse(res, 404, 'no WebSockets here\n');
    if (this.connections.full) return refuse(res, 503, 'too many connections\n');
    if (lane.has(HookBit.upgrade)) return this.requests.upgrade(res, req, context, lane, this.offer(req));
    const offer = this.offer(req);
    const answer = offer?.answer('');
    const head = readHead(req, offer?.forApp);
    const namespace = req.getUrl();
    const text = formatHead(head.method, head.target, clientAddress(res), namespace, '', head.headers);
    const session = answer === undefined ? undefined : offer?.session;
    const opening = { head: Buffer.from(text), namespace, context: NO_BYTES, token: 0, session };
    if (!this.connections.hasRoomFor(opening)) return refuse(res, 503, 'too many connections\n');
    res.upgrade<SocketData>(
      { connection: new Connection(lane, opening) },
      req.getHeader('sec-websocket-key'),
      answer ?? '',
      req.getHeader('sec-websocket-extensions'),
      context,
    );
  }

  /** What the client offers to get a session. */
  private offer(req: UpgradeArguments[1]): ProtocolOffer | undefined {
    return parseOffer(req.getHeader('sec-websocket-protocol'), this.sessions.offered);
  }

  private open(ws: Socket): void {
    const connection = connectionOf(ws);
    const offer = connection.opening?.session;
    // The one that allowed the upgrade may have been replaced since.
    const lane = this.lanes.at(connection.lane.index);
    connection.lane = lane;
    const token = connection.opening?.token ?? 0;
    if (lane.gone || !this.connections.open(connection, ws)) {
      if (token !== 0) lane.inbox.post(Inbound.abort, 0, 0, token, 0, NO_BYTES);
      ws.end(OVERFLOW_CODE, 'too many connections');
      return;
    }
    if (offer !== undefined) connection.session = this.sessions.attach(connection, offer);
    if (token === 0 && !lane.has(HookBit.open)) return;
    new DataView(this.tokenBytes.buffer).setInt32(0, token, true);
    connection.tell(Inbound.open, 0, 0, this.tokenBytes);
  }

  private message(ws: Socket, data: ArrayBuffer, isBinary: boolean): void {
    const connection = connectionOf(ws);
    this.messagesIn++;
    this.bytesIn += data.byteLength;
    const { session } = connection;
    if (session !== undefined && isBinary && session.owns(data))
      return this.sessions.receive(session, connection, Buffer.from(data));
    if (connection.cause !== undefined || connection.finishing || !connection.lane.has(HookBit.message))
      return;
    if (connection.lane.inbox.admit(connection, data.byteLength)) {
      connection.tell(Inbound.message, isBinary ? BINARY : 0, 0, new Uint8Array(data));
    } else {
      this.overflow(connection, ws);
    }
  }

  /** A message of a connection's session, for its hooks. @returns false when it cannot be taken */
  guaranteed(connection: Connection, binary: boolean, redelivered: boolean, payload: Uint8Array): boolean {
    if (connection.finishing || connection.ws === undefined) return false;
    if (!connection.lane.inbox.admit(connection, payload.length)) {
      this.overflow(connection, connection.ws);
      return false;
    }
    connection.tell(Inbound.guaranteed, (binary ? BINARY : 0) | (redelivered ? REDELIVERED : 0), 0, payload);
    return true;
  }

  private control(ws: Socket, hook: 'ping' | 'pong', type: number, data: ArrayBuffer): void {
    const connection = connectionOf(ws);
    // uWebSockets has answered the ping by itself: also pongs may not pile up for a client that does not read.
    if (hook === 'ping' && !this.backpressure.check(connection)) return;
    if (connection.cause !== undefined || connection.finishing || !connection.lane.has(HookBit[hook])) return;
    if (connection.lane.inbox.admit(connection, data.byteLength)) {
      connection.tell(type, 0, 0, new Uint8Array(data));
    } else {
      this.overflow(connection, ws);
    }
  }

  private overflow(connection: Connection, ws: Socket): void {
    connection.cause = 'inbound-overflow';
    this.events.overflowed(connection);
    ws.end(OVERFLOW_CODE, OVERFLOW_REASON);
  }

  private drain(ws: Socket): void {
    const connection = connectionOf(ws);
    if (connection.finishing) this.events.takenOff(connection);
    if (!this.backpressure.check(connection)) return;
    if (connection.buffered === 0 && connection.lane.has(HookBit.drain))
      connection.tell(Inbound.drain, 0, 0, NO_BYTES);
  }

  private subscription(ws: Socket, topic: ArrayBuffer, now: number, before: number): void {
    this.hub.subscribersChanged(Buffer.from(topic).toString('utf8'), now, before);
    const connection = connectionOf(ws);
    connection.topics += now - before;
    if (connection.topics > 0) this.backpressure.subscribed(connection);
    else this.backpressure.unsubscribed(connection);
  }

  private close(ws: Socket, code: number, reason: ArrayBuffer): void {
    const connection = connectionOf(ws);
    if (connection.ws === undefined) return; // it never got a slot
    this.backpressure.unsubscribed(connection);
    this.connections.close(connection, connection.cause ?? causeOf(code));
    if (connection.session !== undefined) this.sessions.detach(connection.session, connection);
    const { lane, known } = connection;
    if (!lane.gone && (known || lane.has(HookBit.close))) {
      connection.tell(Inbound.close, 0, code, new Uint8Array(reason));
    } else {
      this.connections.release(connection.slot, connection.tag);
    }
  }
}

type UpgradeArguments = Parameters<NonNullable<Parameters<TemplatedApp['ws']>[1]['upgrade']>>;

function causeOf(code: number): CloseCause {
  return code === ABNORMAL_CODE ? 'lost' : 'client';
}

function compressionOf(compression: SocketOptions['compression']): number {
  if (compression === false) return uws.DISABLED;
  // Inflating always takes a shared window: clients are asked not to keep one of their own.
  return compression === 'shared' ? uws.SHARED_COMPRESSOR : uws.DEDICATED_COMPRESSOR_32KB;
}
