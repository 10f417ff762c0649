/**
 * The one that writes: hands messages to the WebSocket while less than `maxInSocket` waits there, one of each source in
 * turn, so that none keeps another from being heard.
 */
import { OPEN, type WebSocketLike } from './websocket.js';

/** What has messages to write. */
export interface Source {
  /** Whether `next` has one now. */
  readonly isWaiting: boolean;
  /** The next message, which counts as written from here on; undefined for none. */
  next(): string | Uint8Array<ArrayBuffer> | undefined;
}

/** Nothing tells when a full WebSocket has room again, so it is asked: after so many milliseconds, doubling. */
const FIRST_LOOK_MS = 1;
const LONGEST_LOOK_MS = 16;

export class Writer {
  readonly #maxInSocket: number;
  readonly #sources: Source[] = [];
  /** Whose turn it is. Kept when room runs out: else the first would be the only one where messages are large. */
  #turn = 0;
  #socket: WebSocketLike | undefined;
  #look: ReturnType<typeof setTimeout> | undefined;
  #lookMs = FIRST_LOOK_MS;

  constructor(maxInSocket: number) {
    this.#maxInSocket = maxInSocket;
  }

  /** Whether a message can be written now. */
  get hasRoom(): boolean {
    const socket = this.#socket;
    return socket?.readyState === OPEN && socket.bufferedAmount < this.#maxInSocket;
  }

  add(source: Source): void {
    this.#sources.push(source);
  }

  /** From here on writes go to this WebSocket. */
  attach(socket: WebSocketLike): void {
    this.#socket = socket;
    this.wake();
  }

  /** There is no WebSocket: messages stay where they are. */
  detach(): void {
    this.#socket = undefined;
    clearTimeout(this.#look);
    this.#look = undefined;
  }

  /** Writes this message now, past all sources. For those who saw that there is room. */
  write(message: string | Uint8Array<ArrayBuffer>): void {
    this.#socket?.send(message);
  }

  /** A source has something to write. */
  wake(): void {
    this.#write();
    if (this.#socket === undefined || this.#look !== undefined) return;
    if (!this.#sources.some(source => source.isWaiting)) return;
    this.#look = setTimeout(() => {
      this.#look = undefined;
      this.#lookMs = Math.min(2 * this.#lookMs, LONGEST_LOOK_MS);
      this.wake();
    }, this.#lookMs);
  }

  /** One message of each source after the other, until there is no room or all are empty. */
  #write(): void {
    for (let idle = 0; idle < this.#sources.length && this.hasRoom; this.#turn++) {
      const message = this.#sources[this.#turn % this.#sources.length]?.next();
      if (message === undefined) {
        idle += 1;
        continue;
      }
      idle = 0;
      this.#lookMs = FIRST_LOOK_MS;
      this.write(message);
    }
  }
}
