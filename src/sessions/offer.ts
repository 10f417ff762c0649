/** What a client offers in `Sec-WebSocket-Protocol` to get a session, and what is left of that header for the app. */
import { createHash } from 'node:crypto';

const PROTOCOL = 'threadgate.v1';
const WITH_APP = `${PROTOCOL}+`;
const SESSION = /^session\.([\w-]{22})\.(\d{1,15})\.(\d{1,15})$/;

/** Bytes of a session's name. */
export const NAME_BYTES = 16;

export interface SessionOffer {
  /** Hash of the client's secret: the secret itself is kept nowhere. */
  name: Buffer;
  /** The last number that the client got from the gateway. */
  received: number;
  /** The last of the client's own numbers that the gateway acknowledged. */
  acknowledged: number;
}

export interface ProtocolOffer {
  /** Undefined where the client named none, or not in the form that it must have. */
  session: SessionOffer | undefined;
  /** The header as the app is to see it; empty for none. */
  forApp: string;
  /** @param chosen by the app; '' for none. @returns what to answer for a connection with a session, if it can be had */
  answer(chosen: string): string | undefined;
}

/**
 * @param sessions whether there are any to be had
 * @returns undefined where the header has nothing of ours
 */
export function parseOffer(header: string, sessions: boolean): ProtocolOffer | undefined {
  if (!header.includes(PROTOCOL)) return undefined;
  const withApp = new Set<string>();
  const forApp = new Set<string>();
  let alone = false;
  let session: SessionOffer | undefined;
  for (const offered of header.split(',')) {
    const token = offered.trim();
    const named = SESSION.exec(token);
    if (named !== null) {
      const [, secret, received, acknowledged] = named as unknown as [string, string, string, string];
      session = { name: nameOf(secret), received: Number(received), acknowledged: Number(acknowledged) };
    } else if (token === PROTOCOL) {
      alone = true;
    } else if (token.startsWith(WITH_APP)) {
      withApp.add(token.slice(WITH_APP.length));
      forApp.add(token.slice(WITH_APP.length));
    } else {
      forApp.add(token);
    }
  }
  return {
    session,
    forApp: [...forApp].join(', '),
    answer(chosen) {
      if (session === undefined || !sessions) return undefined;
      if (chosen === '') return alone ? PROTOCOL : undefined;
      return withApp.has(chosen) ? WITH_APP + chosen : undefined;
    },
  };
}

function nameOf(secret: string): Buffer {
  return createHash('sha256').update(secret).digest().subarray(0, NAME_BYTES);
}
