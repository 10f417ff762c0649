/** Compiled, never run: an app that has told threadgate of its jobs gets their names, data and values checked. */
import type { Gateway, JobError } from 'threadgate';

type MyJobs = typeof import('./my-jobs.js');

declare module 'threadgate' {
  interface Jobs extends MyJobs {}
}

export async function useJobs(gateway: Gateway): Promise<string> {
  const doubled = await gateway.run('double', 4, { timeout: 100, signal: AbortSignal.timeout(1) });
  if (!doubled.ok) return explain(doubled.error);
  const value: number = doubled.value;
  const rendered = await gateway.run('render', { title: 'hello' });
  if (rendered.ok) rendered.value.subarray(0, value);
  await gateway.run('tick');

  // @ts-expect-error there is no such job
  await gateway.run('triple', 4);
  // @ts-expect-error its data are a number
  await gateway.run('double', 'four');
  // @ts-expect-error a value is there only where it is ok
  rendered.value;
  return String(value);
}

function explain(error: JobError): string {
  switch (error.code) {
    case 'ERR_THREADGATE_JOB_UNKNOWN':
    case 'ERR_THREADGATE_JOB_TIMEOUT':
    case 'ERR_THREADGATE_JOB_ABORTED':
    case 'ERR_THREADGATE_JOB_QUEUE_FULL':
    case 'ERR_THREADGATE_DATA':
    case 'ERR_THREADGATE_OPTION':
    case 'ERR_THREADGATE_CLOSED':
      return error.message;
    case 'ERR_THREADGATE_JOB_FAILED':
      return String(error.cause);
    default:
      return error satisfies never;
  }
}
