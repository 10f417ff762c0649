/** One class per cause of an error in threadgate/sync, each with a stable code. */
import { ThreadgateError } from '../errors.js';

/** Something would block the main thread. The message names the promise that does the same. */
export class MainThreadError extends ThreadgateError {
  constructor(call: string, instead: string) {
    super(
      'ERR_THREADGATE_SYNC_MAIN_THREAD',
      `${call}() blocks its thread and the main thread must never block: await ${instead}() there`,
    );
  }
}

/** This thread would wait for itself, for ever. */
export class DeadlockError extends ThreadgateError {
  constructor(message: string) {
    super('ERR_THREADGATE_SYNC_DEADLOCK', message);
  }
}

/** Something was given back by a thread that does not have it. */
export class NotOwnerError extends ThreadgateError {
  constructor(message: string) {
    super('ERR_THREADGATE_SYNC_NOT_OWNER', message);
  }
}

/** Not thrown: a hold has it as `ownerDied` when a thread died with the lock in its hands. */
export class OwnerDiedError extends ThreadgateError {
  /** `threadId` of the thread that died. */
  readonly threadId: number;

  constructor(threadId: number) {
    super(
      'ERR_THREADGATE_SYNC_OWNER_DIED',
      `thread ${threadId} died while it held the lock: what the lock protects may be half changed`,
    );
    this.threadId = threadId;
  }
}

/** The time that a wait was given is over. */
export class TimeoutError extends ThreadgateError {
  constructor(timeout: number) {
    super('ERR_THREADGATE_SYNC_TIMEOUT', `not within ${timeout} ms`);
  }
}

/** A wait group would count below zero. */
export class NegativeError extends ThreadgateError {
  constructor() {
    super('ERR_THREADGATE_SYNC_NEGATIVE', 'done() without an add(): the wait group would count below zero');
  }
}

/** A value was to be sent on a closed channel. */
export class ChannelClosedError extends ThreadgateError {
  constructor() {
    super('ERR_THREADGATE_SYNC_CHANNEL_CLOSED', 'the channel is closed');
  }
}

/** A value that a channel or a map cannot carry. */
export class ValueError extends ThreadgateError {
  constructor(message: string, options?: ErrorOptions) {
    super('ERR_THREADGATE_SYNC_VALUE', message, options);
  }
}

/** The memory that was given at creation is used up. */
export class FullError extends ThreadgateError {
  constructor(message: string) {
    super('ERR_THREADGATE_SYNC_FULL', message);
  }
}

/** A name is in use for something else, or cannot be a name. */
export class NameError extends ThreadgateError {
  constructor(message: string) {
    super('ERR_THREADGATE_SYNC_NAME', message);
  }
}

/** An argument has a value that it cannot have. */
export class ArgumentError extends ThreadgateError {
  constructor(message: string) {
    super('ERR_THREADGATE_SYNC_ARGUMENT', message);
  }
}

/** This thread has not been given the memory that the threads share. */
export class SetupError extends ThreadgateError {
  constructor(message: string) {
    super('ERR_THREADGATE_SYNC_SETUP', message);
  }
}

/** What a once was to do has failed, and the failure is remembered. */
export class OnceFailedError extends ThreadgateError {
  constructor(message: string, options?: ErrorOptions) {
    super('ERR_THREADGATE_SYNC_ONCE_FAILED', `it was tried once and failed: ${message}`, options);
  }
}

/** The reason of a cancelled context's signal. */
export class CancelledError extends ThreadgateError {
  constructor() {
    super('ERR_THREADGATE_SYNC_CANCELLED', 'the context was cancelled');
  }
}

/** The reason of a context's signal whose deadline has passed. */
export class DeadlineError extends ThreadgateError {
  constructor() {
    super('ERR_THREADGATE_SYNC_DEADLINE', 'the deadline of the context has passed');
  }
}
