/** One job, on a thread of its pool: takes its data from its port, and posts its outcome there. */
import { once } from 'node:events';
import { type MessagePort, receiveMessageOnPort, type Transferable } from 'node:worker_threads';
import type { JobContext } from '../src/job.js';
import { type JobFailure, type JobOutcome, type JobTask, toWireError } from '../src/wire/messages.js';

type JobFunction = (data: unknown, context: JobContext) => unknown;

/** @returns why there is no value: a code; undefined where there is one */
export async function runJob(task: JobTask): Promise<string | undefined> {
  const { name, port } = task;
  const transfer: Transferable[] = [];
  let outcome = await attempt(task, transfer);
  try {
    port.postMessage(outcome, transfer);
  } catch (error) {
    const message = `what the job '${name}' returned cannot be cloned: ${(error as Error).message}`;
    outcome = { ok: false, failure: { code: 'ERR_THREADGATE_DATA', message } };
    port.postMessage(outcome);
  }
  await close(port);
  return outcome.ok ? undefined : outcome.failure.code;
}

async function attempt({ name, module, port }: JobTask, transfer: Transferable[]): Promise<JobOutcome> {
  let jobs: Record<string, unknown>;
  try {
    jobs = (await import(module)) as Record<string, unknown>;
  } catch (error) {
    return { ok: false, failure: failed(`the module of the jobs failed while it was imported`, error) };
  }
  const job = Object.hasOwn(jobs, name) ? jobs[name] : undefined;
  if (typeof job !== 'function') {
    const message = `there is no job '${name}': '${new URL(module).pathname}' exports no function of that name`;
    return { ok: false, failure: { code: 'ERR_THREADGATE_JOB_UNKNOWN', message } };
  }
  let data: unknown;
  try {
    data = receiveMessageOnPort(port)?.message;
  } catch (error) {
    const message = `the data of the job '${name}' cannot be read on its thread: ${(error as Error).message}`;
    return { ok: false, failure: { code: 'ERR_THREADGATE_DATA', message } };
  }
  try {
    const context: JobContext = { transfer: (...objects) => void transfer.push(...objects) };
    return { ok: true, value: await (job as JobFunction)(data, context) };
  } catch (error) {
    return { ok: false, failure: failed(`the job '${name}' failed`, error) };
  }
}

function failed(what: string, error: unknown): JobFailure {
  const cause = toWireError(error);
  return { code: 'ERR_THREADGATE_JOB_FAILED', message: `${what}: ${cause.message}`, cause };
}

/**
 * A thread without a job sleeps in Atomics.wait, where no port can finish closing; so that one job's port does not stay
 * until some later job happens to let the event loop turn, its end is waited for.
 */
async function close(port: MessagePort): Promise<void> {
  const closed = once(port, 'close');
  port.close();
  await closed;
}
