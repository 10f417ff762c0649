/** Notices that the other side is gone though nobody closed: a ping after silence, and an end when nothing answers. */
import type { PingingWebSocket } from './websocket.js';

export interface HeartbeatOptions {
  pingInterval: number;
  pingTimeout: number;
}

export class Heartbeat {
  readonly #socket: PingingWebSocket;
  readonly #options: HeartbeatOptions;
  readonly #dead: () => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #heardAt = performance.now();

  /** @param dead called once, pingInterval + pingTimeout after the last sign of life */
  constructor(socket: PingingWebSocket, options: HeartbeatOptions, dead: () => void) {
    this.#socket = socket;
    this.#options = options;
    this.#dead = dead;
    socket.on('ping', () => this.heard());
    socket.on('pong', () => this.heard());
    this.#listen();
  }

  /** Something came from the other side. */
  heard(): void {
    this.#heardAt = performance.now();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #listen(): void {
    const silence = performance.now() - this.#heardAt;
    const rest = this.#options.pingInterval - silence;
    if (rest > 0) {
      this.#timer = setTimeout(() => this.#listen(), Math.ceil(rest));
      return;
    }
    const askedAt = performance.now();
    this.#socket.ping();
    // A process that slept finds timers and answers waiting, and timers come first: one more turn lets the answers in.
    this.#timer = setTimeout(() => {
      this.#timer = setTimeout(() => this.#judge(askedAt), 0);
    }, this.#options.pingTimeout);
  }

  #judge(askedAt: number): void {
    if (this.#heardAt >= askedAt) this.#listen();
    else this.#dead();
  }
}
