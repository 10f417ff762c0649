/** The log of a lane: every line goes to the main thread, which writes it with the lane's number. */
import { inspect } from 'node:util';
import type { MessagePort } from 'node:worker_threads';
import type { Log } from '../src/app.js';
import { type LaneMessage, toWireError } from '../src/wire/messages.js';

type Level = keyof Log;

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
function portable(value: unknown): unknown {
  if (value instanceof Error) {
    const cause = value.cause === undefined ? undefined : portable(value.cause);
    return { type: value.name, ...toWireError(value), ...(cause !== undefined && { cause }) };
  }
  if (typeof value === 'bigint') return String(value);
  if (typeof value !== 'object' || value === null)
    return typeof value === 'function' ? inspect(value) : value;
  try {
    return JSON.parse(JSON.stringify(value));
  } catch {
    return inspect(value);
  }
}
