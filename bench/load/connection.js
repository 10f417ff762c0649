// @ts-check
/**
 * One WebSocket client connection, as cheap as net.Socket allows, because the generator shares its machine with the
 * server it measures: the handshake is written by hand, every socket reads into one shared buffer (net's `onread`: no
 * allocation and no readable stream), and what arrives is counted by walking from frame header to frame header. Of the
 * payloads only the stamp is looked at, and only where one is expected.
 *
 * Subclasses say what arriving messages mean, in `onStamp` and `onMessages`.
 */

import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { readStamp, STAMP_LENGTH } from '../work/stamp.js';
import { dialects } from './dialects.js';

const OPCODE = 0x0f;
const CLOSE = 0x8;
const END_OF_HEAD = '\r\n\r\n';

/** Shared by all sockets: a read fills it and its callback empties it before the next read can begin. */
const received = new Uint8Array(256 * 1024);

/**
 * @typedef {object} Target
 * @property {string} host
 * @property {number} port
 * @property {keyof typeof dialects} dialect
 * @property {string} [query] of the URL, without the question mark
 */

export class Connection {
  /** Where servers put the stamp in their messages' payloads; -1 where it does not matter. */
  stampAt = -1;
  /** What reads fill. @type {Uint8Array} */
  readBuffer = received;
  /** @type {import('node:net').Socket | undefined} */
  #socket;
  /** The response to the upgrade as far as it has come; undefined once it is complete. @type {string | undefined} */
  #head = '';
  /** Messages of the server that come before the connection is ready. */
  #greetings = 0;
  /** @type {Buffer | undefined} */
  #hello;
  /** @type {() => void} */
  #ready = () => {};
  /** Where the next frame header stands, counted from the start of the next chunk. */
  #next = 0;
  /** The start of a frame that a chunk's end has cut off before header and stamp were complete (rare). @type {Buffer | undefined} */
  #cut;
  /** Messages that end with the frame whose payload is still arriving, 0 or 1; -1 when there is no such frame. */
  #due = -1;
  /** That frame's stamp, or -1. */
  #dueStamp = -1;
  #closing = false;

  /**
   * Resolves when the server has accepted the upgrade and said its greetings.
   *
   * @param {Target} target
   * @returns {Promise<void>}
   */
  open({ host, port, dialect, query = '' }) {
    const { path, greetings, hello } = dialects[dialect];
    this.#greetings = greetings;
    this.#hello = hello;
    return new Promise((resolve, reject) => {
      this.#ready = resolve;
      const socket = connect({
        host,
        port,
        noDelay: true,
        onread: {
          buffer: this.readBuffer,
          callback: (length, buffer) => {
            if (this.#head === undefined) this.#count(buffer, length);
            else this.#handshake(buffer, length);
            return this.readsOn();
          },
        },
      });
      socket.on('connect', () => socket.write(upgradeRequest(host, port, path + query)));
      socket.on('error', reject);
      socket.on('close', () => {
        reject(new Error(`connection closed before the upgrade: ${this.#head?.split('\r\n')[0] ?? ''}`));
        if (!this.#closing) this.onClose();
      });
      this.#socket = socket;
    });
  }

  /** @param {Uint8Array} frames */
  write(frames) {
    this.#socket?.write(frames);
  }

  /** Drops the connection without a closing handshake. */
  destroy() {
    this.#closing = true;
    this.#socket?.destroy();
  }

  /** Whether to read on at once; if not, `resume` does. @returns {boolean} */
  readsOn() {
    return true;
  }

  resume() {
    this.#socket?.resume();
  }

  /** One more message, and its stamp. Called only where `stampAt` is set. @param {number} _stamp microseconds */
  onStamp(_stamp) {}

  /** This many more whole messages have arrived. @param {number} _count */
  onMessages(_count) {}

  /** The server has ended the connection, or it broke. */
  onClose() {}

  /** @param {Uint8Array} bytes @param {number} length */
  #handshake(bytes, length) {
    const head = this.#head + Buffer.from(bytes.buffer, 0, length).toString('latin1');
    const end = head.indexOf(END_OF_HEAD);
    this.#head = head;
    if (end < 0) return;
    if (!head.startsWith('HTTP/1.1 101')) {
      this.#socket?.destroy();
      return;
    }
    this.#head = undefined;
    if (this.#greetings === 0) this.#ready();
    const rest = Buffer.from(head.slice(end + END_OF_HEAD.length), 'latin1');
    if (rest.length > 0) this.#count(rest, rest.length);
  }

  /** Walks from header to header. @param {Uint8Array} chunk @param {number} length */
  #count(chunk, length) {
    let bytes = chunk;
    let end = length;
    if (this.#cut !== undefined) {
      bytes = Buffer.concat([this.#cut, chunk.subarray(0, length)]);
      end = bytes.length;
      this.#cut = undefined;
    }
    const stampAt = this.#greetings > 0 ? -1 : this.stampAt;
    let at = this.#next;
    let messages = 0;
    if (this.#due >= 0 && at <= end) {
      messages = this.#due;
      if (this.#dueStamp >= 0) this.onStamp(this.#dueStamp);
      this.#due = -1;
    }
    while (at < end) {
      const header = headerLength(bytes, at, end);
      const payload = header === 0 ? 0 : payloadLength(bytes, at, header);
      const stamped = stampAt >= 0 && payload >= stampAt + STAMP_LENGTH;
      if (header === 0 || (stamped && at + header + stampAt + STAMP_LENGTH > end)) {
        this.#cut = Buffer.from(bytes.subarray(at, end));
        at = end;
        break;
      }
      const first = /** @type {number} */ (bytes[at]);
      // From CLOSE on, opcodes are control frames. The FIN bit ends a message.
      if ((first & OPCODE) < CLOSE) {
        const stamp = stamped ? readStamp(bytes, at + header + stampAt) : -1;
        if (at + header + payload > end) {
          this.#due = first >>> 7;
          this.#dueStamp = stamp;
        } else {
          messages += first >>> 7;
          if (stamped) this.onStamp(stamp);
        }
      }
      at += header + payload;
    }
    this.#next = at - end;
    if (messages > 0) this.#arrived(messages);
  }

  /** @param {number} messages */
  #arrived(messages) {
    if (this.#greetings === 0) {
      this.onMessages(messages);
      return;
    }
    if (this.#hello) this.write(this.#hello);
    this.#hello = undefined;
    this.#greetings -= messages;
    if (this.#greetings === 0) this.#ready();
  }
}

/** Of the (unmasked) frame at `at`; 0 when it is not complete. @param {Uint8Array} bytes @param {number} at @param {number} end */
function headerLength(bytes, at, end) {
  if (at + 2 > end) return 0;
  const short = /** @type {number} */ (bytes[at + 1]);
  const length = short < 126 ? 2 : short === 126 ? 4 : 10;
  return at + length > end ? 0 : length;
}

/** @param {Uint8Array} bytes @param {number} at @param {number} header its length */
function payloadLength(bytes, at, header) {
  if (header === 2) return /** @type {number} */ (bytes[at + 1]);
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, header);
  return header === 4 ? view.getUint16(2) : Number(view.getBigUint64(2));
}

/** @param {string} host @param {number} port @param {string} path */
function upgradeRequest(host, port, path) {
  return [
    `GET ${path} HTTP/1.1`,
    `Host: ${host}:${port}`,
    'Upgrade: websocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`,
    'Sec-WebSocket-Version: 13',
    END_OF_HEAD.slice(2),
  ].join('\r\n');
}
