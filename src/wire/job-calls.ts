/**
 * The caller's side of jobs, on a lane or on the main thread: each call has a channel of its own.
 *
 * The data are posted into the channel before its other end goes out with the request, so they are there when the job
 * begins; the outcome comes back the same way. The main thread passes on nothing but the channel's end, and looks at
 * neither. But it alone says when a job has ended, and how: by then the outcome is there to be read, and the job's thread
 * is free for what the caller may ask next. A call that was aborted here is settled at once; what is said of it later
 * finds it gone.
 */
import { MessageChannel, type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import {
  ClosedError,
  DataError,
  describe,
  JobAbortedError,
  JobFailedError,
  JobQueueFullError,
  JobTimeoutError,
  OptionError,
  UnknownJobError,
} from '../errors.js';
import type { JobError, JobResult, RunOptions } from '../job.js';
import type { JobFailure, JobOutcome, JobRequest, WireError } from './messages.js';

/** The longest time that a timer can take. */
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;

/** The way to the main thread. */
export interface JobLink {
  request(request: JobRequest): void;
  aborted(id: number): void;
}

interface Call {
  name: string;
  port: MessagePort;
  settle(result: JobResult<unknown>): void;
}

export class JobCalls {
  private readonly calls = new Map<number, Call>();
  private lastId = 0;

  constructor(private readonly link: JobLink) {}

  /** Never rejects. */
  run(job: string, data: unknown, options: RunOptions = {}): Promise<JobResult<unknown>> {
    const name = describe(job);
    const { signal, timeout = 0, transfer = [] } = options;
    const wrong = checkOptions(signal, timeout);
    if (wrong !== undefined) return Promise.resolve({ ok: false, error: wrong });
    if (signal?.aborted) return Promise.resolve(aborted(name, signal));
    const { port1, port2 } = new MessageChannel();
    try {
      port1.postMessage(data, transfer);
    } catch (error) {
      port1.close();
      return Promise.resolve({
        ok: false,
        error: new DataError(`the data of the job '${name}' cannot be cloned: ${(error as Error).message}`),
      });
    }
    return this.call({ id: ++this.lastId, name, timeoutMs: timeout, port: port2 }, port1, signal);
  }

  private call(
    request: JobRequest,
    port: MessagePort,
    signal: AbortSignal | undefined,
  ): Promise<JobResult<unknown>> {
    const { id, name } = request;
    return new Promise(resolve => {
      const onAbort = (): void => {
        this.settle(id, aborted(name, signal));
        this.link.aborted(id);
      };
      const settle = (result: JobResult<unknown>): void => {
        signal?.removeEventListener('abort', onAbort);
        resolve(result);
      };
      this.calls.set(id, { name, port, settle });
      signal?.addEventListener('abort', onAbort, { once: true });
      this.link.request(request);
    });
  }

  /** The main thread says that a job has ended. @param failure why it has no outcome; undefined where it has one */
  ended(id: number, failure: JobFailure | undefined): void {
    const call = this.calls.get(id);
    if (call === undefined) return;
    const outcome: JobOutcome = failure === undefined ? readOutcome(call) : { ok: false, failure };
    this.settle(id, outcome.ok ? outcome : { ok: false, error: toError(call.name, outcome.failure) });
  }

  private settle(id: number, result: JobResult<unknown>): void {
    const call = this.calls.get(id);
    if (call === undefined) return;
    this.calls.delete(id);
    call.port.close();
    call.settle(result);
  }
}

function readOutcome({ name, port }: Call): JobOutcome {
  try {
    return receiveMessageOnPort(port)?.message as JobOutcome;
  } catch (error) {
    const message = `what the job '${name}' returned cannot be read here: ${(error as Error).message}`;
    return { ok: false, failure: { code: 'ERR_THREADGATE_DATA', message } };
  }
}

function checkOptions(signal: unknown, timeout: unknown): OptionError | undefined {
  if (signal !== undefined && !(signal instanceof AbortSignal))
    return new OptionError(`a job's signal cannot be ${describe(signal)}: it must be an AbortSignal`);
  if (typeof timeout !== 'number' || !(timeout >= 0 && timeout <= LONGEST_TIMEOUT_MS)) {
    return new OptionError(
      `a job's timeout cannot be ${describe(timeout)}: it must be milliseconds, 0 to ${LONGEST_TIMEOUT_MS}`,
    );
  }
  return undefined;
}

function aborted(name: string, signal: AbortSignal | undefined): JobResult<never> {
  return { ok: false, error: new JobAbortedError(name, signal?.reason) };
}

function toError(name: string, { code, message, cause }: JobFailure): JobError {
  switch (code) {
    case 'ERR_THREADGATE_JOB_UNKNOWN':
      return new UnknownJobError(message);
    case 'ERR_THREADGATE_JOB_FAILED':
      return new JobFailedError(message, cause === undefined ? undefined : { cause: fromWire(cause) });
    case 'ERR_THREADGATE_JOB_TIMEOUT':
      return new JobTimeoutError(message);
    case 'ERR_THREADGATE_JOB_ABORTED':
      return new JobAbortedError(name, message);
    case 'ERR_THREADGATE_JOB_QUEUE_FULL':
      return new JobQueueFullError(message);
    case 'ERR_THREADGATE_DATA':
      return new DataError(message);
    case 'ERR_THREADGATE_OPTION':
      return new OptionError(message);
    case 'ERR_THREADGATE_CLOSED':
      return new ClosedError();
  }
}

/** As much of the error as came over. */
function fromWire({ name, message, stack, code }: WireError): Error {
  const error = new Error(message);
  error.name = name;
  if (stack !== undefined) error.stack = stack;
  return code === undefined ? error : Object.assign(error, { code });
}
