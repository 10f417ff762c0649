/** What a job is to those who write one and those who ask for one. Types only: seen on every thread. */
import type { Transferable } from 'node:worker_threads';
import type {
  ClosedError,
  DataError,
  JobAbortedError,
  JobFailedError,
  JobQueueFullError,
  JobTimeoutError,
  OptionError,
  UnknownJobError,
} from './errors.js';

/**
 * The jobs that `gateway.run` knows. Empty, any name and any data will do; extend it by declaration merging to have
 * names, data and values checked.
 * @example
 * ```ts
 * type MyJobs = typeof import('./jobs.js');
 * declare module 'threadgate' {
 *   interface Jobs extends MyJobs {}
 * }
 * ```
 */
// biome-ignore lint/suspicious/noEmptyInterface: made to be extended
export interface Jobs {}

/** What a job is given besides its data. */
export interface JobContext {
  /**
   * Names parts of the job's value that are to be moved instead of copied, such as the ArrayBuffer of its bytes. They
   * cannot be used on the job's thread afterwards.
   */
  transfer(...objects: Transferable[]): void;
}

export type JobName = [keyof Jobs] extends [never] ? string : Extract<keyof Jobs, string>;

export type JobData<Name> = Name extends keyof Jobs
  ? Jobs[Name] extends (data: infer Data, context: JobContext) => unknown
    ? Data
    : never
  : unknown;

export type JobValue<Name> = Name extends keyof Jobs
  ? Jobs[Name] extends (...args: never[]) => infer Value
    ? Awaited<Value>
    : never
  : unknown;

export interface RunOptions {
  /** Aborts the job: it waits no more, or its thread is ended. */
  signal?: AbortSignal;
  /**
   * Milliseconds that the job has, from the call, the time that it waits for a thread included. 0: no bound.
   * @default 0
   */
  timeout?: number;
  /** Parts of the data that are to be moved instead of copied. They cannot be used here afterwards. */
  transfer?: Transferable[];
}

/** Why there is no value. `code` tells them apart. */
export type JobError =
  | UnknownJobError
  | JobFailedError
  | JobTimeoutError
  | JobAbortedError
  | JobQueueFullError
  | DataError
  | OptionError
  | ClosedError;

export type JobResult<Value> = { ok: true; value: Value } | { ok: false; error: JobError };
