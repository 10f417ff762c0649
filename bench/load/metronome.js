// @ts-check
/**
 * A beat that is exact to a tenth of a millisecond, where timers of an event loop are late by one or two: a thread that
 * sleeps until the next beat is due.
 */

import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

if (!isMainThread) keepTime(workerData);

/**
 * @param {number} milliseconds between beats
 * @param {(dueAt: number) => void} beat called for each, late where the listener was busy; `dueAt` is of `performance.now()`
 * @returns {() => void} ends it
 */
export function metronome(milliseconds, beat) {
  const worker = new Worker(new URL(import.meta.url), { workerData: milliseconds });
  const offset = performance.now() - monotonic();
  worker.on('message', dueAt => beat(dueAt + offset));
  return () => void worker.terminate();
}

/** @param {number} milliseconds */
function keepTime(milliseconds) {
  const never = new Int32Array(new SharedArrayBuffer(4));
  for (let dueAt = monotonic(); ; dueAt += milliseconds) {
    Atomics.wait(never, 0, 0, Math.max(0, dueAt - monotonic()));
    parentPort?.postMessage(dueAt);
  }
}

/** Milliseconds of a clock that is the same on all threads, which `performance.now()` is not. */
function monotonic() {
  return Number(process.hrtime.bigint()) / 1e6;
}
