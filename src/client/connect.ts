/** One attempt to connect: asks where to, and waits until the connection is open. Leaves nothing behind when it fails. */
import { Connection } from './connection.js';
import type { Incoming } from './data.js';
import { ClientError, ConnectError } from './errors.js';
import type { Settings } from './options.js';
import { findWebSocket, type WebSocketClass } from './websocket.js';

export interface Opened {
  connection: Connection;
  url: string;
}

interface Target {
  WebSocket: WebSocketClass;
  url: string;
  protocols: string[];
}

/**
 * @param signal ends the attempt
 * @throws {ConnectError} also {@link PlatformError}; nothing else
 */
export async function connect(
  settings: Settings,
  signal: AbortSignal,
  receive: (data: Incoming) => void,
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
    const connection = new Connection(new WebSocket(url, protocols), settings, receive);
    const abandon = (): void => connection.abandon(attempt.signal.reason);
    attempt.signal.addEventListener('abort', abandon);
    const opened = await connection.opened;
    attempt.signal.removeEventListener('abort', abandon);
    if (opened) return { connection, url };
    throw (await connection.ended).cause;
  } catch (cause) {
    if (cause instanceof ClientError) throw cause;
    throw new ConnectError(`could not connect${cause instanceof Error ? `: ${cause.message}` : ''}`, {
      cause,
    });
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

/** What the promise gives, or a rejection as soon as the signal is aborted. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    signal.addEventListener('abort', abort);
    if (signal.aborted) abort();
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
