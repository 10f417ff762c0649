/** The WebSocket that there is: the platform's, or on a Node without one the package `ws`. */
import { PlatformError } from './errors.js';

/** What the client needs of a WebSocket; browsers, Node 22 and `ws` have it. */
export interface WebSocketLike {
  readonly readyState: number;
  readonly bufferedAmount: number;
  readonly protocol: string;
  binaryType: string;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  send(data: string | Uint8Array<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
}

export type WebSocketClass = new (url: string, protocols: string[]) => WebSocketLike;

/** What `ws` has beyond the standard. */
export interface PingingWebSocket extends WebSocketLike {
  ping(): void;
  terminate(): void;
  on(event: 'ping' | 'pong', listener: () => void): unknown;
}

/** `readyState` of an open WebSocket. */
export const OPEN = 1;

/** Whether this WebSocket can send pings, and be ended without the other side. */
export function canPing(socket: WebSocketLike): socket is PingingWebSocket {
  const { ping, terminate, on } = socket as Partial<PingingWebSocket>;
  return typeof ping === 'function' && typeof terminate === 'function' && typeof on === 'function';
}

/** @throws {PlatformError} when there is none */
export async function findWebSocket(): Promise<WebSocketClass> {
  const platform = (globalThis as { WebSocket?: WebSocketClass }).WebSocket;
  if (platform !== undefined) return platform;
  // In a variable, so that bundlers for browsers do not look for a package that is not needed there.
  const name = 'ws';
  try {
    const ws = (await import(/* @vite-ignore */ /* webpackIgnore: true */ name)) as {
      WebSocket: WebSocketClass;
    };
    return ws.WebSocket;
  } catch (cause) {
    throw new PlatformError({ cause });
  }
}
