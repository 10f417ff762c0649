/** Close codes: what the client may say, and what those of the server mean. */
import { OptionError } from './errors.js';

const LONGEST_REASON_BYTES = 123; // RFC 6455, 5.5

/** A frame that is none, see docs/protocol.md. */
export const BAD_FRAME = 4400;
/** The session goes on over another connection. */
export const TAKEN_OVER = 4409;

/** Codes that say that it is our own doing: 1008 (policy), and 4400 to 4499 as HTTP's 4xx. All others come back. */
export function comesBack(closeCode: number): boolean {
  return closeCode !== 1008 && !(closeCode >= 4400 && closeCode <= 4499);
}

/** @throws {OptionError} for what a WebSocket would not take either */
export function checkClose(code: number, reason: string): void {
  if (code !== 1000 && !(Number.isInteger(code) && code >= 3000 && code <= 4999)) {
    throw new OptionError(`a close code must be 1000 or from 3000 to 4999, not ${code}`);
  }
  if (new TextEncoder().encode(reason).length > LONGEST_REASON_BYTES) {
    throw new OptionError(`a close reason has at most ${LONGEST_REASON_BYTES} bytes`);
  }
}
