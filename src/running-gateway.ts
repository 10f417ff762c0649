/** What `createGateway` resolves with: the gateway as the program that runs it sees it. */
import type { JobData, JobName, JobResult, JobValue, RunOptions } from './job.js';
import type { CloseOptions } from './options.js';
import type { GatewayStats } from './stats.js';

/** A running gateway. To be used on the main thread. */
export interface RunningGateway {
  /** The port that it listens on. */
  readonly port: number;
  /** The admin listener's port, or undefined without one. */
  readonly adminPort: number | undefined;
  readonly stats: GatewayStats;
  /**
   * Sends to all subscribers of a topic, in all namespaces or in one.
   * @throws {ClosedError} `ERR_THREADGATE_CLOSED` once the gateway is closing
   * @throws {DataError} `ERR_THREADGATE_DATA` for data with no form on the wire
   */
  publish(topic: string, data: unknown, options?: { namespace?: string; compress?: boolean }): Promise<void>;
  /** Runs one of the app's jobs on another thread, as `run` of the gateway that handlers have does. Never rejects. */
  run<Name extends JobName>(
    name: Name,
    data?: JobData<Name>,
    options?: RunOptions,
  ): Promise<JobResult<JobValue<Name>>>;
  /** Aborted when the gateway ends: once all that was in flight is finished, or the time for that is up. */
  readonly signal: AbortSignal;
  /**
   * Brings in the app's code anew, lane by lane: each new lane has a module graph of its own. Connections stay, no message
   * is lost, doubled or reordered; see the `resume` hook. Hooks and requests under way have `drainTimeoutMs`.
   * @throws {AppError} `ERR_THREADGATE_APP` when the new code cannot be used: then the old goes on
   * @throws {ClosedError} `ERR_THREADGATE_CLOSED` once the gateway is closing
   */
  reload(): Promise<void>;
  /**
   * Ends the gateway in good order: `/readyz` says no from now on; after `drainDelayMs` it stops listening, finishes what
   * is under way, closes the connections, in portions where there are many, with 1001 or a code of your own, runs their
   * `close` hooks, and ends the lanes. The log's last line counts what was closed, finished and cut off.
   * Takes as long as it needs, and at most `drainTimeoutMs` and a little. May be called again: it is the same close.
   * @throws {OptionError} `ERR_THREADGATE_OPTION` (rejects) for an option that cannot be; then nothing is closed
   */
  close(options?: CloseOptions): Promise<void>;
}
