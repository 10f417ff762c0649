/**
 * One class per cause of an error, each with a stable code. All extend ThreadgateError; `code` is what programs should
 * look at.
 */

import { inspect } from 'node:util';

export class ThreadgateError extends Error {
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** An option has a value that it cannot have. */
export class OptionError extends ThreadgateError {
  declare readonly code: 'ERR_THREADGATE_OPTION';

  constructor(message: string) {
    super('ERR_THREADGATE_OPTION', message);
  }
}

/** The app cannot be used: not found, failed while it was imported, or has no usable export. */
export class AppError extends ThreadgateError {
  constructor(message: string, options?: ErrorOptions) {
    super('ERR_THREADGATE_APP', message, options);
  }
}

/** The address cannot be listened on. */
export class ListenError extends ThreadgateError {
  constructor(message: string) {
    super('ERR_THREADGATE_LISTEN', message);
  }
}

/** This machine or this Node cannot run uWebSockets.js. */
export class PlatformError extends ThreadgateError {
  constructor(message: string, options?: ErrorOptions) {
    super('ERR_THREADGATE_PLATFORM', message, options);
  }
}

/** The gateway is closing or closed. */
export class ClosedError extends ThreadgateError {
  declare readonly code: 'ERR_THREADGATE_CLOSED';

  constructor() {
    super('ERR_THREADGATE_CLOSED', 'the gateway is closed');
  }
}

/** Something was to be sent that has no form on the wire, or no copy on another thread. */
export class DataError extends ThreadgateError {
  declare readonly code: 'ERR_THREADGATE_DATA';

  constructor(message: string) {
    super('ERR_THREADGATE_DATA', message);
  }
}

/** A close code or reason that the WebSocket protocol does not allow. */
export class CloseError extends ThreadgateError {
  constructor(message: string) {
    super('ERR_THREADGATE_CLOSE', message);
  }
}

/** A topic or namespace that cannot be used. */
export class TopicError extends ThreadgateError {
  constructor(message: string) {
    super('ERR_THREADGATE_TOPIC', message);
  }
}

/** A closed connection of another lane was asked for what is no longer known. */
export class PeerGoneError extends ThreadgateError {
  constructor(id: string) {
    super('ERR_THREADGATE_PEER_GONE', `peer ${id} is gone, and what was asked for is gone with it`);
  }
}

/** A guaranteed message was to be sent to a client that has no session: it did not ask for one. */
export class NoSessionError extends ThreadgateError {
  declare readonly code: 'ERR_THREADGATE_NO_SESSION';

  constructor(id: string) {
    super(
      'ERR_THREADGATE_NO_SESSION',
      `peer ${id} has no session, so nothing can be guaranteed to it: look at peer.session first`,
    );
  }
}

/** What `upgrade` returned cannot be used. */
export class UpgradeError extends ThreadgateError {
  constructor(message: string) {
    super('ERR_THREADGATE_UPGRADE', message);
  }
}

/** A hook threw or rejected: what the `error` hook is given. `cause` is what was thrown. */
export class HookFailure extends ThreadgateError {
  constructor(hook: string, cause: unknown) {
    const said = cause instanceof Error ? cause.message : describe(cause);
    super('ERR_THREADGATE_HOOK', `the ${hook} hook failed: ${said}`, { cause });
  }
}

/** `gateway.run` was asked for a job that there is not. */
export class UnknownJobError extends ThreadgateError {
  declare readonly code: 'ERR_THREADGATE_JOB_UNKNOWN';

  constructor(message: string) {
    super('ERR_THREADGATE_JOB_UNKNOWN', message);
  }
}

/** A job threw or rejected, its module could not be imported, or its thread ended. `cause` is what was thrown. */
export class JobFailedError extends ThreadgateError {
  declare readonly code: 'ERR_THREADGATE_JOB_FAILED';

  constructor(message: string, options?: ErrorOptions) {
    super('ERR_THREADGATE_JOB_FAILED', message, options);
  }
}

/** A job was not through when its time was up. Its thread was ended, if it had begun. */
export class JobTimeoutError extends ThreadgateError {
  declare readonly code: 'ERR_THREADGATE_JOB_TIMEOUT';

  constructor(message: string) {
    super('ERR_THREADGATE_JOB_TIMEOUT', message);
  }
}

/** A job was aborted by the signal of who asked for it. `cause` is the signal's reason. */
export class JobAbortedError extends ThreadgateError {
  declare readonly code: 'ERR_THREADGATE_JOB_ABORTED';

  constructor(name: string, reason: unknown) {
    super('ERR_THREADGATE_JOB_ABORTED', `the job '${name}' was aborted`, { cause: reason });
  }
}

/** All threads for jobs are busy, and as many jobs wait as may. */
export class JobQueueFullError extends ThreadgateError {
  declare readonly code: 'ERR_THREADGATE_JOB_QUEUE_FULL';

  constructor(message: string) {
    super('ERR_THREADGATE_JOB_QUEUE_FULL', message);
  }
}

/** Anything that may be thrown, in words. */
export function describe(thrown: unknown): string {
  return typeof thrown === 'string' ? thrown : inspect(thrown);
}
