// @ts-check
/**
 * What another process and those that it has started have used so far, read from Linux' /proc, so that they are not
 * disturbed. Elsewhere than on Linux the answer is NaN, and the report shows a dash.
 */

import { existsSync, readdirSync, readFileSync } from 'node:fs';

/** USER_HZ: 100 on every Linux that Node runs on, whatever the kernel's own tick is. */
const TICKS_PER_SECOND = 100;

/** @param {number} pid @returns {number} seconds of CPU, user and system, of all threads */
export function cpuSeconds(pid) {
  return sum(tree(pid).map(each => cpuOf(`/proc/${each}`)));
}

/** @param {number} pid @returns {Map<string, number>} seconds of CPU of each thread that lives, by its place in /proc */
export function cpuSecondsByThread(pid) {
  const threads = tree(pid).flatMap(each => list(`/proc/${each}/task`).map(id => `/proc/${each}/task/${id}`));
  return new Map(threads.map(thread => [thread, cpuOf(thread)]));
}

/** @param {number} pid @returns {number} bytes of resident memory; what processes share counts in each of them */
export function residentBytes(pid) {
  return sum(
    tree(pid).map(each => {
      const kilobytes = read(`/proc/${each}/status`)?.match(/^VmRSS:\s+(\d+) kB$/m)?.[1];
      return kilobytes ? Number(kilobytes) * 1024 : Number.NaN;
    }),
  );
}

/**
 * What all cores together have done so far. `busy`: seconds for processes, without interrupts, which belong to nobody.
 * `stolen`: seconds in which a virtual machine's cores were ready to run and its host gave them to others.
 */
export function machineSeconds() {
  const [user, nice, system, , , , , steal] = (read('/proc/stat')?.split('\n', 1)[0] ?? '')
    .split(/\s+/)
    .slice(1)
    .map(ticks => Number(ticks) / TICKS_PER_SECOND);
  return { busy: sum([user, nice, system].map(value => value ?? Number.NaN)), stolen: steal ?? Number.NaN };
}

/** The process and its descendants. @param {number} pid @returns {number[]} */
function tree(pid) {
  const children = list(`/proc/${pid}/task`).flatMap(
    thread => read(`/proc/${pid}/task/${thread}/children`)?.split(' ').filter(Boolean).map(Number) ?? [],
  );
  return [pid, ...children.flatMap(tree)];
}

/** @param {string} folder of a process or thread */
function cpuOf(folder) {
  const fields = read(`${folder}/stat`)?.split(') ')[1]?.split(' ');
  // utime and stime are fields 14 and 15 of the file, and two stand before the split.
  return fields ? (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND : Number.NaN;
}

/** @param {number[]} numbers */
function sum(numbers) {
  return numbers.reduce((total, number) => total + number, 0);
}

/** @param {string} path */
function read(path) {
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
}

/** @param {string} folder */
function list(folder) {
  return existsSync(folder) ? readdirSync(folder) : [];
}
