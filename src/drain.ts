/**
 * The drain: how a gateway ends without cutting off what is under way. Main thread.
 *
 *     not ready ── drainDelayMs ──> not listening ── portions ──> connections closed ── close hooks, requests ──> ended
 *
 * Each connection is closed in the order of its own messages: from its turn on nothing more is taken from it, a record
 * goes behind what it has sent (`finish`), and comes back behind all that its hooks sent for it (`finished`). Once the
 * client has taken that off, the close frame follows. So who reads gets every reply to what was taken in.
 *
 * **Portions.** Clients that are closed come back, to other gateways, and each return costs those a handshake and an
 * `open` hook. 200 a second are no burden, so that is the pace: fewer than 20 go at once, 100 within half a second, and
 * only so many as would not be through in time go faster, spread evenly over the time there is (10,000 within the default
 * of 5 s: 167 every 50 ms).
 *
 * **Time.** `drainTimeoutMs` bounds the whole. Its last fifth, a second at most, is kept back: when it begins, whoever
 * has not taken off what waits, or whose hooks still run, is closed all the same; then close hooks and requests
 * have the rest. Nothing waits for the time to pass: the drain is over when all is done.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Connection, Connections } from './frontend/connections.js';
import type { Listener } from './frontend/listener.js';
import type { Requests } from './frontend/requests.js';
import type { Jobs } from './jobs/jobs.js';
import type { Lanes } from './lanes/lanes.js';
import type { Logger } from './log.js';
import { type Context, TimeoutError, type WaitGroup, waitGroup } from './sync/index.js';
import { Inbound } from './wire/records.js';

const PORTION_EVERY_MS = 50;
const CLOSES_PER_SECOND = 200;

/** Share of the time for closing in which portions begin; the rest is for the last of them to take off what waits. */
const PORTIONS_SHARE = 0.75;

/** Share of the whole time that is kept back, and its bound. */
const KEPT_BACK_SHARE = 0.2;
const KEPT_BACK_LONGEST_MS = 1_000;

const NO_BYTES = new Uint8Array(0);

export interface DrainOptions {
  drainTimeoutMs: number;
  drainDelayMs: number;
  drainCode: number;
  drainReason: string;
}

/** The last line of the log. */
export interface DrainCounts {
  /** Connections whose close frame followed everything that was to come before. */
  closed: number;
  /** Requests and upgrades that were answered during the drain. */
  finished: number;
  /** What was not over in time. */
  cutOff: { connections: number; requests: number; hooks: number; jobs: number };
  ms: number;
}

/** How many connections to close in each portion, so that so many are begun within the time there is. */
export function portionSize(connections: number, withinMs: number): number {
  const wantedMs = (connections / CLOSES_PER_SECOND) * 1000;
  const portions = Math.max(1, Math.floor(Math.min(wantedMs, withinMs) / PORTION_EVERY_MS));
  return Math.ceil(connections / portions);
}

/** Resolves when nothing is in flight, or the time is up. */
async function within(timeout: number, inFlight: WaitGroup): Promise<void> {
  try {
    await inFlight.waitAsync({ timeout });
  } catch (error) {
    if (!(error instanceof TimeoutError)) throw error;
  }
}

export class Drain {
  private options: DrainOptions | undefined;
  private closed = 0;
  private cutOff = 0;

  constructor(
    private readonly connections: Connections,
    private readonly requests: Requests,
    private readonly listener: Listener,
    private readonly lanes: Lanes,
    private readonly jobs: Jobs,
    /** Ends once nothing is in flight any more, or the time for it is up. */
    private readonly ending: Context,
    private readonly log: Logger,
  ) {}

  async run(options: DrainOptions): Promise<void> {
    this.options = options;
    const { drainTimeoutMs, drainDelayMs } = options;
    const { connections, requests, jobs, log } = this;
    const began = performance.now();
    const keptBack = Math.min(drainTimeoutMs * KEPT_BACK_SHARE, KEPT_BACK_LONGEST_MS);
    const leftUntil = (end: number) => (): number => Math.max(0, began + end - performance.now());
    const left = leftUntil(drainTimeoutMs);
    const leftForClosing = leftUntil(drainTimeoutMs - keptBack);
    log.info(
      { connections: connections.openCount, requests: requests.waiting, drainTimeoutMs, drainDelayMs },
      'draining',
    );
    await delay(Math.min(drainDelayMs, drainTimeoutMs));
    const answered = requests.answered;
    const jobsBefore = jobs.cutOff;
    this.listener.stopListening();
    requests.drain();
    const inFlight = this.count();
    await this.finishConnections(leftForClosing);
    await within(leftForClosing(), inFlight);
    this.cutOffConnections();
    await within(left(), inFlight);
    this.ending.cancel();
    const hooks = await this.lanes.stop(left());
    await jobs.close();
    const counts: DrainCounts = {
      closed: this.closed,
      finished: requests.answered - answered,
      cutOff: { connections: this.cutOff, requests: requests.stop(), hooks, jobs: jobs.cutOff - jobsBefore },
      ms: Math.round(performance.now() - began),
    };
    const allDone = Object.values(counts.cutOff).every(count => count === 0);
    if (allDone) log.info(counts, 'closed');
    else log.warn(counts, 'closed; not everything was over in time');
  }

  /** From now on every connection and every request is counted. @returns what counts them */
  private count(): WaitGroup {
    const { connections, requests } = this;
    const inFlight = waitGroup();
    const already = connections.openCount + requests.waiting;
    if (already > 0) inFlight.add(already);
    connections.inFlight = inFlight;
    requests.inFlight = inFlight;
    return inFlight;
  }

  /** Begins with every connection, in portions. No new ones come any more. */
  private async finishConnections(left: () => number): Promise<void> {
    const open = [...this.connections.all()].filter(({ ws }) => ws !== undefined);
    const size = portionSize(open.length, left() * PORTIONS_SHARE);
    for (let next = 0; next < open.length; next += size) {
      if (next > 0) await delay(Math.min(PORTION_EVERY_MS, left()));
      for (const connection of open.slice(next, next + size)) this.finish(connection);
    }
  }

  private finish(connection: Connection): void {
    if (connection.ws === undefined) return;
    connection.finishing = true;
    // A lane that never heard of it runs no hook of its.
    if (!connection.known) this.finished(connection);
    else connection.tell(Inbound.finish, 0, 0, NO_BYTES);
  }

  /** All hooks of the connection have settled, and what they sent is with uWebSockets. */
  finished(connection: Connection): void {
    if (!connection.finishing || connection.cause !== undefined) return;
    // From now on nothing more is sent to it.
    connection.cause = 'shutdown';
    this.takenOff(connection);
  }

  /** The client has taken off some of what waits for it. */
  takenOff(connection: Connection): void {
    if (connection.cause !== 'shutdown' || connection.ws?.getBufferedAmount() !== 0) return;
    this.closed++;
    this.end(connection);
  }

  private cutOffConnections(): void {
    for (const connection of this.connections.all()) {
      if (connection.ws === undefined) continue;
      connection.cause ??= 'shutdown';
      this.cutOff++;
      this.end(connection);
    }
  }

  private end(connection: Connection): void {
    const { drainCode, drainReason } = this.options as DrainOptions;
    connection.ws?.end(drainCode, drainReason);
  }
}
