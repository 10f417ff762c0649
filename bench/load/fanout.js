// @ts-check
/**
 * Closed-loop fan-out: publishers keep `inflight` messages on the way to all subscribers. A message is done when every
 * subscriber has it, and only then does the next one go; what is counted is deliveries.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { Connection } from './connection.js';
import { frameWindow } from './frame.js';
import { Histogram } from './histogram.js';

/** Added to the topic in the query. The path is the same for all, since a gateway may keep publishing within one. */
const PUBLISHER = '&role=publisher';
const CONNECTING_AT_ONCE = 200;
const SETTLE_MS = 100;
const SETTLE_ATTEMPTS = 100;
const SLOW_READ_BYTES = 4096;
const SLOW_READ_MS = 100;

/**
 * @typedef {object} FanoutOptions
 * @property {number} subscribers
 * @property {number} [publishers] default 1; they take turns
 * @property {number} inflight messages on the way, all publishers together
 * @property {import('./frame.js').Frame} frame
 * @property {string} topic
 * @property {number} [slowReaders] default 0; subscribers beside the others that hardly read, and are not waited for
 */

export class FanoutLoad {
  /** Of a message, from its sending until the last subscriber has it. */
  latency = new Histogram();
  completed = 0;
  outstanding = 0;
  errors = 0;
  running = false;
  #window;
  #topic;
  #publishers;
  #subscribers;
  #slowReaders;
  #turn = 0;
  #published = 0;
  /**
   * The window as a ring of messages: when each was sent, and how many subscribers have it. A subscriber gets messages in
   * order, so its n-th frame is message n; and message n + inflight is not sent before message n is done, so the slot is
   * never shared.
   */
  #sentAt;
  #delivered;

  /** @param {FanoutOptions} options */
  constructor({ subscribers, publishers = 1, inflight, frame, topic, slowReaders = 0 }) {
    this.#topic = topic;
    this.#window = frameWindow(frame, inflight);
    this.#sentAt = new Float64Array(inflight);
    this.#delivered = new Uint32Array(inflight);
    this.#publishers = Array.from({ length: publishers }, () => new Publisher(this));
    this.#subscribers = Array.from({ length: subscribers }, () => new Subscriber(this, inflight));
    this.#slowReaders = Array.from({ length: slowReaders }, () => new SlowReader());
  }

  /** @returns {Record<string, number>} */
  extras() {
    const readers = this.#slowReaders;
    if (readers.length === 0) return {};
    const received = readers.reduce((sum, reader) => sum + reader.received, 0);
    return {
      'slow readers closed': readers.filter(reader => reader.closed).length / readers.length,
      'of their messages received': received / (this.#published * readers.length),
    };
  }

  /** @param {import('./connection.js').Target} target */
  async connect(target) {
    const query = `topic=${this.#topic}`;
    const readers = [...this.#subscribers, ...this.#slowReaders];
    for (let i = 0; i < readers.length; i += CONNECTING_AT_ONCE) {
      const some = readers.slice(i, i + CONNECTING_AT_ONCE);
      await Promise.all(some.map(reader => reader.open({ ...target, query })));
    }
    await Promise.all(
      this.#publishers.map(publisher => publisher.open({ ...target, query: query + PUBLISHER })),
    );
    await this.#settle();
  }

  start() {
    this.running = true;
    this.#sentAt.fill(performance.now());
    this.#publish(this.#sentAt.length);
  }

  stop() {
    this.running = false;
  }

  reset() {
    this.completed = 0;
    this.latency.reset();
  }

  async disconnect() {
    for (const reader of this.#slowReaders) reader.catchUp();
    for (let before = -1; before !== this.#receivedSlowly(); ) {
      before = this.#receivedSlowly();
      await delay(SETTLE_MS);
    }
    for (const connection of [...this.#subscribers, ...this.#slowReaders, ...this.#publishers]) {
      connection.destroy();
    }
  }

  /** @param {number} slot of the message that one more subscriber has @returns {boolean} whether all have it now */
  deliver(slot) {
    this.completed++;
    this.outstanding--;
    const delivered = Number(this.#delivered[slot]) + 1;
    this.#delivered[slot] = delivered;
    if (delivered < this.#subscribers.length) return false;
    this.#delivered[slot] = 0;
    const now = performance.now();
    this.latency.record((now - Number(this.#sentAt[slot])) * 1000);
    this.#sentAt[slot] = now;
    return true;
  }

  /** These many messages are done: as many new ones may go. @param {number} count */
  refill(count) {
    if (this.running) this.#publish(count);
  }

  #receivedSlowly() {
    return this.#slowReaders.reduce((sum, reader) => sum + reader.received, 0);
  }

  /** @param {number} count */
  #publish(count) {
    this.#published += count;
    this.outstanding += count * this.#subscribers.length;
    const publisher = /** @type {Publisher} */ (this.#publishers[this.#turn]);
    if (++this.#turn === this.#publishers.length) this.#turn = 0;
    publisher.write(/** @type {Buffer} */ (this.#window[count]));
  }

  /**
   * An accepted upgrade does not say that the server has subscribed the connection already. Single messages are published
   * until each subscriber has seen one; then, when nothing arrives any more, the count starts at zero.
   */
  async #settle() {
    for (let attempt = 0; this.#subscribers.some(subscriber => !subscriber.reached); attempt++) {
      if (attempt === SETTLE_ATTEMPTS) throw new Error('some subscribers receive nothing');
      this.#publish(1);
      await delay(SETTLE_MS);
    }
    let before = -1;
    while (before !== this.completed) {
      before = this.completed;
      await delay(SETTLE_MS);
    }
    for (const subscriber of this.#subscribers) subscriber.reset();
    this.#delivered.fill(0);
    this.outstanding = 0;
  }
}

class Subscriber extends Connection {
  reached = false;
  #load;
  #inflight;
  #slot = 0;

  /** @param {FanoutLoad} load @param {number} inflight */
  constructor(load, inflight) {
    super();
    this.#load = load;
    this.#inflight = inflight;
  }

  reset() {
    this.#slot = 0;
  }

  /** @override @param {number} count */
  onMessages(count) {
    this.reached = true;
    let done = 0;
    for (let i = 0; i < count; i++) {
      if (this.#load.deliver(this.#slot)) done++;
      if (++this.#slot === this.#inflight) this.#slot = 0;
    }
    if (done > 0) this.#load.refill(done);
  }

  /** @override */
  onClose() {
    this.#load.errors++;
  }
}

class Publisher extends Connection {
  #load;

  /** @param {FanoutLoad} load */
  constructor(load) {
    super();
    this.#load = load;
  }

  /** @override */
  onClose() {
    this.#load.errors++;
  }
}

/** Reads 4 KiB every 100 ms, so that whatever a server does about clients which fall behind has to be done. */
class SlowReader extends Connection {
  received = 0;
  closed = false;
  /** @override */
  readBuffer = new Uint8Array(SLOW_READ_BYTES);
  #slow = true;

  /** Reads all that is there, to learn what the server has kept for it. */
  catchUp() {
    this.#slow = false;
    this.resume();
  }

  /** @override */
  readsOn() {
    if (this.#slow) setTimeout(() => this.resume(), SLOW_READ_MS);
    return !this.#slow;
  }

  /** @override @param {number} count */
  onMessages(count) {
    this.received += count;
  }

  /** @override */
  onClose() {
    this.closed = true;
  }
}
