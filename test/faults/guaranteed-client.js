// @ts-check
/**
 * A client that sends numbers with guarantee, some at a time on the way, to test/apps/guaranteed.mjs, and checks what comes
 * back: to each number that was not refused both answers, once and in order. Beside them it sends what may be lost.
 */
import { createClient } from 'threadgate/client';

const IN_FLIGHT = 16;
const WITHIN = 50;

export class GuaranteedClient {
  sent = 0;
  acknowledged = 0;
  /** Answers that say that their message came again. */
  again = 0;
  gaps = 0;
  /** Messages that may be lost: written in time, given up, and written too late. */
  written = 0;
  expired = 0;
  late = 0;
  /** @type {string | undefined} */
  wrong;
  /** Numbers that the gateway refused. @type {Set<number>} */
  refused = new Set();
  /** @type {string[]} */
  #answers = [];
  #running = true;
  /** @type {Set<Promise<void>>} */
  #underWay = new Set();

  /**
   * @param {string} url
   * @param {import('threadgate/client').ClientOptions} [options]
   */
  constructor(url, options) {
    this.client = createClient(url, { guaranteed: true, minDelay: 1, maxDelay: 50, ...options });
    this.client.on('message', data => this.#answers.push(String(data)));
    this.client.on('gap', () => this.gaps++);
  }

  /** Sends until it is told to finish, or so many. */
  async run(most = Number.POSITIVE_INFINITY) {
    while (this.#running && this.sent < most) {
      this.#send(this.sent++);
      this.#sendBeside();
      if (this.#underWay.size >= IN_FLIGHT) await Promise.race(this.#underWay);
    }
    await Promise.all(this.#underWay);
  }

  finish() {
    this.#running = false;
  }

  /** @param {number} number */
  #send(number) {
    const sent = this.client.send(String(number), { guaranteed: true }).then(
      delivery => {
        if (delivery.outcome !== 'acknowledged' || delivery.number !== number + 1)
          this.wrong ??= `${number} ended as ${JSON.stringify(delivery)}`;
        this.acknowledged++;
      },
      error => {
        if (error.code === 'ERR_THREADGATE_CLIENT_REFUSED_MESSAGE') this.refused.add(number);
        else this.wrong ??= `${number} ended with ${error.code}`;
      },
    );
    const underWay = sent.then(() => void this.#underWay.delete(underWay));
    this.#underWay.add(underWay);
  }

  #sendBeside() {
    this.client.send('may be lost', { within: WITHIN }).then(
      ({ waited }) => {
        this.written++;
        if (waited > WITHIN) this.late++;
      },
      () => void this.expired++,
    );
  }

  /** Resolves when all that is to come has come: what is sent last is answered last. */
  async answered() {
    const last = `ended ${this.sent++}`;
    this.#send(this.sent - 1);
    await Promise.all(this.#underWay);
    while (!this.#answers.some(answer => answer === last || answer === `${last} again`))
      await new Promise(resolve => setTimeout(resolve, 5));
  }

  /**
   * Compares what came with what was to come.
   * @param {{ inMemory: boolean }} options whether sessions ended with their process: then answers may be missing, which a gap
   * tells, and come from the beginning of a message that says that it came again
   */
  check({ inMemory }) {
    const due = [];
    for (let number = 0; number < this.sent; number++) {
      if (!this.refused.has(number)) due.push(`began ${number}`, `ended ${number}`);
    }
    const places = new Map(due.map((text, place) => [text, place]));
    let at = 0;
    for (const answer of this.#answers) {
      if (answer.endsWith(' again')) this.again++;
      const place = places.get(answer.replace(' again', ''));
      const isSaid = inMemory && this.gaps > 0 && (Number(place) > at || /^began \d+ again$/.test(answer));
      if (place === undefined || (place !== at && !isSaid)) {
        this.wrong ??= `'${answer}' came where '${due[at]}' was due`;
        return;
      }
      at = place + 1;
    }
    if (at < due.length) this.wrong ??= `'${due[at]}' never came`;
  }
}
