/**
 * HTTP requests and upgrades that a lane has to answer: from the first byte to the last, main thread.
 *
 * Each has a token, by which the lane's answer finds it again. uWebSockets' response object must not be touched once
 * its client is gone: then the token is forgotten at once, the lane is told, and its answer finds nothing.
 */
import type { Lane } from '../lanes/lane.js';
import type { ProtocolOffer } from '../sessions/offer.js';
import type { WaitGroup } from '../sync/index.js';
import type { BatchReader } from '../wire/batch.js';
import { formatHead } from '../wire/head.js';
import { ABORTED, HookBit, Inbound, Outbound } from '../wire/records.js';
import type { RequestBodies } from './bodies.js';
import { Connection, type Opening, type SocketData } from './connections.js';
import type { CorkHolder } from './cork-holder.js';
import { refuse, statusLine } from './refuse.js';
import { clientAddress, encodeHead, type RequestHead, readHead } from './request-head.js';
import type { HttpRequest, HttpResponse } from './uws.js';

type SocketContext = Parameters<HttpResponse['upgrade']>[4];

/** What is needed to complete the handshake once the lane has agreed. */
interface Handshake {
  head: RequestHead;
  address: string;
  key: string;
  extensions: string;
  context: SocketContext;
  /** What the client offered to get a session; undefined for nothing. */
  offer: ProtocolOffer | undefined;
}

interface Pending {
  readonly res: HttpResponse;
  lane: Lane;
  /** HEAD: the answer has no body; its headers say how long it would be. */
  readonly isHead: boolean;
  /** Set for an upgrade. */
  readonly handshake: Handshake | undefined;
  /** Bytes of a streamed body that the lane does not know to have gone out. */
  unacknowledged: number;
  /** Whether its head has gone out. */
  streaming: boolean;
}

/** What the lane decided on an upgrade; the record's JSON part. */
export interface Acceptance {
  headers: [string, string][];
  protocol: string;
  namespace: string;
}

const NO_BYTES = new Uint8Array(0);
const ANSWER_TO_DEAD_LANE = 'the handler of this request ended before it answered\n';

export class Requests {
  total = 0;
  /** Counts requests and upgrades while the gateway drains. */
  inFlight: WaitGroup | undefined;
  /** Requests and upgrades that got their whole answer. */
  answered = 0;
  /** Whether clients are told to close their connections after the next answer, and nobody is upgraded. */
  draining = false;
  private readonly pending = new Map<number, Pending>();
  private lastToken = 0;
  private stopped = false;
  // The answer at hand, for the functions that run inside a cork.
  private answering: Pending | undefined;
  private batch: BatchReader | undefined;
  /** Held while a client is upgraded; see cork-holder.ts. */
  corkHolder: CorkHolder | undefined;

  constructor(
    private readonly bodies: RequestBodies,
    private readonly laneForRequest: () => Lane | undefined,
    private readonly hasRoomFor: (opening: Opening) => boolean,
  ) {}

  /** Requests and upgrades that wait for an answer. */
  get waiting(): number {
    return this.pending.size;
  }

  /** A request that is no upgrade. */
  handle(res: HttpResponse, req: HttpRequest): void {
    this.total++;
    const lane = this.stopped ? undefined : this.laneForRequest();
    if (lane === undefined) return refuse(res, 503, 'the gateway is not ready\n', this.draining);
    if (!lane.has(HookBit.fetch)) return refuse(res, 404, 'not found\n', this.draining);
    const head = readHead(req);
    if (!head.hasBody) {
      this.dispatch(this.expect(res, lane, head.method === 'HEAD', undefined), head, NO_BYTES);
      return;
    }
    this.bodies.collect(res, head, body => {
      const now = this.stopped ? undefined : this.laneForRequest();
      if (now === undefined) return refuse(res, 503, 'the gateway is not ready\n', this.draining);
      this.dispatch(this.expect(res, now, head.method === 'HEAD', undefined), head, body);
    });
  }

  private dispatch(token: number, head: RequestHead, body: Uint8Array): void {
    const { lane, res } = this.pending.get(token) as Pending;
    const text = encodeHead(formatHead(head.method, head.target, '', '', '', head.headers));
    if (!lane.inbox.admitRequest(text.length + body.length)) {
      this.forget(token);
      refuse(res, 503, 'the gateway is overloaded\n');
      return;
    }
    lane.inbox.post(Inbound.request, 0, 0, token, text.length, text, body);
  }

  /** An upgrade that the app wants to decide on. */
  upgrade(
    res: HttpResponse,
    req: HttpRequest,
    context: SocketContext,
    lane: Lane,
    offer: ProtocolOffer | undefined,
  ): void {
    const head = readHead(req, offer?.forApp);
    const key = req.getHeader('sec-websocket-key');
    const extensions = req.getHeader('sec-websocket-extensions');
    const address = clientAddress(res);
    const token = this.expect(res, lane, false, { head, address, key, extensions, context, offer });
    const text = encodeHead(formatHead(head.method, head.target, address, '', '', head.headers));
    if (!lane.inbox.admitRequest(text.length)) {
      this.forget(token);
      refuse(res, 503, 'the gateway is overloaded\n');
      return;
    }
    lane.inbox.post(Inbound.upgrade, 0, 0, token, text.length, text);
  }

  /** Waits for a lane's answer. @returns the token */
  private expect(res: HttpResponse, lane: Lane, isHead: boolean, handshake: Handshake | undefined): number {
    do this.lastToken = (this.lastToken + 1) | 0;
    while (this.lastToken === 0 || this.pending.has(this.lastToken));
    const token = this.lastToken;
    this.pending.set(token, { res, lane, isHead, handshake, unacknowledged: 0, streaming: false });
    lane.requests++;
    this.inFlight?.add();
    res.onAborted(() => {
      const asked = this.pending.get(token)?.lane;
      if (this.forget(token)) asked?.inbox.post(Inbound.abort, 0, 0, token, 0, NO_BYTES);
    });
    return token;
  }

  private forget(token: number): boolean {
    const pending = this.pending.get(token);
    if (pending === undefined) return false;
    this.pending.delete(token);
    pending.lane.requests--;
    this.inFlight?.done();
    return true;
  }

  /** Carries out one record of a lane's answer. */
  answer(lane: Lane, batch: BatchReader): void {
    const pending = this.pending.get(batch.target);
    if (pending === undefined || pending.lane !== lane) return;
    this.answering = pending;
    this.batch = batch;
    switch (batch.type) {
      case Outbound.response:
        this.answered++;
        this.forget(batch.target);
        pending.res.cork(this.writeWhole);
        break;
      case Outbound.responseHead:
        this.beginStream(pending, batch.target);
        pending.res.cork(this.writeHead);
        break;
      case Outbound.responseChunk:
        this.writeChunk(pending, batch);
        break;
      case Outbound.responseEnd:
        this.forget(batch.target);
        if ((batch.flags & ABORTED) !== 0) {
          pending.res.close();
        } else {
          this.answered++;
          pending.res.cork(this.writeEnd);
        }
        break;
      case Outbound.accept:
        this.answered++;
        this.forget(batch.target);
        this.accept(pending, batch);
        break;
    }
    this.answering = undefined;
    this.batch = undefined;
  }

  private readonly writeWhole = (): void => {
    const { res, isHead } = this.answering as Pending;
    const batch = this.batch as BatchReader;
    const bodyLength = batch.length - batch.tag;
    writeStatusAndHeaders(res, batch, batch.tag);
    if (isHead || hasNoBody(batch.aux)) {
      // Given any argument, it would wait for a body.
      if (this.draining) res.writeHeader('connection', 'close');
      res.endWithoutBody();
    } else {
      const body =
        bodyLength === 0 ? NO_BYTES : new Uint8Array(batch.memory, batch.offset + batch.tag, bodyLength);
      res.end(body, this.draining);
    }
  };

  private readonly writeHead = (): void => {
    const { res } = this.answering as Pending;
    const batch = this.batch as BatchReader;
    writeStatusAndHeaders(res, batch, batch.length);
    // By then it is too late to let uWebSockets do it, as for answers in one piece.
    if (this.draining) res.writeHeader('connection', 'close');
  };

  private readonly writeEnd = (): void => {
    (this.answering as Pending).res.end();
  };

  private beginStream(pending: Pending, token: number): void {
    pending.streaming = true;
    pending.res.onWritable(() => {
      this.acknowledge(pending, token);
      return true;
    });
  }

  /** The lane sends no more than a window of a body ahead of what it knows to have gone out; see workers/respond.ts. */
  private writeChunk(pending: Pending, batch: BatchReader): void {
    const { res } = pending;
    const chunk = new Uint8Array(batch.memory, batch.offset, batch.length);
    pending.unacknowledged += batch.length;
    let wentOut = true;
    res.cork(() => {
      wentOut = res.write(chunk);
    });
    if (wentOut) this.acknowledge(pending, batch.target);
  }

  private acknowledge(pending: Pending, token: number): void {
    if (pending.unacknowledged === 0 || this.pending.get(token) !== pending) return;
    pending.lane.inbox.post(Inbound.writable, 0, 0, token, pending.unacknowledged, NO_BYTES);
    pending.unacknowledged = 0;
  }

  private accept(pending: Pending, batch: BatchReader): void {
    const { res, lane, handshake } = pending;
    if (handshake === undefined) return;
    const refuseAfterAll = (text: string): void => {
      lane.inbox.post(Inbound.abort, 0, 0, batch.target, 0, NO_BYTES);
      refuse(res, 503, text, this.draining);
    };
    if (this.draining) return refuseAfterAll('the gateway is closing\n');
    const jsonEnd = batch.offset + batch.tag;
    const decision = JSON.parse(batch.bytes.toString('utf8', batch.offset, jsonEnd)) as Acceptance;
    const { head, address, key, extensions, context, offer } = handshake;
    const { namespace, protocol } = decision;
    const answer = offer?.answer(protocol);
    const opening: Opening = {
      head: Buffer.from(formatHead(head.method, head.target, address, namespace, protocol, head.headers)),
      namespace,
      context: new Uint8Array(batch.bytes.subarray(jsonEnd, batch.offset + batch.length)),
      token: batch.target,
      session: answer === undefined ? undefined : offer?.session,
    };
    if (!this.hasRoomFor(opening)) return refuseAfterAll('too many connections\n');
    const connection = new Connection(lane, opening);
    const upgrade = (): void => {
      res.writeStatus('101 Switching Protocols');
      for (const [name, value] of decision.headers) res.writeHeader(name, value);
      res.upgrade<SocketData>({ connection }, key, answer ?? protocol, extensions, context);
    };
    if (this.corkHolder === undefined) res.cork(upgrade);
    else this.corkHolder.hold(() => res.cork(upgrade));
  }

  /** Whether the request or upgrade still waits for its answer. */
  has(token: number): boolean {
    return this.pending.has(token);
  }

  /**
   * Another lane goes on.
   * @param waiting those that no hook has seen: they are the new lane's. The others are for the lane before to answer, if
   * it still can.
   */
  takeOver(from: Lane, to: Lane, waiting: Set<number>): void {
    for (const [token, pending] of this.pending) {
      if (pending.lane !== from || !waiting.has(token)) continue;
      pending.lane = to;
      from.requests--;
      to.requests++;
    }
    if (from.gone) this.laneEnded(from);
  }

  /** No more upgrades, and no more requests on connections that had one. */
  drain(): void {
    this.draining = true;
  }

  /** All lanes are gone. @returns how many requests and upgrades are cut off */
  stop(): number {
    this.stopped = true;
    const cutOff = this.pending.size;
    for (const { lane } of [...this.pending.values()]) this.laneEnded(lane);
    return cutOff;
  }

  /** The lane has ended: what it should have answered is answered for it. */
  laneEnded(lane: Lane): void {
    for (const [token, { res, lane: owner, streaming }] of [...this.pending]) {
      if (owner !== lane) continue;
      this.forget(token);
      // Half an answer cannot be taken back: a dropped connection tells that it is not whole.
      if (streaming) res.close();
      else refuse(res, 503, ANSWER_TO_DEAD_LANE, this.draining);
    }
  }
}

function hasNoBody(status: number): boolean {
  return status === 204 || status === 304;
}

/** The head of a response: lines of name and value in turn. */
function writeStatusAndHeaders(res: HttpResponse, batch: BatchReader, headLength: number): void {
  if (batch.aux !== 200) res.writeStatus(statusLine(batch.aux));
  if (headLength === 0) return;
  const text = batch.bytes.toString('utf8', batch.offset, batch.offset + headLength);
  const isAscii = text.length === headLength;
  const fields = text.split('\n');
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const value = fields[i + 1] as string;
    // HTTP's header values are bytes, one a character; uWebSockets would write strings as UTF-8.
    res.writeHeader(fields[i] as string, isAscii ? value : Buffer.from(value, 'latin1'));
  }
}
