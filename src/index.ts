/** threadgate: the public face. Apps import from it too, on their lanes: so nothing heavy may be loaded with it. */

import type { GatewayOptions } from './options.js';
import type { RunningGateway } from './running-gateway.js';

export {
  type App,
  type Data,
  defineHooks,
  type Gateway,
  type HookError,
  type Hooks,
  type Log,
  type Message,
  type Peer,
  type PeerContext,
  type PeerWebSocket,
  type PublishOptions,
  type SendOptions,
  type UpgradeAccept,
  type WaitForDrainOptions,
} from './app.js';
export {
  AppError,
  ClosedError,
  CloseError,
  DataError,
  HookFailure,
  JobAbortedError,
  JobFailedError,
  JobQueueFullError,
  JobTimeoutError,
  ListenError,
  NoSessionError,
  OptionError,
  PeerGoneError,
  PlatformError,
  ThreadgateError,
  TopicError,
  UnknownJobError,
  UpgradeError,
} from './errors.js';
export type { JobContext, JobError, JobResult, Jobs, RunOptions } from './job.js';
export type { CloseOptions, GatewayOptions } from './options.js';
export type { RunningGateway } from './running-gateway.js';
export type { GatewayStats, JobStats, LaneStats } from './stats.js';

/**
 * Starts a gateway: its lanes first, then its listener. Main thread.
 *
 * @throws {OptionError} `ERR_THREADGATE_OPTION` for an option that cannot be
 * @throws {AppError} `ERR_THREADGATE_APP` when the app is not found, fails while imported, or has no usable export
 * @throws {ListenError} `ERR_THREADGATE_LISTEN` when the port is in use
 * @throws {PlatformError} `ERR_THREADGATE_PLATFORM` where uWebSockets.js has no binary for this system
 * @example
 * ```ts
 * const gateway = await createGateway({ app: './app.js', port: 0, lanes: 2 });
 * await gateway.publish('news', { hello: 'world' });
 * await gateway.close();
 * ```
 */
export async function createGateway(options: GatewayOptions): Promise<RunningGateway> {
  const { startGateway } = await import('./gateway.js');
  return startGateway(options);
}
