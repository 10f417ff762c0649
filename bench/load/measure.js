// @ts-check
/** Takes the time, and the CPU of the generator (this process) and of the server, over one measured interval. */

import { cpuSeconds, cpuSecondsByThread, machineSeconds } from '../usage.js';

/**
 * @typedef {object} Interval
 * @property {number} seconds
 * @property {number} generatorCpu share of one core
 * @property {number} serverCpu share of one core, all of the server's threads added up: above 1 when several run
 * @property {number} busiestThread share of one core that the busiest of the server's threads had
 * @property {number} othersCpu share of one core that other processes, or the host of a virtual machine, took
 */

/**
 * The interval ends when `work` has: work that stops sending must wait for its last reply.
 *
 * @param {number} serverPid
 * @param {() => Promise<unknown>} work
 * @returns {Promise<Interval>}
 */
export async function measure(serverPid, work) {
  const server = cpuSeconds(serverPid);
  const threads = cpuSecondsByThread(serverPid);
  const machine = machineSeconds();
  const own = process.cpuUsage();
  const start = performance.now();
  await work();
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(own);
  const byThread = [...cpuSecondsByThread(serverPid)].map(([id, cpu]) => cpu - (threads.get(id) ?? 0));
  const now = machineSeconds();
  const ownCpu = (user + system) / 1e6;
  const serverCpu = cpuSeconds(serverPid) - server;
  const others = now.busy - machine.busy - ownCpu - serverCpu + now.stolen - machine.stolen;
  return {
    seconds,
    generatorCpu: ownCpu / seconds,
    serverCpu: serverCpu / seconds,
    busiestThread: (byThread.length > 0 ? Math.max(...byThread) : Number.NaN) / seconds,
    othersCpu: Math.max(0, others) / seconds,
  };
}
