// @ts-check
/**
 * Closed-loop echo: every connection keeps `inflight` messages on the way, and each reply lets the next one go. However
 * many replies one read brings, the refill is one write.
 */

import { stampNow, writeStamp } from '../work/stamp.js';
import { Connection } from './connection.js';
import { repeated } from './frame.js';
import { Histogram } from './histogram.js';

/**
 * @typedef {object} EchoOptions
 * @property {number} connections
 * @property {number} inflight messages on the way, per connection
 * @property {import('./frame.js').Frame} frame
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
  constructor({ connections, inflight, frame }) {
    this.#connections = Array.from({ length: connections }, () => new EchoConnection(this, frame, inflight));
  }

  /** @param {import('./connection.js').Target} target */
  async connect(target) {
    await Promise.all(this.#connections.map(connection => connection.open(target)));
  }

  start() {
    this.running = true;
    for (const connection of this.#connections) connection.start();
  }

  stop() {
    this.running = false;
  }

  reset() {
    this.completed = 0;
    this.latency.reset();
  }

  disconnect() {
    for (const connection of this.#connections) connection.destroy();
  }
}

class EchoConnection extends Connection {
  #load;
  #frame;
  #inflight;
  /**
   * Twice the window: a slice of any length up to `inflight` begins either where the last one ended or, where it would
   * not fit, at the front again. Frames there have been answered, so none is stamped anew while it waits to be sent.
   */
  #frames;
  #next = 0;
  /** Made when first needed; `count` of them from `next` on. @type {(Buffer | undefined)[]} */
  #slices = [];

  /** @param {EchoLoad} load @param {import('./frame.js').Frame} frame @param {number} inflight */
  constructor(load, frame, inflight) {
    super();
    this.#load = load;
    this.#frame = frame;
    this.#inflight = inflight;
    this.#frames = repeated(frame, 2 * inflight);
    this.stampAt = frame.payloadStampAt;
  }

  start() {
    this.#send(this.#inflight);
  }

  /** @override @param {number} stamp */
  onStamp(stamp) {
    this.#load.latency.record(stampNow() - stamp);
  }

  /** @override @param {number} count */
  onMessages(count) {
    const load = this.#load;
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
    const { bytes, stampAt, stampMask } = this.#frame;
    if (this.#next + count > 2 * this.#inflight) this.#next = 0;
    const now = stampNow();
    const start = this.#next * bytes.length;
    const end = start + count * bytes.length;
    for (let at = start; at < end; at += bytes.length) writeStamp(this.#frames, at + stampAt, now, stampMask);
    const key = this.#next * (this.#inflight + 1) + count;
    let slice = this.#slices[key];
    if (slice === undefined) {
      slice = this.#frames.subarray(start, end);
      this.#slices[key] = slice;
    }
    this.#next += count;
    this.#load.outstanding += count;
    this.write(slice);
  }
}
