// @ts-check
/** The chat: so many rooms, each a fan-out of its own with members and those of them who speak. */

import { FanoutLoad } from './fanout.js';
import { Histogram } from './histogram.js';

/**
 * @typedef {object} ChatOptions
 * @property {number} rooms
 * @property {number} members of a room, who listen
 * @property {number} speakers of a room; they take turns
 * @property {number} inflight messages on the way, per room
 * @property {(room: string) => import('./frame.js').Frame} frame
 */

export class ChatLoad {
  latency = new Histogram();
  #rooms;

  /** @param {ChatOptions} options */
  constructor({ rooms, members, speakers, inflight, frame }) {
    this.#rooms = Array.from({ length: rooms }, (_, i) => {
      const topic = `room-${i}`;
      const room = new FanoutLoad({
        subscribers: members,
        publishers: speakers,
        inflight,
        topic,
        frame: frame(topic),
      });
      room.latency = this.latency;
      return room;
    });
  }

  get completed() {
    return this.#sum('completed');
  }

  get outstanding() {
    return this.#sum('outstanding');
  }

  get errors() {
    return this.#sum('errors');
  }

  /** @param {import('./connection.js').Target} target */
  async connect(target) {
    await Promise.all(this.#rooms.map(room => room.connect(target)));
  }

  start() {
    for (const room of this.#rooms) room.start();
  }

  stop() {
    for (const room of this.#rooms) room.stop();
  }

  reset() {
    for (const room of this.#rooms) room.reset();
  }

  async disconnect() {
    await Promise.all(this.#rooms.map(room => room.disconnect()));
  }

  /** @param {'completed' | 'outstanding' | 'errors'} key */
  #sum(key) {
    return this.#rooms.reduce((sum, room) => sum + room[key], 0);
  }
}
