// @ts-check
/**
 * A gateway of two lanes in a process of its own, as named primitives are one per process. SIGUSR2 ends the thread of the
 * lane that was the last to log the text, as a crash would.
 *
 * Usage: node host.js <app> <text>
 */
import { pino } from 'pino';
import { createGateway } from 'threadgate';

const [app = '', text = ''] = process.argv.slice(2);

/** The threads of lane 0 and 1. A new one takes the place that is free. @type {(import('node:worker_threads').Worker | undefined)[]} */
const lanes = [undefined, undefined];
process.on('worker', worker => {
  const lane = lanes.indexOf(undefined);
  lanes[lane] = worker;
  worker.once('exit', () => {
    lanes[lane] = undefined;
  });
});

let doomed = -1;
const logger = pino(
  { level: 'info' },
  {
    write(line) {
      process.stdout.write(line);
      if (line.includes(text)) doomed = JSON.parse(line).lane;
    },
  },
);
const gateway = await createGateway({ app, port: 0, host: '127.0.0.1', lanes: 2, logger });
process.on('SIGUSR2', () => void lanes[doomed]?.terminate());
process.on('SIGHUP', () => void gateway.reload());
process.once('SIGINT', async () => {
  await gateway.close();
  process.exit();
});
