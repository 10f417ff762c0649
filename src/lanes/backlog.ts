/**
 * Records that found no room in a lane's ring, in order, in the main thread's own memory. They stand there as they would
 * in the ring (see wire/layout.ts), many to a block, so that a million empty messages cost what they are charged and not
 * an object each.
 */
import { copyInto } from '../wire/copy.js';
import { RECORD_HEADER_BYTES } from '../wire/layout.js';
import { aligned, type WaitingRecord } from '../wire/ring.js';

const BLOCK_BYTES = 64 * 1024;
/** Milliseconds within which blocks that were read are dropped, unless they are written anew before. */
const KEEP_MS = 1000;

class Block {
  readonly bytes: Buffer;
  readonly words: Int32Array;
  written = 0;
  read = 0;

  /** @param shared whether other threads will read it */
  constructor(
    size: number,
    readonly shared: boolean,
  ) {
    this.bytes = shared ? Buffer.from(new SharedArrayBuffer(size)) : Buffer.allocUnsafeSlow(size);
    this.words = new Int32Array(this.bytes.buffer);
  }
}

export class Backlog {
  // The record at the head, valid after `peek` returned true.
  type = 0;
  flags = 0;
  aux = 0;
  target = 0;
  tag = 0;
  length = 0;
  /** Bytes of payload that wait. */
  bytes = 0;

  private blocks: Block[] = [];
  private first = 0;
  /** Blocks that were read. While many messages wait, making new ones would have the garbage collector run all the time. */
  private spare: Block[] = [];
  private dropping: NodeJS.Timeout | undefined;

  /** @param largest bytes of payload above which a record stands in shared memory that holds nothing else */
  constructor(private readonly largest: number) {}

  get empty(): boolean {
    return this.first === this.blocks.length;
  }

  /** @param payload copied: `head` and then `tail` */
  push(
    type: number,
    flags: number,
    aux: number,
    target: number,
    tag: number,
    head: Uint8Array,
    tail?: Uint8Array,
  ): void {
    const payloadLength = head.length + (tail?.length ?? 0);
    const length = RECORD_HEADER_BYTES + payloadLength;
    const block = this.blockFor(aligned(length), payloadLength > this.largest);
    const word = block.written >> 2;
    block.words[word] = length;
    block.words[word + 1] = type | (flags << 8) | (aux << 16);
    block.words[word + 2] = target;
    block.words[word + 3] = tag;
    const at = block.written + RECORD_HEADER_BYTES;
    copyInto(block.bytes, at, head);
    if (tail !== undefined) copyInto(block.bytes, at + head.length, tail);
    block.written += aligned(length);
    this.bytes += payloadLength;
  }

  private blockFor(size: number, alone: boolean): Block {
    const last = this.empty ? undefined : this.blocks[this.blocks.length - 1];
    if (!alone && last !== undefined && last.written + size <= last.bytes.length) return last;
    const ordinary = !alone && size <= BLOCK_BYTES;
    const block = (ordinary && this.spare.pop()) || new Block(ordinary ? BLOCK_BYTES : size, alone);
    this.blocks.push(block);
    return block;
  }

  private recycle(block: Block): void {
    if (block.shared || block.bytes.length !== BLOCK_BYTES) return;
    block.written = 0;
    block.read = 0;
    this.spare.push(block);
    this.dropping ??= setTimeout(() => {
      this.dropping = undefined;
      this.spare = [];
    }, KEEP_MS).unref();
  }

  /** Reads the record at the head. @returns false when there is none */
  peek(): boolean {
    const block = this.blocks[this.first];
    if (block === undefined) return false;
    const word = block.read >> 2;
    const kind = block.words[word + 1] as number;
    this.type = kind & 0xff;
    this.flags = (kind >>> 8) & 0xff;
    this.aux = kind >>> 16;
    this.target = block.words[word + 2] as number;
    this.tag = block.words[word + 3] as number;
    this.length = (block.words[word] as number) - RECORD_HEADER_BYTES;
    return true;
  }

  /** The payload of the record at the head: a view, valid until `shift`. */
  get payload(): Uint8Array {
    const block = this.blocks[this.first] as Block;
    const at = block.read + RECORD_HEADER_BYTES;
    return new Uint8Array(block.bytes.buffer, at, this.length);
  }

  /** Takes all records out, oldest first. */
  *records(): Generator<WaitingRecord> {
    for (; this.peek(); this.shift()) {
      const { type, flags, aux, target, tag, payload } = this;
      yield { type, flags, aux, target, tag, payload };
    }
  }

  /** Drops the record at the head. */
  shift(): void {
    const block = this.blocks[this.first] as Block;
    this.bytes -= this.length;
    block.read += aligned(RECORD_HEADER_BYTES + this.length);
    if (block.read < block.written) return;
    this.blocks[this.first++] = undefined as unknown as Block;
    this.recycle(block);
    if (this.first === this.blocks.length) {
      this.blocks = [];
      this.first = 0;
    } else if (this.first > 1024) {
      this.blocks = this.blocks.slice(this.first);
      this.first = 0;
    }
  }
}
