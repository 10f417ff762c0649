/**
 * What this lane sends: writes records into batches and decides when the main thread hears of them.
 *
 * During a drain of the ring the dispatcher commits after every hook and announces when it sees fit. Whatever is sent at
 * another time (after an await, from a timer) is committed at once and announced at the end of this turn.
 */
import type { MessagePort } from 'node:worker_threads';
import { BatchWriter } from '../src/wire/batch.js';
import { copyInto } from '../src/wire/copy.js';
import { bytesOf, textOf } from '../src/wire/data.js';
import type { LaneMessage as PortMessage } from '../src/wire/messages.js';
import { BINARY } from '../src/wire/records.js';
import { LaneMessage } from './message.js';

/** Characters up to which reserving the most a text can take (three bytes each) beats counting its bytes first. */
const SHORT_TEXT = 4096;

const NO_BYTES = new Uint8Array(0);

export class Outbox {
  private readonly batches: BatchWriter;
  private draining = false;
  private scheduled = false;

  constructor(port: MessagePort) {
    const post = (message: PortMessage): void => port.postMessage(message);
    this.batches = new BatchWriter({
      added: (index, memory) => post({ type: 'batch', index, memory }),
      announced: index => port.postMessage(index),
      dropped: index => post({ type: 'batchDropped', index }),
    });
  }

  /** Writes a record whose payload is `prefix` and then `data` in its wire form. @returns bytes of that form */
  data(
    type: number,
    flags: number,
    target: number,
    tag: number,
    data: unknown,
    prefix: Uint8Array = NO_BYTES,
  ): number {
    if (data instanceof LaneMessage) return this.data(type, flags, target, tag, data.rawData, prefix);
    const text = textOf(data);
    if (text === undefined) {
      const bytes = bytesOf(data);
      this.record(type, flags | BINARY, prefix.length, target, tag, prefix, bytes);
      return bytes.length;
    }
    const { batches } = this;
    const limit = text.length <= SHORT_TEXT ? text.length * 3 : Buffer.byteLength(text);
    batches.begin(type, flags, prefix.length, target, tag, prefix.length + limit);
    if (prefix.length > 0) batches.bytes.set(prefix, batches.offset);
    const written = batches.bytes.write(text, batches.offset + prefix.length, limit, 'utf8');
    batches.end(prefix.length + written);
    this.written();
    return written;
  }

  /** Writes a record whose payload is `first` and then `second`. */
  record(
    type: number,
    flags: number,
    aux: number,
    target: number,
    tag: number,
    first: Uint8Array = NO_BYTES,
    second: Uint8Array = NO_BYTES,
  ): void {
    const { batches } = this;
    const length = first.length + second.length;
    batches.begin(type, flags, aux, target, tag, length);
    if (first.length > 0) copyInto(batches.bytes, batches.offset, first);
    if (second.length > 0) copyInto(batches.bytes, batches.offset + first.length, second);
    batches.end(length);
    this.written();
  }

  private written(): void {
    if (this.draining) return;
    this.batches.commit();
    if (this.scheduled) return;
    this.scheduled = true;
    setImmediate(this.endTurn);
  }

  private readonly endTurn = (): void => {
    this.scheduled = false;
    if (!this.draining) this.batches.announce();
  };

  /** From now on the dispatcher commits and announces. */
  beginDrain(): void {
    this.draining = true;
  }

  commit(): void {
    this.batches.commit();
  }

  /** Commits, and with it that the ring is done up to this mark. */
  commitDone(mark: number): void {
    this.batches.commitDone(mark);
  }

  announce(): void {
    this.batches.announce();
  }

  endDrain(): void {
    this.draining = false;
    this.batches.announce();
  }

  /** Bytes that the main thread has not been told of. */
  get pending(): number {
    return this.batches.pending;
  }

  /** Stands for the batch that is being written; see `delivered`. */
  get sequence(): number {
    return this.batches.currentSequence;
  }

  /** Resolves once the main thread has carried out all that was sent until now. */
  delivery(): Promise<void> {
    this.batches.announce();
    return this.batches.whenDelivered(this.batches.announcedSequence);
  }

  /** Whether the main thread is through with the batch of that sequence. */
  delivered(sequence: number): boolean {
    return this.batches.delivered(sequence);
  }
}
