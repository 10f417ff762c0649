/** Every option: default, unit, and what 0 means. Checked once, here; behind it values are trusted. */
import { availableParallelism } from 'node:os';
import { z } from 'zod';
import { OptionError } from './errors.js';
import type { Logger } from './log.js';
import { CLOSE_CODES, isCloseCode, LONGEST_REASON_BYTES } from './wire/close.js';

const KiB = 1024;
const MiB = 1024 * KiB;

const port = z.int().min(0).max(65_535);
const bytes = z
  .int()
  .min(1)
  .max(1024 * MiB);

const drainTimeoutMs = z.int().min(0).max(3_600_000);
const closeCode = z.int().refine(isCloseCode, `must be ${CLOSE_CODES}`);
const closeReason = z
  .string()
  .refine(
    reason => Buffer.byteLength(reason) <= LONGEST_REASON_BYTES,
    `must have at most ${LONGEST_REASON_BYTES} bytes`,
  );

function isCloneable(value: unknown): boolean {
  try {
    structuredClone(value);
    return true;
  } catch {
    return false;
  }
}

export const optionsSchema = z.strictObject({
  /** The app's module: a path (relative to the working directory) or a file: URL. */
  app: z.union([z.string().min(1), z.instanceof(URL)]),
  /** Port for WebSocket and HTTP. 0: any free one; see `gateway.port`. */
  port: port.default(9001),
  /** Address to listen on. */
  host: z.string().min(1).default('0.0.0.0'),
  /** Worker threads that run handlers. Default: cores − 1, at least 1. */
  lanes: z
    .int()
    .min(1)
    .max(256)
    .default(() => Math.max(1, availableParallelism() - 1)),
  /** Port of the admin listener (/healthz, /readyz, /stats). 0: no admin listener. */
  adminPort: port.default(0),
  /** Address of the admin listener. */
  adminHost: z.string().min(1).default('127.0.0.1'),
  /** Bytes of the largest message that a client may send; beyond it the connection is dropped. */
  maxPayload: z
    .int()
    .min(1)
    .max(256 * MiB)
    .default(1 * MiB),
  /** Bytes of the largest HTTP request body; beyond it the answer is 413. 0: no bodies. */
  maxBody: z
    .int()
    .min(0)
    .max(256 * MiB)
    .default(1 * MiB),
  /** Bytes that may wait for a client that does not read; beyond it, it is closed with 1013. */
  maxBackpressure: bytes.default(1 * MiB),
  /** Bytes of one connection's messages that may wait for its hooks; beyond it, it is closed with 1013. */
  maxInboundPerConnection: bytes.default(8 * MiB),
  /** Bytes that may wait for one lane; beyond it, connections over their share of it are closed with 1013. */
  maxInboundPerLane: bytes.default(128 * MiB),
  /** Connections open at the same time; beyond it upgrades are answered with 503. */
  maxConnections: z.int().min(1).max(1_000_000).default(65_536),
  /** Seconds without a message, ping or pong after which a connection is dropped; pings are sent before. 0: never. */
  idleTimeout: z
    .int()
    .refine(s => s === 0 || (s >= 8 && s <= 960), 'must be 0, or 8 to 960 seconds')
    .default(120),
  /**
   * permessage-deflate: `false`, or `shared` (one window for all, no memory per connection), or `dedicated` (better
   * compression, 32 KiB and more per connection). Frames are compressed only where `send` asks for it.
   */
  compression: z.union([z.literal(false), z.enum(['shared', 'dedicated'])]).default(false),
  /** Bytes of each lane's ring: a power of two. */
  ringBytes: z
    .int()
    .min(4 * KiB)
    .max(256 * MiB)
    .refine(n => (n & (n - 1)) === 0, 'must be a power of two')
    .default(2 * MiB),
  /**
   * Most worker threads that run jobs; started when there are jobs, ended when there have been none for a while.
   * Default: cores − 1, at least 1.
   */
  jobThreads: z
    .int()
    .min(1)
    .max(256)
    .default(() => Math.max(1, availableParallelism() - 1)),
  /** Jobs that may wait for a thread; beyond it `run` answers that there is no room. 0: none waits. */
  maxQueuedJobs: z.int().min(0).max(1_000_000).default(1_000),
  /**
   * Milliseconds that `close()` and SIGTERM take at most to end everything in good order, `drainDelayMs` included; what
   * is not over by then is cut off. 0: at once.
   */
  drainTimeoutMs: drainTimeoutMs.default(5_000),
  /** Milliseconds for which a gateway no longer ready still takes new clients, so that load balancers can notice. */
  drainDelayMs: z.int().min(0).max(3_600_000).default(0),
  /** Close code that clients get when the gateway closes. */
  drainCode: closeCode.default(1001),
  /** Reason beside it: at most 123 bytes. */
  drainReason: closeReason.default('server shutting down'),
  /**
   * Milliseconds after which a lane whose thread is blocked, by a hook or where the app is imported, is ended and replaced:
   * noticed at the latest a quarter later. 0: never.
   */
  hangTimeoutMs: z.int().min(0).max(3_600_000).default(10_000),
  /** Milliseconds after which a hook's promise is given up and its connection closed with 1011. 0: never. */
  hookTimeoutMs: z.int().min(0).max(86_400_000).default(0),
  /** MiB of each lane's heap; beyond it the lane is replaced. 0: Node's own limit. */
  laneHeapMiB: z.int().min(0).max(65_536).default(0),
  /**
   * Milliseconds between two looks at how busy lanes are. One that stays much busier than another hands some of its
   * connections to it, if the app has a `resume` hook. 0: never.
   */
  balanceMs: z.int().min(0).max(3_600_000).default(0),
  /**
   * Milliseconds for which the session of a client that asked for guaranteed delivery is kept after its connection was
   * lost. 0: there are no sessions.
   */
  sessionTtlMs: z.int().min(0).max(86_400_000).default(60_000),
  /** Bytes of guaranteed messages that may wait for one client's acknowledgement; beyond it they are lost. */
  maxSessionBytes: bytes.default(1 * MiB),
  /**
   * A folder of this process alone, where sessions are kept so that they outlive it. Default: none, sessions are in memory.
   */
  sessionDir: z.string().min(1).optional(),
  /**
   * Anything that can be cloned: `gateway.data` on every lane, for settings and for handles of threadgate/sync. Default:
   * undefined.
   */
  data: z.unknown().refine(isCloneable, 'it must be what structuredClone takes').optional(),
  /** A pino logger to write to. Default: one of the gateway's own, to stdout, with `logLevel`. */
  logger: z
    .custom<Logger>(
      value => typeof (value as Logger | undefined)?.info === 'function',
      'must be a pino logger',
    )
    .optional(),
  logLevel: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
});

/** Options as `createGateway` takes them. */
export type GatewayOptions = z.input<typeof optionsSchema>;
/** What one call of `close` does otherwise than the gateway's options say. */
export interface CloseOptions {
  /** Milliseconds. @default the gateway's `drainTimeoutMs` */
  drainTimeoutMs?: number | undefined;
  /** Close code for all clients. @default the gateway's `drainCode`: 1001 */
  code?: number | undefined;
  /** Reason beside it. @default the gateway's `drainReason` where no code is given, else none */
  reason?: string | undefined;
}

/** Options with every default filled in. */
export type Options = z.output<typeof optionsSchema>;

const closeSchema = z.strictObject({
  drainTimeoutMs: drainTimeoutMs.optional(),
  code: closeCode.optional(),
  reason: closeReason.optional(),
});

/** @throws {OptionError} that names the option and quotes its value */
export function parseOptions(input: GatewayOptions): Options {
  const options = parse(optionsSchema, input);
  const { drainDelayMs, drainTimeoutMs } = options;
  if (drainDelayMs > drainTimeoutMs) {
    throw new OptionError(
      `option 'drainDelayMs' cannot be ${drainDelayMs}: drainTimeoutMs (${drainTimeoutMs}) includes it`,
    );
  }
  return options;
}

/** @throws {OptionError} as `parseOptions` */
export function parseCloseOptions(input: CloseOptions): CloseOptions {
  return parse(closeSchema, input);
}

function parse<Schema extends z.ZodType>(schema: Schema, input: z.input<Schema>): z.output<Schema> {
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  const issue = result.error.issues[0] as z.core.$ZodIssue;
  if (issue.code === 'unrecognized_keys') {
    throw new OptionError(`there is no option ${issue.keys.map(key => `'${key}'`).join(', ')}`);
  }
  const name = issue.path.join('.');
  const value = (input as Record<string, unknown> | undefined)?.[name];
  throw new OptionError(`option '${name}' cannot be ${quote(value)}: ${issue.message}`);
}

function quote(value: unknown): string {
  return typeof value === 'string' ? `'${value}'` : String(value);
}
