/** A script of its own: starts a gateway by the API, says its port, closes it on a message or SIGUSR2, and says so. */
import { createGateway } from 'threadgate';

const gateway = await createGateway({
  app: process.argv[2],
  port: 0,
  host: '127.0.0.1',
  lanes: 2,
  logLevel: 'silent',
  drainTimeoutMs: Number(process.argv[3] ?? 1000),
});
process.once('SIGUSR2', async () => {
  await gateway.close();
  console.log('closed');
});
console.log(`listening on http://localhost:${gateway.port}`);
