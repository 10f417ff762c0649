// @ts-check
/** A gateway in this process, the threads of its lanes, and what it logs. */
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { createGateway } from 'threadgate';

/**
 * @param {string} app file in test/apps, or an absolute path
 * @param {Partial<import('threadgate').GatewayOptions>} options
 */
export async function startGateway(app, options) {
  /** Threads that live. @type {Set<import('node:worker_threads').Worker>} */
  const workers = new Set();
  process.on('worker', worker => {
    workers.add(worker);
    worker.on('exit', () => workers.delete(worker));
  });
  /** @type {{ msg: string, [field: string]: unknown }[]} */
  const log = [];
  const logger = pino({ level: 'info' }, { write: line => void log.push(JSON.parse(line)) });
  const gateway = await createGateway({
    app: app.startsWith('/') ? app : fileURLToPath(new URL(`../apps/${app}`, import.meta.url)),
    port: 0,
    host: '127.0.0.1',
    logger,
    ...options,
  });
  return { gateway, workers, log };
}
