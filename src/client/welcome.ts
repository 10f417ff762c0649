/** The gateway's first message on a connection with a session. */
import type { Incoming } from './data.js';
import { ProtocolError } from './errors.js';
import type { Mark } from './frames.js';

export interface Welcome {
  /** The session's public name, `peer.session` of the gateway's hooks. */
  session: string;
  /** Whether the gateway knew the session; else it is a new one. */
  resumed: boolean;
  mark: Mark;
  /** Bytes of frames that may be on their way without an acknowledgement. */
  window: number;
  /** Bytes of the largest data of one message. */
  largest: number;
}

/** @throws {ProtocolError} */
export function parseWelcome(message: Incoming): Welcome {
  const { session, resumed, mark, window, largest } = parse(message);
  if (
    typeof session !== 'string' ||
    typeof resumed !== 'boolean' ||
    typeof mark !== 'string' ||
    !/^[0-9a-f]{16}$/i.test(mark) ||
    !isSize(window) ||
    !isSize(largest)
  ) {
    throw new ProtocolError("the server's first message is no welcome to a session");
  }
  return { session, resumed, mark: fromHex(mark), window, largest };
}

function parse(message: Incoming): Record<string, unknown> {
  try {
    return Object(typeof message === 'string' ? JSON.parse(message) : undefined);
  } catch {
    return {};
  }
}

function isSize(value: unknown): value is number {
  return typeof value === 'number' && value >= 0;
}

function fromHex(hex: string): Mark {
  return Uint8Array.from(hex.match(/../g) ?? [], pair => Number.parseInt(pair, 16));
}
