// @ts-check
/**
 * One WebSocket client connection, as cheap as net.Socket allows, because the generator shares its machine with the
 * server it measures: the handshake is written by hand, every socket reads into one shared buffer (net's `onread`: no
 * allocation and no readable stream), and what arrives is counted by walking from frame header to frame header. Payloads
 * are never looked at.
 *
 * Subclasses say what arriving frames mean, in `onFrames`.
 */

import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';

const OPCODE = 0x0f;
const CLOSE = 0x8;
const END_OF_HEAD = '\r\n\r\n';

/** Shared by all sockets: a read fills it and its callback empties it before the next read can begin. */
const received = new Uint8Array(256 * 1024);

/**
 * @typedef {object} Target
 * @property {string} host
 * @property {number} port
 * @property {string} [path] default `/`
 */

export class Connection {
  /** @type {import('node:net').Socket | undefined} */
  #socket;
  /** The response to the upgrade as far as it has come; undefined once it is complete. @type {string | undefined} */
  #head = '';
  /** Where the next frame header stands, counted from the start of the next chunk. */
  #next = 0;
  /** A header that a chunk's end has cut in two (rare). @type {Buffer | undefined} */
  #cut;
  #closing = false;

  /**
   * Resolves when the server has accepted the upgrade.
   *
   * @param {Target} target
   * @returns {Promise<void>}
   */
  open({ host, port, path = '/' }) {
    return new Promise((resolve, reject) => {
      const socket = connect({
        host,
        port,
        noDelay: true,
        onread: {
          buffer: received,
          callback: (length, buffer) => {
            if (this.#head === undefined) this.#count(buffer, length);
            else if (this.#handshake(buffer, length)) resolve();
            return true;
          },
        },
      });
      socket.on('connect', () => socket.write(upgradeRequest(host, port, path)));
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

  /** This many more whole messages have arrived. @param {number} _count */
  onFrames(_count) {}

  /** The server has ended the connection, or it broke. */
  onClose() {}

  /** @param {Uint8Array} bytes @param {number} length @returns {boolean} whether the upgrade is complete */
  #handshake(bytes, length) {
    const head = this.#head + Buffer.from(bytes.buffer, 0, length).toString('latin1');
    const end = head.indexOf(END_OF_HEAD);
    this.#head = head;
    if (end < 0) return false;
    if (!head.startsWith('HTTP/1.1 101')) {
      this.#socket?.destroy();
      return false;
    }
    this.#head = undefined;
    const rest = Buffer.from(head.slice(end + END_OF_HEAD.length), 'latin1');
    if (rest.length > 0) this.#count(rest, rest.length);
    return true;
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
    let at = this.#next;
    let messages = 0;
    while (at < end) {
      const size = frameLength(bytes, at, end);
      if (size === undefined) {
        this.#cut = Buffer.from(bytes.subarray(at, end));
        at = end;
        break;
      }
      const first = /** @type {number} */ (bytes[at]);
      // The FIN bit ends a message; from CLOSE on, opcodes are control frames.
      if ((first & OPCODE) < CLOSE) messages += first >>> 7;
      at += size;
    }
    this.#next = at - end;
    if (messages > 0) this.onFrames(messages);
  }
}

/**
 * The length of the (unmasked) frame at `at`, header included; undefined when its header is not complete.
 *
 * @param {Uint8Array} bytes @param {number} at @param {number} end
 * @returns {number | undefined}
 */
function frameLength(bytes, at, end) {
  if (at + 2 > end) return undefined;
  const short = /** @type {number} */ (bytes[at + 1]);
  if (short < 126) return short + 2;
  const header = short === 126 ? 4 : 10;
  if (at + header > end) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, header);
  return header + (header === 4 ? view.getUint16(2) : Number(view.getBigUint64(2)));
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
