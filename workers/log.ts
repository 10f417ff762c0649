/** The log of a lane: every line goes to the main thread, which writes it with the lane's number. */
import { inspect } from 'node:util';
import type { MessagePort } from 'node:worker_threads';
import type { Log } from '../src/app.js';
import { type LaneMessage, toWireError } from '../src/wire/messages.js';

type Level = keyof Log;

/** Causes of causes that are still told. */
const DEEPEST_CAUSE = 5;

export class LaneLog implements Log {
  constructor(private readonly port: MessagePort) {}

  debug(message: string, fields?: Record<string, unknown>): void {
    this.write('debug', message, fields);
  }

  info(message: string, fields?: Record<string, unknown>): void {
    this.write('info', message, fields);
  }

  warn(message: string, fields?: Record<string, unknown>): void {
    this.write('warn', message, fields);
  }

  error(message: string, fields?: Record<string, unknown>): void {
    this.write('error', message, fields);
  }

  private write(level: Level, message: string, given: Record<string, unknown> = {}): void {
    const fields = Object.fromEntries(Object.entries(given).map(([name, value]) => [name, portable(value)]));
    this.port.postMessage({ type: 'log', level, message: String(message), fields } satisfies LaneMessage);
  }
}

/** The value in a form that every thread can have. */
function portable(value: unknown, depth = 0): unknown {
  if (value instanceof Error) {
    const cause =
      value.cause === undefined || depth === DEEPEST_CAUSE ? undefined : portable(value.cause, depth + 1);
    return { type: value.name, ...toWireError(value), ...(cause !== undefined && { cause }) };
  }
  if (typeof value === 'bigint') return String(value);
  if (typeof value === 'function' || typeof value === 'symbol') return inspect(value);
  if (typeof value !== 'object' || value === null) return value;
  try {
    return JSON.parse(JSON.stringify(value));
  } catch {
    return inspect(value);
  }
}
