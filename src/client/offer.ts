/** How a session is asked for: what is offered as subprotocols, and what the server's choice means. */

const PROTOCOL = 'threadgate.v1';
const WITH_APP = `${PROTOCOL}+`;
const SECRET_BYTES = 16;

/** Whose session it is, and how far each direction got. */
export interface Claim {
  secret: string;
  received: number;
  acknowledged: number;
}

/** 128 random bits, in base64url. */
export function makeSecret(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(SECRET_BYTES));
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '');
}

/**
 * The claim comes first: servers that know nothing of us and take whatever is first, as `ws` does, then choose what
 * nobody chooses who means a session.
 */
export function offer(protocols: string[], { secret, received, acknowledged }: Claim): string[] {
  return [
    `session.${secret}.${received}.${acknowledged}`,
    ...protocols.map(protocol => WITH_APP + protocol),
    PROTOCOL,
  ];
}

/** The app's subprotocol, empty for none; undefined where the server chose no session. */
export function appProtocolOf(chosen: string): string | undefined {
  if (chosen === PROTOCOL) return '';
  return chosen.startsWith(WITH_APP) ? chosen.slice(WITH_APP.length) : undefined;
}

/**
 * Whether a WebSocket failed because the server chose nothing of what was offered. `ws` and Node's own say so, in words;
 * browsers keep it to themselves.
 */
export function isUnanswered(cause: unknown): boolean {
  return cause instanceof Error && /no subprotocol|respond with sent protocols/.test(cause.message);
}
