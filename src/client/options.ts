/** Every option of a client: default, unit, what 0 means. Validated once, here. */
import { comesBack } from './close.js';
import { OptionError } from './errors.js';
import type { WebSocketClass } from './websocket.js';

/** What the functions for `url` and `protocols` are given. */
export interface Attempt {
  /** Aborted when this attempt is over before it connected: for a `fetch` of a token, say. */
  signal: AbortSignal;
}

/** Where to connect, or a function that says so for each attempt; one that fails is a failed attempt. */
export type Url = string | ((attempt: Attempt) => string | Promise<string>);

/** Subprotocols to offer, or a function that says so for each attempt; one that fails is a failed attempt. */
export type Protocols =
  | string
  | string[]
  | ((attempt: Attempt) => string | string[] | Promise<string | string[]>);

export interface ClientOptions {
  /** Subprotocols. @default none */
  protocols?: Protocols;
  /** Ends the client and everything that it has, at any moment. */
  signal?: AbortSignal;
  /** Whether to connect by itself, right after creation; else at `connect()`. @default true */
  autoConnect?: boolean;
  /** Most milliseconds before the first attempt after a failure; doubles with each one. From 1. @default 100 */
  minDelay?: number;
  /** Most milliseconds between two attempts. @default 10,000 */
  maxDelay?: number;
  /** Attempts in a row, after which the client gives up. From 1. @default Infinity */
  maxAttempts?: number;
  /** Milliseconds for one attempt, the functions for `url` and `protocols` included. From 1. @default 10,000 */
  connectTimeout?: number;
  /** Whether a close code means to come back. @default all but 1008 and 4400 to 4499, see {@link comesBack} */
  shouldReconnect?: (closeCode: number, reason: string) => boolean;
  /** `within` of messages that are sent without one. @default 50 */
  within?: number;
  /** Bytes of messages that may wait to be written; 0: none may. @default 1 MiB */
  maxBuffered?: number;
  /** Bytes handed to the WebSocket and not yet taken by the system, above which writing pauses. From 1. @default 64 KiB */
  maxInSocket?: number;
  /**
   * Whether to have a session with the gateway, for `send(data, { guaranteed: true })`. true: a server without sessions is a
   * failed attempt. 'preferred': where there is none, connect without one; once there was one, as true. @default false
   */
  guaranteed?: boolean | 'preferred';
  /** Bytes of guaranteed messages that may wait for their acknowledgement; 0: none may. @default 1 MiB */
  maxGuaranteed?: number;
  /** Bytes of messages that may wait for one `for await` loop. @default 1 MiB */
  maxUnread?: number;
  /** Milliseconds of silence before a ping, with a session or a WebSocket that can (`ws`); 0: never. @default 30,000 */
  pingInterval?: number;
  /** Milliseconds for the answer to it; after them the connection is given up. From 1. @default 10,000 */
  pingTimeout?: number;
  /** Milliseconds that `close()` gives the server to answer. @default 2,000 */
  closeTimeout?: number;
  /** A WebSocket class to use: the one of `ws` on Node 22, for its pings. @default the platform's, else that of `ws` */
  WebSocket?: WebSocketClass;
}

export type Settings = Required<Omit<ClientOptions, 'signal' | 'WebSocket'>> &
  Pick<ClientOptions, 'signal' | 'WebSocket'> & { url: Url };

/** What fits into a timer. */
const LONGEST_MS = 2 ** 31 - 1;

/** The numbers: default, least, most. */
const NUMBERS = {
  minDelay: [100, 1, LONGEST_MS],
  maxDelay: [10_000, 1, LONGEST_MS],
  maxAttempts: [Number.POSITIVE_INFINITY, 1, Number.POSITIVE_INFINITY],
  connectTimeout: [10_000, 1, LONGEST_MS],
  within: [50, 0, Number.POSITIVE_INFINITY],
  maxBuffered: [2 ** 20, 0, 2 ** 40],
  maxInSocket: [2 ** 16, 1, 2 ** 40],
  maxGuaranteed: [2 ** 20, 0, 2 ** 40],
  maxUnread: [2 ** 20, 0, 2 ** 40],
  pingInterval: [30_000, 0, LONGEST_MS],
  pingTimeout: [10_000, 1, LONGEST_MS],
  closeTimeout: [2_000, 0, LONGEST_MS],
} as const satisfies Partial<Record<keyof ClientOptions, readonly [number, number, number]>>;

type NumberName = keyof typeof NUMBERS;

const OTHERS = ['protocols', 'signal', 'autoConnect', 'shouldReconnect', 'guaranteed', 'WebSocket'];

/** @throws {OptionError} */
export function settle(url: Url, options: ClientOptions): Settings {
  checkUrl(url);
  for (const name of Object.keys(options)) {
    if (!(name in NUMBERS) && !OTHERS.includes(name)) throw new OptionError(`there is no option '${name}'`);
  }
  const numbers = {} as Record<NumberName, number>;
  for (const name of Object.keys(NUMBERS) as NumberName[]) {
    numbers[name] = checkNumber(name, options[name] ?? NUMBERS[name][0]);
  }
  if (numbers.minDelay > numbers.maxDelay) {
    throw new OptionError(`minDelay (${numbers.minDelay}) is more than maxDelay (${numbers.maxDelay})`);
  }
  const { guaranteed = false } = options;
  if (![true, false, 'preferred'].includes(guaranteed)) {
    throw new OptionError(`guaranteed must be true, false or 'preferred', not '${String(guaranteed)}'`);
  }
  return {
    ...numbers,
    url,
    guaranteed,
    protocols: options.protocols ?? [],
    autoConnect: options.autoConnect ?? true,
    shouldReconnect: options.shouldReconnect ?? comesBack,
    signal: options.signal,
    WebSocket: options.WebSocket,
  };
}

function checkUrl(url: unknown): void {
  if (typeof url === 'function') return;
  const parsed = typeof url === 'string' && URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || !/^(ws|http)s?:$/.test(parsed.protocol)) {
    throw new OptionError(`url must be a function or begin with ws:// or wss://, not be '${String(url)}'`);
  }
}

/** @throws {OptionError} */
export function checkNumber(name: NumberName, value: unknown): number {
  const [, least, most] = NUMBERS[name];
  if (typeof value !== 'number' || !(value >= least && value <= most)) {
    throw new OptionError(`${name} must be a number from ${least} to ${most}, not ${String(value)}`);
  }
  return value;
}
