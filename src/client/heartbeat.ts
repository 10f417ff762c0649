/** Notices that the other side is gone though nobody closed: a ping after silence, and an end when nothing answers. */

export interface HeartbeatOptions {
  pingInterval: number;
  pingTimeout: number;
}

export class Heartbeat {
  readonly #ping: () => void;
  readonly #options: HeartbeatOptions;
  readonly #dead: () => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #heardAt = performance.now();
  #isAsking = false;

  /**
   * @param ping asks the other side for a sign of life
   * @param dead called once, pingInterval + pingTimeout after the last sign of life
   */
  constructor(ping: () => void, options: HeartbeatOptions, dead: () => void) {
    this.#ping = ping;
    this.#options = options;
    this.#dead = dead;
    this.#listen();
  }

  /** Something came from the other side. */
  heard(): void {
    this.#heardAt = performance.now();
    if (!this.#isAsking) return;
    this.#isAsking = false;
    clearTimeout(this.#timer);
    this.#listen();
  }

  stop(): void {
    this.#isAsking = false;
    clearTimeout(this.#timer);
  }

  #listen(): void {
    const silence = performance.now() - this.#heardAt;
    const rest = this.#options.pingInterval - silence;
    if (rest > 0) {
      this.#timer = setTimeout(() => this.#listen(), Math.ceil(rest));
      return;
    }
    this.#isAsking = true;
    this.#ping();
    // A process that slept finds timers and answers waiting, and timers come first: one more turn lets the answers in.
    this.#timer = setTimeout(() => {
      this.#timer = setTimeout(this.#dead, 0);
    }, this.#options.pingTimeout);
  }
}
