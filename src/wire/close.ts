/** What the WebSocket protocol allows in a close frame (RFC 6455, 5.5.1 and 7.4). */

export const LONGEST_REASON_BYTES = 123;

export const CLOSE_CODES = '1000 to 1014 without 1004 to 1006, or 3000 to 4999';

export function isCloseCode(code: number): boolean {
  if (!Number.isInteger(code)) return false;
  return (
    (code >= 1000 && code <= 1014 && code !== 1004 && code !== 1005 && code !== 1006) ||
    (code >= 3000 && code <= 4999)
  );
}
