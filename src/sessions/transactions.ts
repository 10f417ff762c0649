/**
 * What hooks that handle guaranteed messages have sent with guarantee, until each is through. One for each connection:
 * its hooks run one at a time.
 */
import { MESSAGE_HEADER_BYTES } from './frames.js';
import type { Session } from './session.js';

interface HeldSend {
  to: Session;
  data: Buffer;
  binary: boolean;
  /** The session's when it was sent: with another one it is lost. */
  mark: Buffer;
}

export class Transactions {
  private readonly held = new Map<number, HeldSend[]>();

  /** @param key of the connection whose hook sends; see Sessions */
  hold(key: number, to: Session, data: Uint8Array, binary: boolean): void {
    const send = { to, data: Buffer.from(data), binary, mark: to.mark };
    const sends = this.held.get(key);
    if (sends === undefined) this.held.set(key, [send]);
    else sends.push(send);
    to.heldBytes += costOf(data);
  }

  /** The hook is through, or was cut off. @returns what it had sent, in order; nothing is held of it any more */
  take(key: number): readonly HeldSend[] {
    const sends = this.held.get(key);
    if (sends === undefined) return NONE;
    this.held.delete(key);
    for (const { to, data, mark } of sends) if (to.mark === mark) to.heldBytes -= costOf(data);
    return sends;
  }
}

/** As much as it will cost in the queue. */
function costOf(data: Uint8Array): number {
  return MESSAGE_HEADER_BYTES + data.length;
}

const NONE: readonly HeldSend[] = [];
