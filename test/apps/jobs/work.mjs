/** Jobs under test. Cells are Int32Arrays on shared memory: [0] counts those that have begun, [1] lets them go. */
import { setTimeout as delay } from 'node:timers/promises';
import { threadId } from 'node:worker_threads';
import { mutex } from 'threadgate/sync';

export const constant = 42;

export function double(number) {
  return number * 2;
}

export async function later(value) {
  await delay(1);
  return value;
}

export function thread() {
  return threadId;
}

function begin(cells) {
  Atomics.add(cells, 0, 1);
  Atomics.notify(cells, 0);
}

/** Blocks its thread until it is let go. */
export function hold(cells) {
  begin(cells);
  Atomics.wait(cells, 1, 0);
  return threadId;
}

/** Burns CPU without end. */
export function spin(cells) {
  begin(cells);
  for (;;);
}

/** Never settles. */
export function hang(cells) {
  begin(cells);
  return new Promise(() => {});
}

export function fail() {
  throw Object.assign(new RangeError('out of range'), { code: 'E_OWN' });
}

export async function reject() {
  throw 'a string';
}

/** Takes a lock and keeps its thread busy until that is ended. */
export function lockAndSpin({ cells, name }) {
  mutex(name).lock();
  spin(cells);
}

export function exit() {
  process.exit(3);
}

export function returnFunction() {
  return () => {};
}

export function fill(length, { transfer }) {
  const bytes = new Uint8Array(length).fill(7);
  transfer(bytes.buffer);
  return bytes;
}

const last = {};

/** Whether what the call before returned has left this thread. */
export function moved() {
  return last.bytes?.length === 0;
}

export function move(length, { transfer }) {
  last.bytes = new Uint8Array(length);
  transfer(last.bytes.buffer);
  return last.bytes;
}

/** Burns CPU for so long. */
export function burn(milliseconds) {
  const until = performance.now() + milliseconds;
  let sum = 0;
  while (performance.now() < until) sum++;
  return sum > 0;
}
