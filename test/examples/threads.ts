/** The threads of this process, to be ended as a crash would end them. Import it before a gateway is started. */
import type { Worker } from 'node:worker_threads';

const alive = new Set<Worker>();
process.on('worker', worker => {
  alive.add(worker);
  worker.once('exit', () => alive.delete(worker));
});

/** Those that live, in the order of their start: right after a gateway was started, the last ones are its lanes. */
export function threads(): Worker[] {
  return [...alive];
}
