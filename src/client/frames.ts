/**
 * The frames of `threadgate.v1`, as docs/protocol.md draws them: mark (8 bytes), kind (1 byte), then by kind. Binary
 * messages that do not begin with the mark are the app's.
 */
import { ProtocolError } from './errors.js';

export const KIND = { message: 1, acknowledged: 2, go: 3, refused: 4, ping: 5, pong: 6, bye: 7 } as const;

/** Flags of a message. */
const IS_BINARY = 1;
const IS_DOUBTFUL = 2;

const MARK_BYTES = 8;
const NUMBER_AT = { [KIND.message]: 10, [KIND.acknowledged]: 9, [KIND.go]: 9, [KIND.refused]: 9 };
const NUMBER_BYTES = 8;

/** What a message costs beside its data. */
export const MESSAGE_HEAD_BYTES = 18;

/** What the gateway sends. */
export type Frame =
  | { kind: typeof KIND.message; number: number; data: string | ArrayBuffer }
  | { kind: typeof KIND.acknowledged; number: number }
  | { kind: typeof KIND.go; number: number }
  | { kind: typeof KIND.refused; number: number; reason: string }
  | { kind: typeof KIND.pong };

export type Mark = Uint8Array<ArrayBuffer>;

export interface MessageHead {
  number: number;
  isBinary: boolean;
  /** A gateway that has lost the session since then may have handled it. */
  isDoubtful: boolean;
}

export function encodeMessage(mark: Mark, head: MessageHead, data: Uint8Array): Uint8Array<ArrayBuffer> {
  const frame = begin(mark, KIND.message, MESSAGE_HEAD_BYTES + data.length);
  frame[MARK_BYTES + 1] = (head.isBinary ? IS_BINARY : 0) | (head.isDoubtful ? IS_DOUBTFUL : 0);
  new DataView(frame.buffer).setBigUint64(NUMBER_AT[KIND.message], BigInt(head.number));
  frame.set(data, MESSAGE_HEAD_BYTES);
  return frame;
}

export function encodeAcknowledged(mark: Mark, number: number): Uint8Array<ArrayBuffer> {
  const at = NUMBER_AT[KIND.acknowledged];
  const frame = begin(mark, KIND.acknowledged, at + NUMBER_BYTES);
  new DataView(frame.buffer).setBigUint64(at, BigInt(number));
  return frame;
}

/** A frame that is its kind and nothing more. */
export function encodeSign(mark: Mark, kind: typeof KIND.ping | typeof KIND.bye): Uint8Array<ArrayBuffer> {
  return begin(mark, kind, MARK_BYTES + 1);
}

/**
 * @returns undefined for a message of the app
 * @throws {ProtocolError} for a frame that the gateway cannot have meant
 */
export function decode(mark: Mark, data: ArrayBuffer): Frame | undefined {
  const bytes = new Uint8Array(data);
  if (!beginsWith(bytes, mark)) return undefined;
  const kind = bytes[MARK_BYTES];
  switch (kind) {
    case KIND.message: {
      const isBinary = ((bytes[MARK_BYTES + 1] ?? 0) & IS_BINARY) !== 0;
      const number = numberAt(data, NUMBER_AT[kind]);
      return {
        kind,
        number,
        data: isBinary ? data.slice(MESSAGE_HEAD_BYTES) : text(bytes, MESSAGE_HEAD_BYTES),
      };
    }
    case KIND.acknowledged:
    case KIND.go:
      return { kind, number: numberAt(data, NUMBER_AT[kind]) };
    case KIND.refused: {
      const at = NUMBER_AT[kind];
      return { kind, number: numberAt(data, at), reason: text(bytes, at + NUMBER_BYTES) };
    }
    case KIND.pong:
      return { kind };
    default:
      throw new ProtocolError(`the server sent a frame of the kind ${kind}`);
  }
}

function begin(mark: Mark, kind: number, length: number): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(length);
  frame.set(mark);
  frame[MARK_BYTES] = kind;
  return frame;
}

function beginsWith(bytes: Uint8Array, mark: Mark): boolean {
  return bytes.length >= MARK_BYTES && mark.every((byte, at) => bytes[at] === byte);
}

function numberAt(data: ArrayBuffer, at: number): number {
  if (data.byteLength < at + NUMBER_BYTES)
    throw new ProtocolError('the server sent a frame that was cut short');
  const number = Number(new DataView(data).getBigUint64(at));
  if (!Number.isSafeInteger(number)) throw new ProtocolError('the server sent a number beyond 2^53 - 1');
  return number;
}

function text(bytes: Uint8Array<ArrayBuffer>, from: number): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes.subarray(from));
  } catch {
    throw new ProtocolError('the server sent text that is no UTF-8');
  }
}
