/**
 * Slow consumers: bounds what waits for a client that does not read, and closes it with 1013 beyond the bound.
 *
 * uWebSockets' own limit is switched off, because what it drops leaves a gap that the client cannot see, and because
 * over its limit it drops the close frame too. Frames sent to one connection are checked as they are sent. Published
 * frames are written by uWebSockets without a word to us; so all subscribers are looked at again whenever an eighth of
 * the bound has been published, and once more soon after the last publication. What waits can pass the bound by that
 * eighth and one message, no more.
 */
import type { Connection, Connections } from './connections.js';

export const SLOW_CONSUMER_CODE = 1013;
const SLOW_CONSUMER_REASON = 'slow consumer';

/** Milliseconds after a publication within which `bufferedAmount` of its subscribers is right. */
const SWEEP_WITHIN_MS = 50;

export class Backpressure {
  private readonly subscribers = new Set<Connection>();
  private readonly overdue: Connection[] = [];
  private publishedBytes = 0;
  private timer: NodeJS.Timeout | undefined;
  private endScheduled = false;

  /** @param closed told once about each connection that is closed for it */
  constructor(
    private readonly connections: Connections,
    private readonly maxBackpressure: number,
    private readonly closed: (connection: Connection, bytes: number) => void,
  ) {}

  subscribed(connection: Connection): void {
    this.subscribers.add(connection);
  }

  unsubscribed(connection: Connection): void {
    this.subscribers.delete(connection);
  }

  /**
   * Reads how much waits for the client.
   * @returns false when that is over the bound: nothing more may be sent, it will be closed
   */
  check(connection: Connection): boolean {
    if (connection.ws === undefined || connection.cause !== undefined) return false;
    const bytes = connection.ws.getBufferedAmount();
    this.connections.setBuffered(connection, bytes);
    if (bytes <= this.maxBackpressure) return true;
    connection.cause = 'slow-consumer';
    this.overdue.push(connection);
    // Not at once: the caller may stand inside a cork, or go through uWebSockets' subscribers.
    if (!this.endScheduled) {
      this.endScheduled = true;
      setImmediate(() => this.endOverdue());
    }
    return false;
  }

  private endOverdue(): void {
    this.endScheduled = false;
    for (const connection of this.overdue.splice(0)) {
      if (connection.ws === undefined) continue;
      this.closed(connection, connection.buffered);
      connection.ws.end(SLOW_CONSUMER_CODE, SLOW_CONSUMER_REASON);
    }
  }

  /** `bytes` were published to one topic. */
  published(bytes: number): void {
    this.publishedBytes += bytes;
    if (this.publishedBytes >= this.maxBackpressure / 8) this.sweep();
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      this.sweep();
    }, SWEEP_WITHIN_MS).unref();
  }

  private sweep(): void {
    this.publishedBytes = 0;
    for (const connection of this.subscribers) this.check(connection);
  }

  stop(): void {
    clearTimeout(this.timer);
  }
}
