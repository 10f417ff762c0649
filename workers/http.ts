/** HTTP requests and upgrades on a lane: runs the app's `fetch` and `upgrade`, and answers the main thread. */
import { inspect } from 'node:util';
import { serialize } from 'node:v8';
import type { App, Gateway, Log, PeerContext, UpgradeAccept } from '../src/app.js';
import { UpgradeError } from '../src/errors.js';
import { Head } from '../src/wire/head.js';
import { LARGEST_HEAD_BYTES } from '../src/wire/heads.js';
import { Outbound, RECORD_COST_BYTES } from '../src/wire/records.js';
import type { RingReader } from '../src/wire/ring-reader.js';
import { checkName } from '../src/wire/topics.js';
import type { Outbox } from './outbox.js';
import { LaneRequest } from './request.js';
import { ResponseSender } from './respond.js';
import { LaneResponse } from './response.js';

/** What the main thread is told when an upgrade is accepted. */
interface Acceptance {
  headers: [string, string][];
  protocol: string;
  namespace: string;
}

/** A request or upgrade that is not answered yet. */
interface Exchange {
  request: LaneRequest;
  /** Set once its answer is being streamed. */
  sender: ResponseSender | undefined;
  /** Bytes to take off the account when it is over. */
  charged: number;
}

export class HttpHandler {
  private readonly exchanges = new Map<number, Exchange>();
  private readonly contexts = new Map<number, PeerContext>();

  constructor(
    private readonly app: App,
    private readonly gateway: Gateway,
    private readonly ring: RingReader,
    private readonly outbox: Outbox,
    private readonly log: Log,
    private readonly progressed: () => void,
  ) {}

  /** Requests and upgrades that are not answered yet. */
  get unsettled(): number {
    return this.exchanges.size;
  }

  /** @param payload head and body, in memory that is ours @param headLength bytes of the head */
  request(token: number, payload: Buffer, headLength: number): void {
    const head = new Head(payload.toString('utf8', 0, headLength));
    const body = payload.length > headLength ? payload.subarray(headLength) : undefined;
    const request = new LaneRequest(head, body);
    this.exchanges.set(token, { request, sender: undefined, charged: payload.length + RECORD_COST_BYTES });
    let result: Response | Promise<Response> | undefined;
    try {
      result = this.app.fetch?.(request as unknown as Request, this.gateway);
    } catch (error) {
      this.refuse(token, 'fetch', error);
      return;
    }
    if (
      result instanceof Promise ||
      typeof (result as PromiseLike<Response> | undefined)?.then === 'function'
    ) {
      Promise.resolve(result).then(
        response => this.respond(token, response),
        error => this.refuse(token, 'fetch', error),
      );
    } else {
      this.respond(token, result);
    }
  }

  upgrade(token: number, payload: Buffer): void {
    const head = new Head(payload.toString('utf8', 0, payload.length));
    const request = new LaneRequest(head);
    const context: PeerContext = {};
    Object.defineProperty(request, 'context', { value: context, enumerable: true });
    this.exchanges.set(token, { request, sender: undefined, charged: payload.length + RECORD_COST_BYTES });
    let result: unknown;
    try {
      result = this.app.websocket?.upgrade?.(request as unknown as Request & { context: PeerContext });
    } catch (error) {
      this.upgradeFailed(token, error);
      return;
    }
    if (result !== undefined && typeof (result as Promise<unknown>)?.then === 'function') {
      Promise.resolve(result).then(
        decision => this.decide(token, head, context, decision),
        error => this.upgradeFailed(token, error),
      );
    } else {
      this.decide(token, head, context, result);
    }
  }

  private decide(token: number, head: Head, context: PeerContext, decision: unknown): void {
    if (!this.exchanges.has(token)) return; // its client is gone
    if (decision instanceof Response) {
      this.respond(token, decision);
      return;
    }
    try {
      this.accept(token, head, context, (decision ?? {}) as UpgradeAccept);
    } catch (error) {
      this.upgradeFailed(token, error);
    }
  }

  private accept(token: number, head: Head, context: PeerContext, decision: UpgradeAccept): void {
    if (typeof decision !== 'object') throw new UpgradeError(`upgrade returned a ${typeof decision}`);
    if ('handled' in decision && decision.handled) {
      throw new UpgradeError('upgrade returned { handled: true }, but a lane has no socket to have handled');
    }
    const headers = [...new Headers(decision.headers)];
    const named = headers.find(([name]) => name === 'sec-websocket-protocol')?.[1];
    const acceptance: Acceptance = {
      headers: headers.filter(([name]) => name !== 'sec-websocket-protocol'),
      protocol: offeredProtocol(head, decision.protocol ?? named),
      namespace: decision.namespace ?? head.path,
    };
    checkName('namespace', acceptance.namespace);
    if (acceptance.namespace.includes('\n'))
      throw new UpgradeError('a namespace cannot contain a line break');
    Object.assign(context, decision.context);
    this.contexts.set(token, context);
    const json = Buffer.from(JSON.stringify(acceptance));
    this.outbox.record(Outbound.accept, 0, 0, token, json.length, json, this.serialized(context));
    this.end(token);
  }

  /** A copy for the other lanes, where the context can be cloned. */
  private serialized(context: PeerContext): Uint8Array {
    if (Object.keys(context).length === 0) return new Uint8Array(0);
    try {
      const bytes = serialize(context);
      if (bytes.length <= LARGEST_HEAD_BYTES) return bytes;
      this.log.warn('the context is too large: other lanes will see an empty one', { bytes: bytes.length });
    } catch (error) {
      this.log.debug('the context cannot be cloned: other lanes will see an empty one', { err: error });
    }
    return new Uint8Array(0);
  }

  private upgradeFailed(token: number, error: unknown): void {
    const response = (error as { response?: unknown } | undefined)?.response ?? error;
    if (response instanceof Response) this.respond(token, response);
    else this.refuse(token, 'upgrade', error);
  }

  private respond(token: number, response: unknown): void {
    const exchange = this.exchanges.get(token);
    if (exchange === undefined) return; // its client is gone
    if (!(response instanceof Response)) {
      this.refuse(token, 'fetch', new TypeError(`fetch returned ${inspect(response)} instead of a Response`));
      return;
    }
    const isHead = exchange.request.method === 'HEAD';
    exchange.sender = new ResponseSender(this.outbox, token, isHead);
    try {
      const streaming = exchange.sender.send(response);
      if (streaming === undefined) {
        this.end(token);
        return;
      }
      streaming.then(
        () => this.end(token),
        error => {
          this.log.error('a response could not be finished', { err: error });
          this.end(token);
        },
      );
    } catch (error) {
      this.refuse(token, 'fetch', error);
    }
  }

  private refuse(token: number, hook: 'fetch' | 'upgrade', error: unknown): void {
    if (!this.exchanges.has(token)) return; // its client is gone: often that is why it failed
    this.log.error(`${hook} failed`, { hook, err: error });
    const response = new LaneResponse('internal server error\n', { status: 500 });
    new ResponseSender(this.outbox, token, false).send(response as unknown as Response);
    this.end(token);
  }

  private end(token: number): void {
    const exchange = this.exchanges.get(token);
    if (exchange === undefined) return;
    this.exchanges.delete(token);
    this.ring.settle(exchange.charged);
    this.progressed();
  }

  /** The client is gone. */
  abort(token: number): void {
    this.contexts.delete(token);
    const exchange = this.exchanges.get(token);
    if (exchange === undefined) return;
    this.end(token);
    exchange.sender?.abort();
    exchange.request.abort();
  }

  /** So many bytes of a streamed response have left the main thread. */
  writable(token: number, bytes: number): void {
    this.exchanges.get(token)?.sender?.writable(bytes);
  }

  /** What the upgrade of a connection that has opened gave as its context. */
  takeContext(token: number): PeerContext | undefined {
    if (token === 0) return undefined;
    const context = this.contexts.get(token);
    this.contexts.delete(token);
    return context;
  }
}

function offeredProtocol(head: Head, protocol: string | undefined): string {
  if (protocol === undefined || protocol === '') return '';
  const offered = (head.header('sec-websocket-protocol') ?? '').split(',').map(token => token.trim());
  if (!offered.includes(protocol)) {
    throw new UpgradeError(
      `upgrade chose the protocol '${protocol}', but the client offered '${offered.join(', ')}'`,
    );
  }
  return protocol;
}
