/** One message of a client, over the bytes that were copied out of the ring. Decodes only what is asked for. */
import { randomUUID } from 'node:crypto';
import type { Message, Peer } from '../src/app.js';

const NUMBER_BYTES = 8;

export class LaneMessage implements Message {
  protected knownId: string | undefined = undefined;
  private knownText: string | undefined = undefined;
  private knownBytes: Uint8Array | undefined = undefined;

  /** @param block never written again while anybody holds it */
  constructor(
    readonly peer: Peer,
    private readonly block: Buffer,
    private readonly offset: number,
    private readonly length: number,
    readonly isBinary: boolean,
  ) {}

  get redelivered(): boolean {
    return false;
  }

  get id(): string {
    this.knownId ??= randomUUID();
    return this.knownId;
  }

  text(): string {
    this.knownText ??= this.block.toString('utf8', this.offset, this.offset + this.length);
    return this.knownText;
  }

  json<T = unknown>(): T {
    return JSON.parse(this.text()) as T;
  }

  uint8Array(): Uint8Array {
    this.knownBytes ??= new Uint8Array(this.block.buffer, this.block.byteOffset + this.offset, this.length);
    return this.knownBytes;
  }

  arrayBuffer(): ArrayBuffer {
    const start = this.block.byteOffset + this.offset;
    return (this.block.buffer as ArrayBuffer).slice(start, start + this.length);
  }

  blob(): Blob {
    return new Blob([this.uint8Array()]);
  }

  get rawData(): string | Uint8Array {
    return this.isBinary ? this.uint8Array() : this.text();
  }

  get data(): unknown {
    switch (this.peer.websocket.binaryType) {
      case 'arraybuffer':
        return this.arrayBuffer();
      case 'blob':
        return this.blob();
      case 'nodebuffer':
        return Buffer.from(this.block.buffer, this.block.byteOffset + this.offset, this.length);
      case 'uint8array':
        return this.uint8Array();
      case 'text':
        return this.text();
      default:
        return this.rawData;
    }
  }

  toString(): string {
    return this.text();
  }

  [Symbol.toPrimitive](): string {
    return this.text();
  }

  [Symbol.for('nodejs.util.inspect.custom')](): unknown {
    return { message: { id: this.id, peer: this.peer, text: this.text() } };
  }
}

/** A message of a session. Its number stands before its bytes. */
export class GuaranteedMessage extends LaneMessage {
  /** Unsigned, 64 bits, big-endian. */
  readonly numberBytes: Uint8Array;
  private readonly again: boolean;

  constructor(
    peer: Peer,
    block: Buffer,
    offset: number,
    length: number,
    isBinary: boolean,
    redelivered: boolean,
  ) {
    super(peer, block, offset + NUMBER_BYTES, length - NUMBER_BYTES, isBinary);
    this.numberBytes = block.subarray(offset, offset + NUMBER_BYTES);
    this.again = redelivered;
  }

  override get redelivered(): boolean {
    return this.again;
  }

  /** The same at every attempt, on every lane, over restarts: a key for what must not be done twice. */
  override get id(): string {
    this.knownId ??= `${this.peer.session}:${Buffer.from(this.numberBytes).readBigUInt64BE()}`;
    return this.knownId;
  }
}
