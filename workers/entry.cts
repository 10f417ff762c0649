/**
 * What Piscina loads on each of its threads. CommonJS, because Piscina would `require` an ES module, and Node 20 aborts
 * the process when a thread is ended in the middle of that.
 */
import type { LaneTask } from '../src/wire/messages.js' with { 'resolution-mode': 'import' };

export = async function entry(task: LaneTask): Promise<void> {
  const { lane } = await import('./lane.js');
  await lane(task);
};
