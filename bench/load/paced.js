// @ts-check
/**
 * Open-loop echo: messages leave at a fixed rate, some in every millisecond, spread over all connections, whether or not
 * earlier ones have been answered. Each counts from when it was due, not from when it left: a server that stalls is charged
 * with the waiting of all that came meanwhile, and one that keeps the generator from its processor with that.
 */

import { stampNow, writeStamp } from '../work/stamp.js';
import { Connection } from './connection.js';
import { Histogram } from './histogram.js';
import { metronome } from './metronome.js';

const CONNECTING_AT_ONCE = 200;
const BEAT_MS = 1;

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
  running = false;
  #perBeat;
  #frame;
  /** @type {PacedConnection[]} */
  #connections;
  #turn = 0;
  /** Messages that are due and have not been sent; below 1 between beats. */
  #due = 0;
  #endBeat = () => {};

  /** @param {PacedOptions} options */
  constructor({ connections, rate, frame }) {
    this.#perBeat = (rate * BEAT_MS) / 1000;
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
    this.#endBeat = metronome(BEAT_MS, dueAt => this.#beat(dueAt));
  }

  start() {
    this.#due = 0;
    this.running = true;
  }

  stop() {
    this.running = false;
  }

  reset() {
    this.completed = 0;
    this.latency.reset();
  }

  disconnect() {
    this.#endBeat();
    for (const connection of this.#connections) connection.destroy();
  }

  /** @param {number} dueAt milliseconds of `performance.now()` */
  #beat(dueAt) {
    if (!this.running) return;
    for (this.#due += this.#perBeat; this.#due >= 1; this.#due--) this.#send(dueAt * 1000);
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
