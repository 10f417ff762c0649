// @ts-check
/**
 * Closed-loop echo: every connection keeps `inflight` messages on the way, and each reply lets the next one go. However
 * many replies one read brings, the refill is one write.
 */

import { Connection } from './connection.js';
import { frameWindow } from './frame.js';
import { Histogram } from './histogram.js';

/**
 * @typedef {object} EchoOptions
 * @property {number} connections
 * @property {number} inflight messages on the way, per connection
 * @property {number} size bytes of payload
 */

export class EchoLoad {
  latency = new Histogram();
  completed = 0;
  outstanding = 0;
  errors = 0;
  running = false;
  /** @type {EchoConnection[]} */
  #connections;

  /** @param {EchoOptions} options */
  constructor({ connections, inflight, size }) {
    const window = frameWindow(size, inflight);
    this.#connections = Array.from({ length: connections }, () => new EchoConnection(this, window));
  }

  /** @param {import('./connection.js').Target} target */
  async connect(target) {
    await Promise.all(this.#connections.map(connection => connection.open(target)));
  }

  start() {
    this.running = true;
    for (const connection of this.#connections) connection.start();
  }

  disconnect() {
    for (const connection of this.#connections) connection.destroy();
  }
}

class EchoConnection extends Connection {
  #load;
  #window;
  /**
   * When each message on the way was sent. Replies come in order and each is replaced at once, so the window is a ring:
   * the slot of the oldest message, answered now, takes the stamp of the newest.
   */
  #sentAt;
  #oldest = 0;

  /** @param {EchoLoad} load @param {Buffer[]} window */
  constructor(load, window) {
    super();
    this.#load = load;
    this.#window = window;
    this.#sentAt = new Float64Array(window.length - 1);
  }

  start() {
    this.#sentAt.fill(performance.now());
    this.#send(this.#sentAt.length);
  }

  /** @override @param {number} count */
  onFrames(count) {
    const load = this.#load;
    const sentAt = this.#sentAt;
    const now = performance.now();
    let oldest = this.#oldest;
    for (let i = 0; i < count; i++) {
      load.latency.record(now - Number(sentAt[oldest]));
      sentAt[oldest] = now;
      if (++oldest === sentAt.length) oldest = 0;
    }
    this.#oldest = oldest;
    load.completed += count;
    load.outstanding -= count;
    if (load.running) this.#send(count);
  }

  /** @override */
  onClose() {
    this.#load.errors++;
  }

  /** @param {number} count */
  #send(count) {
    this.#load.outstanding += count;
    this.write(/** @type {Buffer} */ (this.#window[count]));
  }
}
