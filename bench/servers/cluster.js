// @ts-check
/**
 * Node's cluster: several processes of `ws` that share a port. What one of them publishes goes through the primary to
 * the others, as cluster adapters do it.
 */

import cluster from 'node:cluster';
import { endWithRunner, listening, options } from './options.js';
import { createWsServer, deliver } from './ws.js';

/** @typedef {import('./ws.js').Publication} Publication */

if (cluster.isPrimary) primary();
else worker();

function primary() {
  // Buffers stay buffers on their way between processes.
  cluster.setupPrimary({ serialization: 'advanced' });
  let ready = 0;
  for (let i = 0; i < options.threads; i++) cluster.fork();
  cluster.on('message', (from, /** @type {Publication} */ publication) => {
    for (const other of Object.values(cluster.workers ?? {})) {
      if (other !== from) other?.send(publication);
    }
  });
  cluster.on('listening', (_worker, { port }) => {
    if (++ready === options.threads) listening(port);
  });
  cluster.on('exit', (_worker, code, signal) => {
    throw new Error(`a process of the cluster ended with ${signal ?? code}`);
  });
  endWithRunner();
  process.on('SIGTERM', () => process.exit());
}

function worker() {
  process.on('message', deliver);
  const server = createWsServer(publication => {
    deliver(publication);
    process.send?.(publication);
  });
  server.listen(0, options.host);
}
