/** What may be sent, and how it becomes a frame. The rules are crossws': bytes are binary, everything else is text. */
import { DataError } from '../errors.js';

export interface EncodedData {
  bytes: Uint8Array;
  binary: boolean;
}

/**
 * The text of anything that is no bytes; undefined for bytes.
 * @throws {DataError} for what has no form on the wire
 */
export function textOf(data: unknown): string | undefined {
  switch (typeof data) {
    case 'string':
      return data;
    case 'undefined':
      return '';
    case 'number':
    case 'boolean':
    case 'bigint':
      return String(data);
    case 'object':
      if (data === null) return '';
      if (ArrayBuffer.isView(data) || data instanceof ArrayBuffer || data instanceof SharedArrayBuffer)
        return undefined;
      if (data instanceof Blob) {
        throw new DataError(
          'a Blob cannot be sent: its bytes are not at hand; send `await blob.arrayBuffer()`',
        );
      }
      return jsonOf(data);
    default:
      throw new DataError(`a ${typeof data} cannot be sent`);
  }
}

function jsonOf(data: object): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(data);
  } catch (error) {
    throw new DataError(`this object has no JSON form: ${(error as Error).message}`);
  }
  if (text === undefined) throw new DataError('this object has no JSON form');
  return text;
}

/** The bytes of a view or buffer, without copying. */
export function bytesOf(data: unknown): Uint8Array {
  if (data instanceof Uint8Array) return data;
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return new Uint8Array(data as ArrayBuffer | SharedArrayBuffer);
}

export function encodeData(data: unknown): EncodedData {
  const text = textOf(data);
  return text === undefined
    ? { bytes: bytesOf(data), binary: true }
    : { bytes: Buffer.from(text), binary: false };
}
