// @ts-check
/** What every contender's server is told on its command line, and how it answers once it listens. */

import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    /** echo, mixed, fanout, chat or http */
    work: { type: 'string', default: 'echo' },
    /** iterations of burn(): per message of echo, per heavy message of mixed, per request to /cpu */
    burn: { type: 'string', default: '0' },
    /** lanes, worker threads or processes, where a contender has several */
    threads: { type: 'string', default: '1' },
    /** threadgate only: another build's folder */
    dist: { type: 'string', default: '' },
  },
});

export const options = {
  work: values.work,
  burn: Number(values.burn),
  threads: Number(values.threads),
  dist: values.dist,
  host: '127.0.0.1',
};

/** Fair for every contender: the gateway's own defaults, and room for the largest workload. */
export const limits = { maxPayload: 16 * 1024 * 1024, maxBackpressure: 1024 * 1024 };

/**
 * What a connection is in fan-out and chat: `?topic=<name>` subscribes, `?topic=<name>&role=publisher` only publishes.
 *
 * @param {string | undefined} queryOrUrl
 * @returns {{ topic: string, publisher: boolean }}
 */
export function role(queryOrUrl = '') {
  const query = new URLSearchParams(queryOrUrl.slice(queryOrUrl.indexOf('?') + 1));
  return { topic: query.get('topic') ?? '', publisher: query.get('role') === 'publisher' };
}

/** The runner waits for this line. @param {number} port */
export function listening(port) {
  console.log(`listening ${port}`);
}

/** A server must not outlive a runner that was killed: the runner holds the other end of its standard input. */
export function endWithRunner() {
  process.stdin.on('end', () => process.exit()).resume();
}
