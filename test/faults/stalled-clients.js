// @ts-check
/**
 * Half of the clients are stopped (SIGSTOP) for a while, and go on (SIGCONT), under a feed that all are subscribed to:
 * the gateway's memory stays bounded, and the other half notices nothing.
 *
 * Usage: node stalled-clients.js [--connections 200] [--seconds 20]
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startGateway } from './gateway.js';

const { values } = parseArgs({
  options: { connections: { type: 'string', default: '200' }, seconds: { type: 'string', default: '20' } },
});
const stalledCount = Math.floor(Number(values.connections) / 2);
const stalledMs = Number(values.seconds) * 1000;
const MAX_BACKPRESSURE = 256 * 1024;
/** Beside what waits for the stalled: what a busy process gains and loses anyway. */
const SLACK_MIB = 64;

const { gateway } = await startGateway('feed.mjs', { lanes: 1, maxBackpressure: MAX_BACKPRESSURE });

/** @param {number} count */
async function startGroup(count) {
  const child = fork(
    fileURLToPath(new URL('client-group.js', import.meta.url)),
    [JSON.stringify({ port: gateway.port, count })],
    { stdio: 'inherit' },
  );
  await once(child, 'message');
  const report = async () => {
    child.send({ report: true });
    const [answer] = await once(child, 'message');
    return answer;
  };
  return { child, report };
}

const others = await startGroup(Number(values.connections) - stalledCount);
const stalled = await startGroup(stalledCount);
const MiB = () => process.memoryUsage().rss / 1024 / 1024;

await delay(2000);
await others.report();
await delay(stalledMs / 2);
const before = await others.report();
const memoryBefore = MiB();
stalled.child.kill('SIGSTOP');
let memoryMost = 0;
for (let waited = 0; waited < stalledMs; waited += 250) {
  await delay(250);
  memoryMost = Math.max(memoryMost, MiB());
}
const during = await others.report();
stalled.child.kill('SIGCONT');
await delay(1000);
const after = await stalled.report();

const boundMiB = (stalledCount * MAX_BACKPRESSURE * 1.25) / 1024 / 1024 + SLACK_MIB;
const round = (/** @type {number} */ value) => Math.round(value * 100) / 100;
console.log(
  JSON.stringify({
    others: stalledCount,
    p99BeforeMs: round(before.p99),
    p99DuringMs: round(during.p99),
    messagesDuring: during.messages,
    othersClosed: during.closed,
    stalledClosed: after.closed,
    memoryGrownMiB: Math.round(memoryMost - memoryBefore),
    memoryBoundMiB: Math.round(boundMiB),
    closedByCause: gateway.stats.connections.closedByCause,
  }),
);
for (const { child } of [others, stalled]) child.disconnect();
await gateway.close();
const unchanged = during.p99 <= 2 * before.p99 + 10;
if (!unchanged || during.closed > 0 || memoryMost - memoryBefore > boundMiB || during.messages === 0)
  process.exitCode = 1;
