// @ts-check
/**
 * Open-loop echo: messages leave at a fixed rate, spread over all connections, whether or not earlier ones have been
 * answered. A server that stalls is therefore charged with the waiting of every message that came meanwhile.
 */

import { stampNow, writeStamp } from '../work/stamp.js';
import { Connection } from './connection.js';
import { Histogram } from './histogram.js';

const CONNECTING_AT_ONCE = 200;
const TICK_MS = 1;
/**
 * Microseconds. Timers are no finer: a message sent no later than this after it was due counts from its sending. One that
 * is later, because the generator itself did not get the processor, counts from when it was due.
 */
const TIMER_SLACK = 2000;

/**
 * @typedef {object} PacedOptions
 * @property {number} connections
 * @property {number} rate messages a second, all connections together
 * @property {import('./frame.js').Frame} frame
 */

export class PacedLoad {
  latency = new Histogram();
  completed = 0;
  outstanding = 0;
  errors = 0;
  #rate;
  #frame;
  /** @type {PacedConnection[]} */
  #connections;
  #turn = 0;
  #startedAt = 0;
  #sent = 0;
  /** @type {NodeJS.Timeout | undefined} */
  #timer;

  /** @param {PacedOptions} options */
  constructor({ connections, rate, frame }) {
    this.#rate = rate;
    this.#frame = frame;
    this.#connections = Array.from(
      { length: connections },
      () => new PacedConnection(this, frame.payloadStampAt),
    );
  }

  /** @param {import('./connection.js').Target} target */
  async connect(target) {
    for (let i = 0; i < this.#connections.length; i += CONNECTING_AT_ONCE) {
      const some = this.#connections.slice(i, i + CONNECTING_AT_ONCE);
      await Promise.all(some.map(connection => connection.open(target)));
    }
  }

  start() {
    this.#startedAt = stampNow();
    this.#sent = 0;
    this.#timer = setInterval(() => this.#sendDue(), TICK_MS);
  }

  stop() {
    clearInterval(this.#timer);
  }

  reset() {
    this.completed = 0;
    this.latency.reset();
  }

  disconnect() {
    for (const connection of this.#connections) connection.destroy();
  }

  #sendDue() {
    const now = stampNow();
    const period = 1e6 / this.#rate;
    const due = Math.floor((now - this.#startedAt) / period);
    for (; this.#sent < due; this.#sent++) {
      const dueAt = this.#startedAt + this.#sent * period;
      this.#send(now - dueAt > TIMER_SLACK ? dueAt : now);
    }
  }

  /** @param {number} stamp */
  #send(stamp) {
    const { bytes, stampAt, stampMask } = this.#frame;
    const copy = Buffer.from(bytes);
    writeStamp(copy, stampAt, stamp, stampMask);
    const connection = /** @type {PacedConnection} */ (this.#connections[this.#turn]);
    if (++this.#turn === this.#connections.length) this.#turn = 0;
    this.outstanding++;
    connection.write(copy);
  }
}

class PacedConnection extends Connection {
  #load;

  /** @param {PacedLoad} load @param {number} stampAt */
  constructor(load, stampAt) {
    super();
    this.#load = load;
    this.stampAt = stampAt;
  }

  /** @override @param {number} stamp */
  onStamp(stamp) {
    this.#load.latency.record(stampNow() - stamp);
  }

  /** @override @param {number} count */
  onMessages(count) {
    this.#load.completed += count;
    this.#load.outstanding -= count;
  }

  /** @override */
  onClose() {
    this.#load.errors++;
  }
}
