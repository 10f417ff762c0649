// @ts-check
/** From figures to places on an axis, and the round numbers to mark there. */

/**
 * @typedef {object} Scale
 * @property {(value: number) => number} place
 * @property {number[]} ticks
 */

/** From 0 to at least `most`. @param {number} most @param {number} length of the axis @param {number} [count] of ticks, about @returns {Scale} */
export function linear(most, length, count = 4) {
  const rough = (most > 0 ? most : 1) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 2.5, 5, 10].find(factor => factor * power >= rough) ?? 10);
  const top = Math.ceil((most > 0 ? most : 1) / step) * step;
  const ticks = Array.from({ length: Math.round(top / step) + 1 }, (_, i) => i * step);
  return { place: value => (value / top) * length, ticks };
}

/** Powers of ten around `least` and `most`. @param {number} least above 0 @param {number} most @param {number} length @returns {Scale} */
export function logarithmic(least, most, length) {
  const low = Math.floor(Math.log10(least));
  const high = Math.max(low + 1, Math.ceil(Math.log10(most)));
  const ticks = Array.from({ length: high - low + 1 }, (_, i) => 10 ** (low + i));
  return { place: value => ((Math.log10(value) - low) / (high - low)) * length, ticks };
}

/**
 * Moves labels apart that would stand closer than `gap`, as little as possible, within 0 and `length`.
 *
 * @param {number[]} wanted @param {number} gap @param {number} length
 * @returns {number[]} in the order of `wanted`
 */
export function apart(wanted, gap, length) {
  const order = wanted.map((place, index) => ({ place, index })).sort((a, b) => a.place - b.place);
  for (let i = 1; i < order.length; i++) {
    const before = /** @type {{ place: number }} */ (order[i - 1]);
    const label = /** @type {{ place: number }} */ (order[i]);
    label.place = Math.max(label.place, before.place + gap);
  }
  for (let i = order.length - 1, most = length; i >= 0; i--) {
    const label = /** @type {{ place: number }} */ (order[i]);
    label.place = Math.min(label.place, most);
    most = label.place - gap;
  }
  const places = new Array(wanted.length).fill(0);
  for (const { place, index } of order) places[index] = place;
  return places;
}
