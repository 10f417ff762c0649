/** One WebSocket, from its first byte to its end. `ended` resolves in every case, and nothing is received after it. */
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
  readonly #receive: (data: Incoming) => void;
  #settleOpened!: (opened: boolean) => void;
  #settleEnded!: (ended: Ended) => void;
  #isOpen = false;
  #over = false;
  #cause: unknown;
  #heartbeat: Heartbeat | undefined;
  #closing: ReturnType<typeof setTimeout> | undefined;
  #opening: ReturnType<typeof setTimeout> | undefined;
  /** Came together with the answer to the upgrade, before anybody could know that it is open. */
  #early: Incoming[] | undefined;

  constructor(socket: WebSocketLike, heartbeat: HeartbeatOptions, receive: (data: Incoming) => void) {
    this.socket = socket;
    this.#receive = receive;
    this.opened = new Promise(resolve => {
      this.#settleOpened = resolve;
    });
    this.ended = new Promise(resolve => {
      this.#settleEnded = resolve;
    });
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => this.#open(heartbeat);
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

  /** Closes as the protocol has it, and without the other side when `timeout` milliseconds are over. */
  close(code: number, reason: string, timeout: number): void {
    if (this.#over) return;
    this.#heartbeat?.stop();
    this.socket.close(code, reason);
    this.#closing ??= setTimeout(() => this.abandon(), timeout);
  }

  /** Ends it now. The other side gets a close frame if one can still be written. */
  abandon(cause?: unknown): void {
    if (this.#over) return;
    this.#end({ code: 1006, reason: '', cause });
    this.socket.close(1000);
    if (canPing(this.socket)) this.socket.terminate();
  }

  #open(heartbeat: HeartbeatOptions): void {
    if (this.#over) return;
    this.#isOpen = true;
    if (heartbeat.pingInterval > 0 && canPing(this.socket)) {
      this.#heartbeat = new Heartbeat(this.socket, heartbeat, () => {
        this.abandon(new Error(`no answer to a ping within ${heartbeat.pingTimeout} ms`));
      });
    }
    this.#early = [];
    this.#opening = setTimeout(() => this.#release(), 0);
    this.#settleOpened(true);
  }

  #hear(data: Incoming): void {
    if (this.#over) return;
    this.#heartbeat?.heard();
    if (this.#early === undefined) this.#receive(data);
    else this.#early.push(data);
  }

  #release(): void {
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const data of early) this.#receive(data);
  }

  #end(ended: Ended): void {
    if (this.#over) return;
    this.#release();
    this.#over = true;
    this.#heartbeat?.stop();
    clearTimeout(this.#closing);
    clearTimeout(this.#opening);
    this.#settleOpened(false);
    this.#settleEnded(ended);
  }
}
