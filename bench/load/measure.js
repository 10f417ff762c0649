// @ts-check
/** Takes the time, and the CPU of the generator (this process) and of the server, over one measured interval. */

import { cpuSeconds, cpuSecondsByThread, stolenSeconds } from '../usage.js';

/**
 * @typedef {object} Interval
 * @property {number} seconds
 * @property {number} generatorCpu share of one core
 * @property {number} serverCpu share of one core, all of the server's threads added up: above 1 when several run
 * @property {number} busiestThread share of one core that the busiest of the server's threads had
 * @property {number} stolenCpu share of one core that the machine's host took away
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
  const stolen = stolenSeconds();
  const own = process.cpuUsage();
  const start = performance.now();
  await work();
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(own);
  const byThread = [...cpuSecondsByThread(serverPid)].map(([id, cpu]) => cpu - (threads.get(id) ?? 0));
  return {
    seconds,
    generatorCpu: (user + system) / 1e6 / seconds,
    serverCpu: (cpuSeconds(serverPid) - server) / seconds,
    busiestThread: (byThread.length > 0 ? Math.max(...byThread) : Number.NaN) / seconds,
    stolenCpu: (stolenSeconds() - stolen) / seconds,
  };
}
