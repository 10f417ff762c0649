// @ts-check
/** `?topic=<name>` subscribes; `?topic=<name>&role=publisher` only publishes. One path for all: it is the namespace. */

/** @param {import('../../dist/src/index.js').Peer} peer */
export function subscribeByQuery(peer) {
  const query = new URL(peer.request.url).searchParams;
  const topic = query.get('topic');
  if (topic && query.get('role') !== 'publisher') peer.subscribe(topic);
}
