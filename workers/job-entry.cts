/** What Piscina loads on each thread for jobs. CommonJS for the reason that entry.cts gives. */
import type { JobTask } from '../src/wire/messages.js' with { 'resolution-mode': 'import' };

export = async function entry(task: JobTask): Promise<string | undefined> {
  const { runJob } = await import('./job.js');
  return runJob(task);
};
