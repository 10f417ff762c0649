// @ts-check
/** The threads of the sync benches. Each is told what to do, says 'ready', and begins when GO is raised. */
import { parentPort, workerData } from 'node:worker_threads';
import * as sync from '../../dist/src/sync/index.js';

/** Cells that all threads of one bench share. */
export const Cell = { go: 0, stop: 16, value: 32 };

const { role, memory, name, count, port } = workerData;
const cells = new Int32Array(memory);

/** @type {Record<string, () => number | Promise<number>>} what each role does; returns its operations */
const roles = {
  bare() {
    for (let i = 0; i < count; i++) {
      Atomics.compareExchange(cells, Cell.value, 0, 1);
      Atomics.compareExchange(cells, Cell.value, 1, 0);
    }
    return count;
  },
  /** Work that shares nothing with anybody: how much faster two threads are than one on this machine, now. */
  alone() {
    const own = new Int32Array(1024);
    for (let i = 0; i < count; i++) own[i & 1023] = Math.imul(Number(own[i & 1023]), 31) + i;
    return count;
  },
  lock() {
    const mutex = sync.mutex(name);
    for (let i = 0; i < count; i++) mutex.lock().unlock();
    return count;
  },
  countUnderLock() {
    const mutex = sync.mutex(name);
    for (let i = 0; i < count; i++) {
      const hold = mutex.lock();
      cells[Cell.value] = Number(cells[Cell.value]) + 1;
      hold.unlock();
    }
    return count;
  },
  /** Owns the counter; the others ask for it. */
  async own() {
    let total = 0;
    for (const one of port) one.on('message', () => one.postMessage(++total));
    while (Atomics.load(cells, Cell.stop) === 0) await new Promise(resolve => setTimeout(resolve, 5));
    for (const one of port) one.close();
    return total;
  },
  async ask() {
    for (let i = 0; i < count; i++) {
      const answer = new Promise(resolve => port.once('message', resolve));
      port.postMessage(1);
      await answer;
    }
    port.close();
    return count;
  },
  send() {
    const channel = sync.channel(name);
    const value = new Uint8Array(64).fill(7);
    for (let i = 0; i < count; i++) channel.send(value);
    return count;
  },
  receive() {
    const channel = sync.channel(name);
    for (let i = 0; i < count; i++) channel.receive();
    return count;
  },
  async post() {
    const value = new Uint8Array(64).fill(7);
    for (let i = 0; i < count; ) {
      // The port has no backpressure: a turn now and then keeps its queue from growing without end.
      for (let n = 0; n < 256 && i < count; n++, i++) port.postMessage(value);
      await new Promise(setImmediate);
    }
    await new Promise(resolve => port.once('message', resolve));
    port.close();
    return count;
  },
  async listen() {
    await new Promise(resolve => {
      let received = 0;
      port.on('message', () => {
        if (++received === count) resolve(undefined);
      });
    });
    port.postMessage('all');
    port.close();
    return count;
  },
  read() {
    const map = sync.sharedMap(name, { bytes: 4 * 2 ** 20, entries: 1000 });
    let random = workerData.seed;
    for (let i = 0; i < count; i++) {
      random = (Math.imul(random, 1664525) + 1013904223) | 0;
      if (map.get(`key ${(random >>> 8) % 1000}`)?.length !== 1024) throw new Error('not there');
    }
    return count;
  },
  /** Writes a thousand times a second until it is told to stop. */
  write() {
    const map = sync.sharedMap(name, { bytes: 4 * 2 ** 20, entries: 1000 });
    const value = new Uint8Array(1024);
    let written = 0;
    const began = performance.now();
    while (Atomics.wait(cells, Cell.stop, 0, 1) === 'timed-out') {
      for (const due = performance.now() - began; written < due; written++) {
        map.set(`key ${written % 1000}`, value);
      }
    }
    return written;
  },
};

const act = roles[role];
if (act === undefined) throw new Error(`no role ${role}`);
parentPort?.postMessage('ready');
Atomics.wait(cells, Cell.go, 0);
/** Nanoseconds of a clock that all threads share. */
const now = () => Number(process.hrtime.bigint());
const began = now();
const operations = await act();
parentPort?.postMessage({ operations, began, ended: now() });
