/** What travels over a lane's MessagePort, and what a lane is started with. Data goes through rings and batches instead. */
import type { MessagePort } from 'node:worker_threads';
import { describe } from '../errors.js';
import type { JobError } from '../job.js';
import type { ContextHandle } from '../sync/index.js';
import type { DirectoryMemory } from './directory.js';

/** An error on its way between threads: a subclass posted as it is would lose its class and its code. */
export interface WireError {
  name: string;
  message: string;
  stack?: string;
  code?: string;
}

/** Main to lane: there is something in the ring. */
export const WAKE = 0;

/** Main to lane, besides WAKE. */
export type LaneCommand =
  /** Read the ring to its end, let running hooks settle for at most this long, then end. */
  | { type: 'stop'; withinMs: number }
  /** Read no more, start no hook of a connection any more, and say `handedOver`. */
  | { type: 'handOver' }
  /**
   * After `handedOver`: the ring up to there is another lane's now. Let hooks settle and answer requests for at most this
   * long, then end.
   */
  | { type: 'retire'; from: number; withinMs: number }
  /** This job has ended: with an outcome that its port holds, or without one, and why. */
  | { type: 'jobEnded'; id: number; failure: JobFailure | undefined };

/** Lane to main: the ring has room again. Announcements of batches are their index, from 0. */
export const ROOM = -1;

/** Lane to main, besides ROOM and announcements. */
export type LaneMessage =
  | { type: 'ready'; hooks: number; threadId: number; jobs: string | undefined }
  | { type: 'failed'; reason: 'import' | 'exports'; error: WireError }
  | { type: 'batch'; index: number; memory: SharedArrayBuffer }
  | { type: 'batchDropped'; index: number }
  | { type: 'park'; index: number; memory: SharedArrayBuffer }
  | { type: 'parkDropped'; index: number }
  /** All that was sent is announced. For each connection in these slots `left` follows, once its hook has settled. */
  | { type: 'handedOver'; running: number[] }
  | {
      type: 'log';
      level: 'debug' | 'info' | 'warn' | 'error';
      message: string;
      fields: Record<string, unknown>;
    }
  | { type: 'job'; request: JobRequest }
  | { type: 'jobAborted'; id: number }
  | { type: 'stopped'; unsettled: number };

/** A job that a caller asks the main thread for. */
export interface JobRequest {
  /** The caller's number for it. */
  id: number;
  name: string;
  /** 0: no bound. */
  timeoutMs: number;
  /** Holds the job's data, and takes its outcome straight back to the caller. Its other end is the caller's. */
  port: MessagePort;
}

/** What the Piscina task of a job is given. */
export interface JobTask {
  name: string;
  /** The module whose export it is, as a file: URL. */
  module: string;
  port: MessagePort;
}

/** Job's thread to caller, over the request's port. */
export type JobOutcome = { ok: true; value: unknown } | { ok: false; failure: JobFailure };

/** A JobError on its way between threads. */
export interface JobFailure {
  code: JobError['code'];
  message: string;
  cause?: WireError;
}

/** What the lane's Piscina task is given. */
export interface LaneTask {
  lane: number;
  /** The app's module, as a file: URL. */
  app: string;
  ring: SharedArrayBuffer;
  directory: DirectoryMemory;
  port: MessagePort;
  /** Brings payloads too large for the ring, in the order of their records, in shared memory: main keeps them too. */
  payloads: MessagePort;
  /** The memory of threadgate/sync, which all threads of the process share. */
  arena: SharedArrayBuffer;
  /** Ends when the gateway does. */
  ending: ContextHandle;
  /** What `gateway.data` is to be. */
  data: unknown;
  /** Milliseconds between two beats of the heartbeat in the ring's header. 0: none. */
  heartbeatMs: number;
  /**
   * Whether to follow hooks through what they await and start, so that it is known which connection ends the thread. It
   * costs every promise of the app something, so it is done only by lanes that start soon after one ended nobody knows why.
   */
  attribute: boolean;
  /** Milliseconds after which a hook's promise is given up and its connection closed. 0: never. */
  hookTimeoutMs: number;
}

export function toWireError(error: unknown): WireError {
  if (!(error instanceof Error)) return { name: 'Error', message: describe(error) };
  const wire: WireError = { name: error.name, message: error.message };
  if (error.stack !== undefined) wire.stack = error.stack;
  if ('code' in error && typeof error.code === 'string') wire.code = error.code;
  return wire;
}
