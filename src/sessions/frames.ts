/** The frames of the session protocol as bytes, on the gateway's side. docs/protocol.md draws them. */

export const MARK_BYTES = 8;
/** Mark, kind, flags, number: what stands before a message's data. */
export const MESSAGE_HEADER_BYTES = MARK_BYTES + 10;
/** Where a message's number begins; its data follow at once. */
export const NUMBER_AT = MARK_BYTES + 2;

export const FrameKind = {
  message: 1,
  acknowledged: 2,
  go: 3,
  refused: 4,
  ping: 5,
  pong: 6,
  bye: 7,
} as const;

/** Flags of a message. */
export const BINARY_DATA = 1;
export const SENT_BEFORE = 2;

const HIGH = 2 ** 32;

/** @returns an unsigned number of 64 bits, exact up to 2⁵³ − 1 */
export function readNumber(bytes: Buffer, at: number): number {
  return bytes.readUInt32BE(at) * HIGH + bytes.readUInt32BE(at + 4);
}

export function writeNumber(bytes: Buffer, number: number, at: number): void {
  bytes.writeUInt32BE(Math.floor(number / HIGH), at);
  bytes.writeUInt32BE(number >>> 0, at + 4);
}

export function messageFrame(mark: Uint8Array, number: number, binary: boolean, data: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(MESSAGE_HEADER_BYTES + data.length);
  frame.set(mark);
  frame[MARK_BYTES] = FrameKind.message;
  frame[MARK_BYTES + 1] = binary ? BINARY_DATA : 0;
  writeNumber(frame, number, NUMBER_AT);
  frame.set(data, MESSAGE_HEADER_BYTES);
  return frame;
}

/** A frame that holds a number, and perhaps text. */
export function numberFrame(mark: Uint8Array, kind: number, number: number, text = ''): Buffer {
  const frame = Buffer.alloc(MARK_BYTES + 9 + Buffer.byteLength(text));
  frame.set(mark);
  frame[MARK_BYTES] = kind;
  writeNumber(frame, number, MARK_BYTES + 1);
  frame.write(text, MARK_BYTES + 9);
  return frame;
}

export function plainFrame(mark: Uint8Array, kind: number): Buffer {
  return Buffer.concat([mark, Buffer.from([kind])]);
}
