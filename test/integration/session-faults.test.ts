/** Sessions when much goes wrong at once, and clients that mean no good. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../support/files.js';
import { startGateway } from '../support/gateway.js';
import { connectSession, newSecret } from '../support/session.js';
import { until } from '../support/until.js';

const REFUSED = { kind: 'refused', number: 1, reason: 'its messages ended the handler' };

test('a hook that outlives many connections is through once, and its answers come', async () => {
  const gateway = await startGateway('session.mjs');
  const secret = newSecret();
  let client = await connectSession(gateway.port, { secret });
  client.message(1, 'slow 300 one');
  await until('it is with a lane', () => gateway.stats.messages.in > 0);
  for (let i = 0; i < 10; i++) client = await connectSession(gateway.port, { secret });
  expect(await client.texts(2)).toEqual(['began one', 'one']);
  expect(await client.frameOf('go')).toEqual({ kind: 'go', number: 1 });
  expect(gateway.stats.sessions).toMatchObject({ handled: 1, redelivered: 0 });
});

describe('a message that was refused', () => {
  test('is told again after a reconnect, before it counts as acknowledged', async () => {
    const gateway = await startGateway('session.mjs', { lanes: 1 });
    const secret = newSecret();
    let client = await connectSession(gateway.port, { secret });
    for (let attempt = 0; attempt < 3; attempt++) {
      await client.frameOf('go');
      client.message(1, 'die');
    }
    await client.closed;
    // As if the frame had been lost with the connection.
    client = await connectSession(gateway.port, { secret });
    expect(await client.frame()).toEqual(REFUSED);
    expect(await client.frame()).toEqual({ kind: 'go', number: 1 });
    await client.disconnect();
    // It says by its acknowledgement that it knows.
    client = await connectSession(gateway.port, { secret, acknowledged: 1 });
    expect(await client.frame()).toEqual({ kind: 'go', number: 1 });
  });

  test('is refused also where its connection is gone each time that it ends the lane', async () => {
    const gateway = await startGateway('session.mjs', { lanes: 1 });
    const secret = newSecret();
    for (let attempt = 0; attempt < 3; attempt++) {
      const client = await connectSession(gateway.port, { secret });
      await client.frameOf('go');
      client.message(1, 'die later 100');
      await until('it is with a lane', () => gateway.stats.messages.in > attempt);
      await client.disconnect();
      await until('the lane is back', () => gateway.stats.sessions.away === 1);
    }
    const client = await connectSession(gateway.port, { secret });
    expect(await client.frame()).toEqual(REFUSED);
    expect(gateway.stats.sessions.refused).toBe(1);
  });
});

describe('where sessions are kept in a file', () => {
  test('a number that no client can mean does no harm', async () => {
    const gateway = await startGateway('session.mjs', { sessionDir: temporaryDirectory() });
    const client = await connectSession(gateway.port);
    client.raw(2, Buffer.alloc(8, 0xff));
    client.message(1, 'echo 1');
    expect(await client.texts(1)).toEqual(['1']);
    client.acknowledge(2 ** 60);
    client.message(2, 'echo 2');
    expect(await client.texts(1)).toEqual(['2']);
  });

  test('that a client was outrun is known in the next life', async () => {
    const options = { sessionDir: temporaryDirectory(), maxSessionBytes: 10_000 };
    const secret = newSecret();
    const before = await startGateway('session.mjs', options);
    const first = await connectSession(before.port, { secret });
    first.message(1, 'echo 1');
    await first.acknowledged(1);
    first.message(2, 'many 20 1000');
    await first.closed;
    await before.close();
    const after = await startGateway('session.mjs', options);
    const second = await connectSession(after.port, { secret, received: 1, acknowledged: 1 });
    expect(second.welcome.resumed).toBe(false);
    expect(await second.frame()).toEqual({ kind: 'go', number: 2 });
    second.message(3, 'echo 3');
    expect(await second.frameOf('message')).toMatchObject({ number: 2 });
  });

  test('an acknowledgement that tells nothing new is not written', async () => {
    const directory = temporaryDirectory();
    const gateway = await startGateway('session.mjs', { sessionDir: directory });
    const client = await connectSession(gateway.port);
    client.message(1, 'echo 1');
    await client.texts(1);
    for (let i = 0; i < 1_000; i++) client.acknowledge(1);
    client.message(2, 'echo 2');
    await client.texts(1);
    await client.acknowledged(2);
    expect(statSync(join(directory, 'sessions.log')).size).toBeLessThan(1_000);
  });
});

test('a hook that outruns its client is through all the same, and not asked for again', async () => {
  const gateway = await startGateway('session.mjs', { maxSessionBytes: 10_000 });
  const secret = newSecret();
  let client = await connectSession(gateway.port, { secret });
  client.message(1, 'many 20 1000');
  await client.closed;
  client = await connectSession(gateway.port, { secret });
  expect(client.welcome.resumed).toBe(false);
  expect(await client.frameOf('go')).toEqual({ kind: 'go', number: 1 });
  // Of what the hook had sent nothing came, and the numbers begin again where the client stands.
  client.message(2, 'echo 2');
  expect(await client.frame()).toEqual({ kind: 'message', number: 1, data: '2' });
  expect(gateway.stats.sessions).toMatchObject({
    handled: 2,
    endedByCause: { overflow: 1 },
    waitingBytes: 19,
  });
});

describe('a hook that is cut off though its client has moved on', () => {
  test('by hookTimeoutMs: its message is through, and those behind it are asked for again', async () => {
    const gateway = await startGateway('session.mjs', { hookTimeoutMs: 80 });
    const secret = newSecret();
    const first = await connectSession(gateway.port, { secret });
    first.message(1, 'began');
    first.message(2, 'echo 2');
    await until('they are with a lane', () => gateway.stats.messages.in === 2);
    const second = await connectSession(gateway.port, { secret });
    expect(await second.frame()).toEqual({ kind: 'go', number: 1 });
    second.message(2, 'echo 2');
    expect(await second.texts(1)).toEqual(['2']);
    expect(gateway.stats.sessions.handled).toBe(2);
  });

  test('by a reload that does not wait for it: its message is asked for again, and what it sent is not doubled', async () => {
    const gateway = await startGateway('session.mjs', { drainTimeoutMs: 50, lanes: 1 });
    const secret = newSecret();
    const first = await connectSession(gateway.port, { secret });
    await first.frameOf('go');
    first.message(1, 'slow 60000 one');
    first.message(2, 'echo 2');
    await until('they are with a lane', () => gateway.stats.messages.in === 2);
    const second = await connectSession(gateway.port, { secret });
    await gateway.reload();
    expect(await second.frame()).toEqual({ kind: 'go', number: 0 });
    second.message(1, 'slow 1 one');
    second.message(2, 'echo 2');
    expect(await second.texts(3)).toEqual(['began one', 'one again', '2']);
  });
});

test('a gateway that ends in good order sends what the last hooks sent, and says that they are through', async () => {
  const gateway = await startGateway('session.mjs');
  const client = await connectSession(gateway.port);
  await client.frameOf('go');
  client.message(1, 'slow 100 x');
  await until('it is with a lane', () => gateway.stats.messages.in === 1);
  await gateway.close();
  expect((await client.closed).code).toBe(1001);
  expect(await client.texts(2)).toEqual(['began x', 'x']);
  expect(await client.frame()).toEqual({ kind: 'acknowledged', number: 1 });
});

test('a window of the smallest messages stays within what a connection may have waiting', async () => {
  const gateway = await startGateway('session.mjs', { maxInboundPerConnection: 20_000 });
  const client = await connectSession(gateway.port);
  client.message(1, 'slow 50 x');
  const count = Math.floor((client.welcome.window - 27) / 18);
  for (let i = 0; i < count; i++) client.message(2 + i, '');
  await client.acknowledged(1 + count);
});

test('what a hook sends is bounded before it is through, also where it is small', async () => {
  const gateway = await startGateway('session.mjs', { maxSessionBytes: 20_000 });
  const client = await connectSession(gateway.port);
  client.message(1, 'many 2000 1');
  expect((await client.closed).code).toBe(1013);
});

test('a client that knows of more than a gateway that has forgotten begins anew with it', async () => {
  const gateway = await startGateway('session.mjs');
  const secret = newSecret();
  const first = await connectSession(gateway.port, { secret });
  first.message(1, 'echo 1');
  await first.acknowledged(1);
  await first.disconnect();
  const second = await connectSession(gateway.port, { secret, received: 5, acknowledged: 7 });
  expect(second.welcome.resumed).toBe(false);
  expect(second.welcome.mark).not.toBe(first.welcome.mark);
  expect(await second.frame()).toEqual({ kind: 'go', number: 7 });
  second.message(8, 'echo 8');
  expect(await second.frameOf('message')).toEqual({ kind: 'message', number: 6, data: '8' });
});
