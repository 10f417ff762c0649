// @ts-check
/** The JSON route's handler, the same for every contender in JavaScript: parse an order of about 1 KB, answer its sum. */

/** @param {string} body @returns {string} JSON */
export function orderSummary(body) {
  const { id, items } = JSON.parse(body);
  let count = 0;
  let total = 0;
  for (const item of items) {
    count += item.count;
    total += item.count * item.price;
  }
  return JSON.stringify({ id, count, total });
}

/** A body for {@link orderSummary} of about 1 KB. */
export function orderBody() {
  const items = Array.from({ length: 15 }, (_, i) => ({
    article: `article-${String(i).padStart(4, '0')}`,
    count: 1 + (i % 3),
    price: 995 + i,
    colour: 'blue',
  }));
  return JSON.stringify({ id: 'order-1', customer: 'customer-0001', items });
}
