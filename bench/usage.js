// @ts-check
/**
 * What another process has used so far, read from Linux' /proc, so that the process itself is not disturbed. All of its
 * threads are counted. Elsewhere than on Linux the answer is NaN, and the report shows a dash.
 */

import { existsSync, readFileSync } from 'node:fs';

/** USER_HZ: 100 on every Linux that Node runs on, whatever the kernel's own tick is. */
const TICKS_PER_SECOND = 100;

/** @param {number} pid @returns {number} seconds of CPU, user and system */
export function cpuSeconds(pid) {
  const fields = read(`/proc/${pid}/stat`)?.split(') ')[1]?.split(' ');
  // utime and stime are fields 14 and 15 of the file, and two stand before the split.
  return fields ? (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND : Number.NaN;
}

/** @param {number} pid @returns {number} bytes of resident memory */
export function residentBytes(pid) {
  const kilobytes = read(`/proc/${pid}/status`)?.match(/^VmRSS:\s+(\d+) kB$/m)?.[1];
  return kilobytes ? Number(kilobytes) * 1024 : Number.NaN;
}

/**
 * Seconds that a virtual machine's cores were ready to run and its host gave them to others. They make every figure of
 * that time too low.
 */
export function stolenSeconds() {
  const steal = read('/proc/stat')?.split(/\s+/, 9)[8];
  return steal ? Number(steal) / TICKS_PER_SECOND : Number.NaN;
}

/** @param {string} path */
function read(path) {
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
}
