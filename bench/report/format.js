// @ts-check
/** Numbers for people. */

/** @param {number} value @param {number} [digits] */
export function number(value, digits = 0) {
  if (!Number.isFinite(value)) return '–';
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** Three significant digits, thousands and millions as `k` and `M`. @param {number} value */
export function compact(value) {
  if (!Number.isFinite(value)) return '–';
  if (value >= 999_500) return `${significant(value / 1e6)}M`;
  if (value >= 9995) return `${significant(value / 1000)}k`;
  if (value >= 999.5) return number(value);
  return significant(value);
}

/** @param {number} share */
export function percent(share) {
  return Number.isFinite(share) ? `${Math.round(share * 100)} %` : '–';
}

/**
 * A contender's title as it stands beside a workload: without its own number of threads where the workload sets that.
 *
 * @param {string} title @param {{ threads?: number }} workload
 */
export function titleFor(title, { threads }) {
  return threads === undefined ? title : title.replace(/, \d+ \w+$/, '');
}

/** Three of them, without trailing zeros after the point. @param {number} value */
function significant(value) {
  return Number(value.toPrecision(3)).toString();
}
