// @ts-check
/** One run of autocannon, as this bench needs it. */

// @ts-expect-error: autocannon has no types
import autocannon from 'autocannon';
import { orderBody } from '../work/order.js';
import { plainPayload } from './payload.js';

/** @type {Record<string, string>} */
const bodies = { order: orderBody(), plain: plainPayload(64) };

/**
 * @param {{ host: string, port: number, path: string, connections: number, body?: string }} options `body`: which of
 *   the bodies to POST; none: GET
 * @param {number} seconds
 * @returns {Promise<any>} autocannon's result; an answer other than 2xx is an error
 */
export async function cannonade({ host, port, path, connections, body }, seconds) {
  const result = await autocannon({
    url: `http://${host}:${port}${path}`,
    connections,
    pipelining: 1,
    duration: seconds,
    ...(body && { method: 'POST', body: bodies[body], headers: { 'content-type': 'application/json' } }),
  });
  const failed = result.errors + result.timeouts + result.non2xx;
  if (failed > 0) throw new Error(`${failed} of ${result.requests.total} requests failed`);
  return result;
}
