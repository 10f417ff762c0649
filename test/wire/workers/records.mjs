// @ts-check
/** A stream of records that both sides can make from the same seed: what one writes, the other knows to expect. */

/** @typedef {{ type: number, flags: number, aux: number, target: number, tag: number, length: number }} Fields */

export class Records {
  #state;
  /** Number of the record that `next` made last, from 1. */
  number = 0;
  /** @type {Fields} */
  fields = { type: 0, flags: 0, aux: 0, target: 0, tag: 0, length: 0 };

  /**
   * @param {number} seed
   * @param {number} largest bytes of the largest payload
   */
  constructor(seed, largest) {
    this.#state = seed | 1;
    this.largest = largest;
  }

  /** Xorshift, 32 bits. */
  #random() {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return x >>> 0;
  }

  /** Most payloads are small, some are of any size, and a few are the largest. */
  #length() {
    const kind = this.#random() % 1000;
    if (kind < 5) return this.largest;
    if (kind < 25) return this.#random() % (this.largest + 1);
    return this.#random() % 64;
  }

  /** @returns {Fields} */
  next() {
    this.number++;
    this.fields = {
      type: 1 + (this.#random() % 11),
      flags: this.#random() & 3, // not EXTERNAL: that one is the lane's
      aux: this.#random() & 0xffff,
      target: this.#random() | 0,
      tag: this.#random() | 0,
      length: this.#length(),
    };
    return this.fields;
  }

  /** The byte at one place of the payload: no two records have the same row of them. @param {number} at */
  #byte(at) {
    return (Math.imul(this.number, 0x9e3779b1) + Math.imul(at, 0x85ebca6b)) >>> 24;
  }

  /** Every byte of a small payload; of a large one the edges and one byte in 61. @param {number} at */
  #step(at) {
    return this.fields.length < 256 || at < 64 || at >= this.fields.length - 64 ? 1 : 61;
  }

  /** @param {Uint8Array} bytes @param {number} offset */
  fill(bytes, offset) {
    for (let at = 0; at < this.fields.length; at++) bytes[offset + at] = this.#byte(at);
  }

  /**
   * Compares what arrived with what `next` made last.
   * @param {Fields} seen @param {Uint8Array} bytes @param {number} offset
   * @returns {string | undefined} what is wrong
   */
  difference(seen, bytes, offset) {
    for (const name of /** @type {const} */ (['type', 'flags', 'aux', 'target', 'tag', 'length'])) {
      if (seen[name] !== this.fields[name])
        return `record ${this.number}: ${name} is ${seen[name]}, not ${this.fields[name]}`;
    }
    for (let at = 0; at < seen.length; at += this.#step(at)) {
      if (bytes[offset + at] !== this.#byte(at))
        return `record ${this.number} of ${seen.length} bytes: wrong byte at ${at}`;
    }
    return undefined;
  }
}
