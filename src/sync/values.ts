/** Values on their way through a channel: bytes and strings as they are, everything else as structured clones. */
import { deserialize, serialize } from 'node:v8';
import { ValueError } from './errors.js';

/** What the bytes in a channel's slot are. */
export const Form = { bytes: 0, text: 1, structured: 2 } as const;

/** A value in its form. */
export interface Encoded {
  form: number;
  bytes: Uint8Array;
}

/** @throws {ValueError} for what cannot be cloned, and for undefined, which means that there is nothing */
export function encode(value: unknown): Encoded {
  if (value instanceof Uint8Array) return { form: Form.bytes, bytes: value };
  if (typeof value === 'string' && value.isWellFormed())
    return { form: Form.text, bytes: Buffer.from(value) };
  if (value === undefined)
    throw new ValueError('undefined cannot be sent: it stands for the end of a channel');
  try {
    return { form: Form.structured, bytes: serialize(value) };
  } catch (error) {
    throw new ValueError(`a value that cannot be cloned cannot be sent: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

/** @param bytes this thread's own */
export function decode(form: number, bytes: Uint8Array): unknown {
  if (form === Form.bytes) return bytes;
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  return form === Form.text ? buffer.toString('utf8') : deserialize(buffer);
}
