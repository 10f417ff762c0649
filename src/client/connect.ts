/**
 * One attempt to connect: asks where to, waits until the connection is open, and where a session is wanted, until it began.
 * Leaves nothing behind when it fails.
 */
import { Connection } from './connection.js';
import { ClientError, ConnectError, LostError, NoSessionError, ProtocolError } from './errors.js';
import { appProtocolOf, isUnanswered } from './offer.js';
import type { Settings } from './options.js';
import type { Session } from './session.js';
import { findWebSocket, type WebSocketClass } from './websocket.js';
import { parseWelcome, type Welcome } from './welcome.js';

export interface Opened {
  connection: Connection;
  url: string;
  /** The app's subprotocol. */
  protocol: string;
  /** The beginning of the session, if one was wanted. */
  welcome: Welcome | undefined;
}

interface Target {
  WebSocket: WebSocketClass;
  url: string;
  protocols: string[];
}

/**
 * @param signal ends the attempt
 * @param session what to offer; undefined: nothing
 * @throws {ConnectError} also {@link NoSessionError}, {@link LostError} where the server closed it before the session began,
 * {@link PlatformError}; nothing else
 */
export async function connect(
  settings: Settings,
  signal: AbortSignal,
  session: Session | undefined,
): Promise<Opened> {
  const attempt = new AbortController();
  const end = (): void => attempt.abort(signal.reason);
  const { connectTimeout } = settings;
  const late = (): void => attempt.abort(new Error(`not within ${connectTimeout} ms`));
  const timer = setTimeout(late, connectTimeout);
  signal.addEventListener('abort', end);
  try {
    const { WebSocket, url, protocols } = await unlessAborted(
      targetOf(settings, attempt.signal),
      attempt.signal,
    );
    const offered = session?.offer(protocols) ?? protocols;
    const connection = new Connection(new WebSocket(url, offered), settings);
    const abandon = (): void => connection.abandon(attempt.signal.reason);
    attempt.signal.addEventListener('abort', abandon);
    const opened = await (session === undefined ? opening(connection) : beginning(connection));
    attempt.signal.removeEventListener('abort', abandon);
    return { connection, url, ...opened };
  } catch (cause) {
    if (cause instanceof ClientError && !(cause instanceof ProtocolError)) throw cause;
    if (session !== undefined && isUnanswered(cause)) throw noSession({ cause });
    throw new ConnectError(`could not connect${why(cause, session)}`, { cause });
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', end);
  }
}

async function targetOf(settings: Settings, signal: AbortSignal): Promise<Target> {
  const WebSocket = settings.WebSocket ?? (await findWebSocket());
  const url = typeof settings.url === 'function' ? await settings.url({ signal }) : settings.url;
  const offered =
    typeof settings.protocols === 'function' ? await settings.protocols({ signal }) : settings.protocols;
  return { WebSocket, url, protocols: typeof offered === 'string' ? [offered] : offered };
}

type Begun = Pick<Opened, 'protocol' | 'welcome'>;

async function opening(connection: Connection): Promise<Begun> {
  if (!(await connection.opened)) throw (await connection.ended).cause;
  return { protocol: connection.socket.protocol, welcome: undefined };
}

/** The same with a session, whose first message is ours. */
async function beginning(connection: Connection): Promise<Begun> {
  const { protocol: chosen } = await opening(connection);
  try {
    const protocol = appProtocolOf(chosen);
    if (protocol === undefined) throw noSession();
    const first = await connection.first();
    if (first === undefined) throw await endOf(connection);
    return { protocol, welcome: parseWelcome(first) };
  } catch (error) {
    connection.abandon(error);
    throw error;
  }
}

/** What to throw for a connection that ended too early. A close code may say not to come back. */
async function endOf(connection: Connection): Promise<unknown> {
  const { code, reason, cause } = await connection.ended;
  return code === 1006 ? cause : new LostError(code, reason, { cause });
}

function noSession(options?: ErrorOptions): NoSessionError {
  return new NoSessionError(
    "the server answered without a session: it is no threadgate gateway, or one without sessions; with guaranteed: 'preferred' the client takes it as it is",
    options,
  );
}

function why(cause: unknown, session: Session | undefined): string {
  if (cause instanceof Error && cause.message !== '') return `: ${cause.message}`;
  return session === undefined
    ? ''
    : ', or the server answered without a session: this WebSocket does not tell';
}

/** What the promise gives, or a rejection as soon as the signal is aborted. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    signal.addEventListener('abort', abort);
    if (signal.aborted) abort();
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
