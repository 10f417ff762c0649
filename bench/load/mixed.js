// @ts-check
/**
 * Light messages at a fixed rate, while other connections keep the handlers busy with heavy ones in a closed loop. What
 * counts is how long the light ones take.
 */

import { EchoLoad } from './echo.js';
import { PacedLoad } from './paced.js';

/**
 * @typedef {object} MixedOptions
 * @property {number} connections that send light messages
 * @property {number} rate of light messages a second, all together
 * @property {import('./frame.js').Frame} frame of a light message
 * @property {number} heavyConnections each with one heavy message on the way
 * @property {import('./frame.js').Frame} heavyFrame
 */

export class MixedLoad {
  #light;
  #heavy;

  /** @param {MixedOptions} options */
  constructor({ connections, rate, frame, heavyConnections, heavyFrame }) {
    this.#light = new PacedLoad({ connections, rate, frame });
    this.#heavy = new EchoLoad({ connections: heavyConnections, inflight: 1, frame: heavyFrame });
  }

  get latency() {
    return this.#light.latency;
  }

  get completed() {
    return this.#light.completed;
  }

  get outstanding() {
    return this.#light.outstanding + this.#heavy.outstanding;
  }

  get errors() {
    return this.#light.errors + this.#heavy.errors;
  }

  /** @param {number} seconds */
  extras(seconds) {
    return { 'heavy msg/s': this.#heavy.completed / seconds };
  }

  /** @param {import('./connection.js').Target} target */
  async connect(target) {
    await this.#heavy.connect(target);
    await this.#light.connect(target);
  }

  start() {
    this.#heavy.start();
    this.#light.start();
  }

  stop() {
    this.#light.stop();
    this.#heavy.stop();
  }

  reset() {
    this.#light.reset();
    this.#heavy.reset();
  }

  disconnect() {
    this.#light.disconnect();
    this.#heavy.disconnect();
  }
}
