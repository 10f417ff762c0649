#!/usr/bin/env node
/** The command `threadgate`: flags and THREADGATE_… variables become options; signals end the gateway. */
import { readFileSync } from 'node:fs';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { locateApp } from './app-module.js';
import { createGateway, type GatewayOptions, ThreadgateError } from './index.js';
import { watchApp } from './watch.js';

const USAGE_ERROR = 2;
const FAILURE = 1;

/** Default port of the admin listener on the command line. In the API there is none unless it is asked for. */
const ADMIN_PORT = 9090;

interface Flags {
  port: number;
  host: string;
  lanes?: number;
  adminPort: number;
  adminHost: string;
  maxPayload?: number;
  maxBody?: number;
  maxBackpressure?: number;
  maxConnections?: number;
  idleTimeout?: number;
  jobThreads?: number;
  maxQueuedJobs?: number;
  drainTimeoutMs?: number;
  drainDelayMs?: number;
  drainCode?: number;
  drainReason?: string;
  compression?: 'off' | 'shared' | 'dedicated';
  logLevel: NonNullable<GatewayOptions['logLevel']>;
  hangTimeoutMs?: number;
  hookTimeoutMs?: number;
  sessionTtlMs?: number;
  maxSessionBytes?: number;
  sessionDir?: string;
  watch: boolean;
}

function wholeNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('It must be a whole number.');
  return Number(text);
}

/** Bytes, with an optional unit: 65536, 64k, 16m. */
function byteCount(text: string): number {
  const match = /^(\d+)([km]?)i?b?$/i.exec(text);
  if (match === null)
    throw new InvalidArgumentError('It must be a number of bytes, such as 65536, 64k or 16m.');
  const unit = { '': 1, k: 1024, m: 1024 * 1024 }[match[2]?.toLowerCase() ?? ''] ?? 1;
  return Number(match[1]) * unit;
}

function option(flags: string, description: string): Option {
  const made = new Option(flags, description);
  return made.env(`THREADGATE_${made.long?.slice(2).replaceAll('-', '_').toUpperCase()}`);
}

function version(): string {
  const file = new URL('../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

function createCommand(): Command {
  return new Command('threadgate')
    .description('Serves an app: WebSockets on the main thread, its handlers on every core.')
    .argument('<app>', "the app's module: a JavaScript file, or TypeScript where Node strips types")
    .addOption(
      option('-p, --port <number>', 'port to listen on; 0: any free one')
        .argParser(wholeNumber)
        .default(9001),
    )
    .addOption(option('--host <address>', 'address to listen on').default('0.0.0.0'))
    .addOption(
      option(
        '-l, --lanes <number>',
        'worker threads that run handlers (default: cores - 1, at least 1)',
      ).argParser(wholeNumber),
    )
    .addOption(
      option('--admin-port <number>', 'port of /healthz, /readyz and /stats; 0: none')
        .argParser(wholeNumber)
        .default(ADMIN_PORT),
    )
    .addOption(option('--admin-host <address>', 'address of the admin listener').default('127.0.0.1'))
    .addOption(
      option('--max-payload <bytes>', 'largest message of a client (default: 1m)').argParser(byteCount),
    )
    .addOption(option('--max-body <bytes>', 'largest HTTP request body (default: 1m)').argParser(byteCount))
    .addOption(
      option(
        '--max-backpressure <bytes>',
        'what may wait for a client that does not read (default: 1m)',
      ).argParser(byteCount),
    )
    .addOption(
      option('--max-connections <number>', 'connections at the same time (default: 65536)').argParser(
        wholeNumber,
      ),
    )
    .addOption(
      option(
        '--idle-timeout <seconds>',
        'drop silent connections; 8 to 960, 0: never (default: 120)',
      ).argParser(wholeNumber),
    )
    .addOption(
      option(
        '--job-threads <number>',
        'most worker threads that run jobs (default: cores - 1, at least 1)',
      ).argParser(wholeNumber),
    )
    .addOption(
      option('--max-queued-jobs <number>', 'jobs that may wait for a thread (default: 1000)').argParser(
        wholeNumber,
      ),
    )
    .addOption(
      option(
        '--drain-timeout-ms <milliseconds>',
        'time for the end in good order after SIGTERM (default: 5000)',
      ).argParser(wholeNumber),
    )
    .addOption(
      option(
        '--drain-delay-ms <milliseconds>',
        'part of it in which new clients are still taken (default: 0)',
      ).argParser(wholeNumber),
    )
    .addOption(
      option('--drain-code <code>', 'close code that clients get then (default: 1001)').argParser(
        wholeNumber,
      ),
    )
    .addOption(option('--drain-reason <text>', 'and the reason (default: server shutting down)'))
    .addOption(
      option('--compression <kind>', 'permessage-deflate (default: off)').choices([
        'off',
        'shared',
        'dedicated',
      ]),
    )
    .addOption(
      option(
        '--hang-timeout-ms <number>',
        'replace a lane whose thread a hook blocks for so long; 0: never (default: 10000)',
      ).argParser(wholeNumber),
    )
    .addOption(
      option(
        '--hook-timeout-ms <number>',
        'close a connection whose hook does not settle; 0: never (default: 0)',
      ).argParser(wholeNumber),
    )
    .addOption(
      option(
        '--session-ttl-ms <number>',
        'keep sessions of lost clients for so long; 0: no sessions (default: 60000)',
      ).argParser(wholeNumber),
    )
    .addOption(
      option(
        '--max-session-bytes <bytes>',
        'guaranteed messages that may wait for one client (default: 1m)',
      ).argParser(byteCount),
    )
    .addOption(option('--session-dir <folder>', 'keep sessions there, over restarts (default: in memory)'))
    .addOption(
      option('--watch', "reload when code in the app's folder changes: for development").default(false),
    )
    .addOption(
      option('--log-level <level>', 'least level to log')
        .choices(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'])
        .default('info'),
    )
    .addHelpText(
      'after',
      '\nEvery flag can also be set in the environment: --max-payload is THREADGATE_MAX_PAYLOAD.',
    )
    .version(version(), '-v, --version')
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'threadgate: ')) });
}

function toOptions(app: string, { compression, watch: _, ...flags }: Flags): GatewayOptions {
  return {
    app,
    ...flags,
    ...(compression !== undefined && { compression: compression !== 'off' && compression }),
  };
}

/** One sentence for people; what threadgate did not foresee keeps its stack. */
function explain(error: unknown): string {
  if (error instanceof ThreadgateError) return `threadgate: ${error.message}\n`;
  return `threadgate: ${error instanceof Error ? error.stack : String(error)}\n`;
}

async function main(): Promise<void> {
  const command = createCommand();
  try {
    command.parse();
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    process.exitCode = error.exitCode === 0 ? 0 : USAGE_ERROR;
    return;
  }
  try {
    const flags = command.opts<Flags>();
    await serve(toOptions(command.args[0] as string, flags), flags.watch);
  } catch (error) {
    process.stderr.write(explain(error));
    process.exitCode =
      error instanceof ThreadgateError && error.code === 'ERR_THREADGATE_OPTION' ? USAGE_ERROR : FAILURE;
  }
}

async function serve(options: GatewayOptions, watch: boolean): Promise<void> {
  let gateway: Awaited<ReturnType<typeof createGateway>> | undefined;
  let unwatch: () => void = () => {};
  let signals = 0;
  const end = (): void => {
    signals++;
    unwatch();
    if (signals > 1) process.exit(FAILURE);
    // Nobody is connected yet; and the app may hang where it is imported.
    if (gateway === undefined) process.exit(0);
    gateway.close().catch(error => {
      process.stderr.write(explain(error));
      process.exit(FAILURE);
    });
  };
  // What goes wrong is in the gateway's log, and the old code goes on. Before it listens there is no old code.
  const reload = async (): Promise<void> => gateway?.reload().catch(() => {});
  process.on('SIGINT', end);
  process.on('SIGTERM', end);
  process.on('SIGHUP', reload);
  if (watch) unwatch = watchApp(locateApp(options.app), reload);
  try {
    gateway = await createGateway(options);
  } catch (error) {
    unwatch();
    throw error;
  }
}

await main();
