// @ts-check
/** A measurement in one line, for the terminal. */

import { compact, number, percent } from './format.js';
import { isDisturbed, isGeneratorLimited, isMachineLimited } from './limits.js';

/**
 * @param {import('../statistics.js').Sample} sample
 * @param {import('../workloads.js').Workload} workload
 * @param {number} cores
 */
export function describeSample(sample, { unit }, cores) {
  if (sample.failure) return `failed: ${sample.failure}`;
  const { value, p50, p99, p999, serverCpu, generatorCpu, othersCpu, extras = {} } = sample;
  const parts = [`${number(value).padStart(10)} ${unit}`];
  if (p99 !== undefined) parts.push(`p50 ${ms(p50)}, p99 ${ms(p99)}, p99.9 ${ms(p999)} ms`);
  if (serverCpu !== undefined) parts.push(`server ${percent(serverCpu)}`);
  if (generatorCpu !== undefined) parts.push(`generator ${percent(generatorCpu)}`);
  for (const [name, extra] of Object.entries(extras)) parts.push(`${name} ${compact(extra)}`);
  if (isDisturbed(sample)) parts.push(`others ${percent(Number(othersCpu))}`);
  if (isGeneratorLimited(sample)) parts.push('limited by the generator');
  else if (isMachineLimited(sample, cores)) parts.push('all cores busy');
  return parts.join('  ');
}

/** @param {number} [value] */
function ms(value = Number.NaN) {
  return number(value, 2);
}
