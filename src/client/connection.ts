/**
 * One WebSocket, from its first byte to its end. `ended` resolves in every case. What comes is held until somebody listens,
 * and nothing is received after the end but what came before it.
 */
import type { Incoming } from './data.js';
import { Heartbeat, type HeartbeatOptions } from './heartbeat.js';
import { canPing, type WebSocketLike } from './websocket.js';

export interface Ended {
  /** 1006 where there was no close frame. */
  code: number;
  reason: string;
  /** What the platform tells of why, if it does. */
  cause?: unknown;
}

export class Connection {
  readonly socket: WebSocketLike;
  /** True when it opened, false when it ended before. */
  readonly opened: Promise<boolean>;
  readonly ended: Promise<Ended>;
  readonly #options: HeartbeatOptions;
  #settleOpened!: (opened: boolean) => void;
  #settleEnded!: (ended: Ended) => void;
  #isOpen = false;
  #over = false;
  #cause: unknown;
  #heartbeat: Heartbeat | undefined;
  #closing: ReturnType<typeof setTimeout> | undefined;
  #opening: ReturnType<typeof setTimeout> | undefined;
  /** What came before anybody could listen: together with the answer to the upgrade, say. */
  #early: Incoming[] | undefined = [];
  #receive: ((data: Incoming) => void) | undefined;
  #first: ((data: Incoming | undefined) => void) | undefined;

  constructor(socket: WebSocketLike, options: HeartbeatOptions) {
    this.socket = socket;
    this.#options = options;
    this.opened = new Promise(resolve => {
      this.#settleOpened = resolve;
    });
    this.ended = new Promise(resolve => {
      this.#settleEnded = resolve;
    });
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => this.#open();
    socket.onmessage = (event: { data: Incoming }) => this.#hear(event.data);
    // Left in place when it has ended: an error that nobody hears ends a Node process.
    socket.onerror = ({ error }: { error?: unknown }) => {
      this.#cause ??= error;
      // A close follows, except in Node 22, whose WebSocket says no more when it could not connect.
      if (!this.#isOpen) this.#end({ code: 1006, reason: '', cause: error });
    };
    socket.onclose = ({ code, reason }: { code: number; reason: string }) => {
      this.#end({ code, reason, cause: this.#cause });
    };
  }

  /** Resolves with its first message, which nobody else receives; with undefined when it ended before. */
  first(): Promise<Incoming | undefined> {
    const first = this.#early?.shift();
    if (first !== undefined || this.#over) return Promise.resolve(first);
    return new Promise(resolve => {
      this.#first = resolve;
    });
  }

  /** Receives all messages, those that came already a turn later: who hears of the connection now may listen by then. */
  listen(receive: (data: Incoming) => void): void {
    this.#receive = receive;
    if (this.#over) this.#release();
    else this.#opening = setTimeout(() => this.#release(), 0);
  }

  /** Notices from now on when the other side is gone. A WebSocket that has pings of its own does so by itself. */
  beat(ping: () => void): void {
    const { pingInterval, pingTimeout } = this.#options;
    if (this.#over || this.#heartbeat !== undefined || pingInterval === 0) return;
    this.#heartbeat = new Heartbeat(ping, this.#options, () => {
      this.abandon(new Error(`no answer to a ping within ${pingTimeout} ms`));
    });
  }

  /** Closes as the protocol has it, and without the other side when `timeout` milliseconds are over. */
  close(code: number, reason: string, timeout: number): void {
    if (this.#over) return;
    this.#heartbeat?.stop();
    this.socket.close(code, reason);
    this.#closing ??= setTimeout(() => this.abandon(), timeout);
  }

  /** Ends it now, and receives no more. The other side gets a close frame if one can still be written. */
  abandon(cause?: unknown, code = 1000, reason = ''): void {
    if (this.#over) return;
    this.#end({ code: 1006, reason: '', cause });
    this.#receive = undefined;
    this.socket.close(code, reason);
    if (canPing(this.socket)) this.socket.terminate();
  }

  #open(): void {
    if (this.#over) return;
    this.#isOpen = true;
    const { socket } = this;
    if (canPing(socket)) {
      const heard = (): void => this.#heartbeat?.heard();
      socket.on('ping', heard);
      socket.on('pong', heard);
      this.beat(() => socket.ping());
    }
    this.#settleOpened(true);
  }

  #hear(data: Incoming): void {
    if (this.#over) return;
    this.#heartbeat?.heard();
    const first = this.#first;
    this.#first = undefined;
    if (first !== undefined) first(data);
    else if (this.#early !== undefined) this.#early.push(data);
    else this.#receive?.(data);
  }

  #release(): void {
    if (this.#receive === undefined) return;
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const data of early) this.#receive?.(data);
  }

  #end(ended: Ended): void {
    if (this.#over) return;
    this.#release();
    this.#over = true;
    this.#heartbeat?.stop();
    clearTimeout(this.#closing);
    clearTimeout(this.#opening);
    this.#first?.(undefined);
    this.#settleOpened(false);
    this.#settleEnded(ended);
  }
}
