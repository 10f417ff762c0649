/** `start`: what an app does on each lane before that takes anything. */
import { pino } from 'pino';
import { createGateway } from 'threadgate';
import { expect, test } from 'vitest';
import { connect } from '../support/client.js';
import { appFile, startGateway } from '../support/gateway.js';

async function ask(port: number): Promise<unknown> {
  return (await fetch(`http://127.0.0.1:${port}/`)).json();
}

test('is called once on every lane, and waited for', async () => {
  const gateway = await startGateway('start.mjs', { lanes: 2, data: { ms: 50 } });
  const seen = new Set<string>();
  while (seen.size < 2) seen.add(JSON.stringify(await ask(gateway.port)));
  expect([...seen].sort()).toEqual(['{"lane":0,"times":1}', '{"lane":1,"times":1}']);
});

test('is called again on lanes with new code, while the old ones serve', async () => {
  const gateway = await startGateway('start.mjs', { lanes: 1, data: { ms: 50 } });
  const reload = gateway.reload();
  expect(await ask(gateway.port)).toEqual({ lane: 0, times: 1 });
  await reload;
  expect(await ask(gateway.port)).toEqual({ lane: 0, times: 1 });
});

test('may go on with work of its own, which ends with the gateway', async () => {
  const lines: { msg: string }[] = [];
  const logger = pino({ level: 'info' }, { write: line => void lines.push(JSON.parse(line)) });
  const gateway = await startGateway('start.mjs', { lanes: 1, data: { publishes: true }, logger });
  const client = await connect(gateway.port);
  expect(await client.take(3)).toEqual(['0', '0', '0']);
  await gateway.close();
  expect(lines.filter(({ msg }) => msg === 'ticks ended').length).toBe(1);
});

test('keeps the gateway from starting when it fails', async () => {
  const options = { app: appFile('start.mjs'), port: 0, logLevel: 'silent' as const };
  await expect(createGateway({ ...options, data: { fails: true } })).rejects.toMatchObject({
    code: 'ERR_THREADGATE_APP',
    message: expect.stringMatching(
      /^the app's 'start' failed: TypeError: no database \(.*start\.mjs:\d+:\d+\)$/,
    ),
  });
});

test('does not keep a gateway from closing', async () => {
  const gateway = await startGateway('start.mjs', { lanes: 1 });
  const reload = gateway.reload().catch((error: Error) => error);
  await gateway.close();
  await reload;
});
