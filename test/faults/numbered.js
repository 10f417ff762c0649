// @ts-check
/**
 * A client that sends numbers, in order, some at a time on the way, and checks what comes back: each number at most once
 * and in order. What never comes back is counted, and for the script to judge.
 */
import { once } from 'node:events';
import WebSocket from 'ws';

export class NumberedClient {
  sent = 0;
  answered = 0;
  /** Numbers that were left out: a later one was answered. @type {number[]} */
  missing = [];
  /** @type {string | undefined} */
  wrong;
  /** @type {number | undefined} */
  closeCode;
  #next = 0;
  #running = false;

  /** @param {string} url @param {number} inFlight @param {number} [every] only numbers that this divides are answered */
  constructor(url, inFlight, every = 1) {
    this.inFlight = inFlight;
    this.every = every;
    this.socket = new WebSocket(url, { perMessageDeflate: false });
    this.socket.on('message', data => this.#receive(Number(data)));
    this.socket.on('close', code => {
      this.closeCode = code;
    });
    this.socket.on('error', () => {});
  }

  async opened() {
    if (this.socket.readyState === WebSocket.CONNECTING) await once(this.socket, 'open');
  }

  start() {
    this.#running = true;
    this.#fill();
  }

  #fill() {
    while (this.#running && this.sent - this.#next < this.inFlight * this.every)
      this.socket.send(String(this.sent++));
  }

  /** @param {number} number */
  #receive(number) {
    if (!(number >= this.#next) || number >= this.sent || number % this.every !== 0)
      this.wrong ??= `${number} came where ${this.#next} or a later one was due`;
    for (let left = this.#next; left < number; left += this.every) this.missing.push(left);
    this.#next = number + this.every;
    this.answered++;
    this.#fill();
  }

  /** Sends no more, but one last number: once that is answered, all before is either answered or missing. */
  async finish() {
    this.#running = false;
    while (this.sent % this.every !== 0) this.socket.send(String(this.sent++));
    const last = this.sent++;
    this.socket.send(String(last));
    while (this.#next <= last && this.closeCode === undefined)
      await once(this.socket, 'message').catch(() => {});
  }
}
