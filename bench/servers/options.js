// @ts-check
/** What every contender's server is told on its command line, and how it answers once it listens. */

import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    /** echo, fanout, cpu (burn, then echo) or http */
    workload: { type: 'string', default: 'echo' },
    /** iterations of burn() per message, or per request to /cpu */
    burn: { type: 'string', default: '0' },
    lanes: { type: 'string', default: '1' },
    port: { type: 'string', default: '0' },
  },
});

export const options = {
  workload: values.workload,
  burn: Number(values.burn),
  lanes: Number(values.lanes),
  port: Number(values.port),
  host: '127.0.0.1',
};

/** Fair for every contender: the gateway's own defaults, and room for the largest workload. */
export const limits = { maxPayload: 16 * 1024 * 1024, maxBackpressure: 1024 * 1024 };

/** Fanout: who connects with this query publishes; everyone else subscribes to `topic`. */
export const publisherQuery = 'publisher';
export const topic = 'bench';

/** The runner waits for this line. @param {number} port */
export function listening(port) {
  console.log(`listening ${port}`);
}

// A server must not outlive a runner that was killed.
process.on('disconnect', () => process.exit());
