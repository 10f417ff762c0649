/** Hooks that fail, and the errors that a caller can cause. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createGateway, type GatewayOptions } from 'threadgate';
import { describe, expect, test } from 'vitest';
import { startCommand, startNode } from '../support/child.js';
import { connect } from '../support/client.js';
import { temporaryDirectory } from '../support/files.js';
import { appFile, sharedGateway, startGateway } from '../support/gateway.js';
import { occupiedPort } from '../support/ports.js';

describe('a hook that fails', () => {
  const gateway = sharedGateway('errors.mjs', { lanes: 2 });

  async function listener() {
    const client = await connect(gateway().port, { path: '/listener' });
    client.send('listen');
    expect(await client.next()).toBe('listening');
    return client;
  }

  test.each([
    [
      'by throwing',
      '/message/throw',
      { message: 'the message hook failed: message throws', cause: { name: 'TypeError', code: 'E_OWN' } },
    ],
    [
      'by rejecting',
      '/message/reject',
      { message: 'the message hook failed: message rejects', cause: { name: 'Error' } },
    ],
    [
      'by throwing a string',
      '/message/string',
      { message: 'the message hook failed: a string', cause: 'a string' },
    ],
    [
      'by throwing undefined',
      '/message/undefined',
      { message: 'the message hook failed: undefined', cause: 'undefined' },
    ],
  ])('%s goes to the error hook, with what was thrown as its cause', async (_how, path, expected) => {
    const watcher = await listener();
    const client = await connect(gateway().port, { path });
    client.send('now');
    expect(await watcher.nextJson()).toEqual({
      name: 'HookFailure',
      code: 'ERR_THREADGATE_HOOK',
      ...expected,
    });
  });

  test.each(['/message/throw', '/message/reject', '/open/throw', '/open/reject', '/message/throw/again'])(
    'leaves the connection open, and its next hooks run (%s)',
    async path => {
      const client = await connect(gateway().port, { path });
      if (path.startsWith('/message')) client.send('now');
      client.send('ping');
      const seen = path.endsWith('again') ? [] : [await client.next()];
      expect([...seen, await client.next()].at(-1)).toBe('pong');
      expect(client.socket.readyState).toBe(1);
    },
  );

  test('on close goes to the error hook as well', async () => {
    const watcher = await listener();
    const client = await connect(gateway().port, { path: '/close/throw' });
    await client.close();
    expect(await watcher.nextJson()).toMatchObject({ message: 'the close hook failed: close throws' });
  });

  test('on ping goes to the error hook, and the pong is sent all the same', async () => {
    const client = await connect(gateway().port, { path: '/ping/throw' });
    client.socket.ping();
    expect(await client.next()).toBe('error hook');
    expect(client.pongs).toHaveLength(1);
  });
});

describe('without an error hook', () => {
  test('failures go to the log, with lane, connection, hook and what was thrown; the connection stays', async () => {
    const child = startCommand([appFile('errors-logged.mjs'), '--lanes', '1']);
    const port = await child.port();
    const client = await connect(port, { path: '/message/throw' });
    client.send('now');
    client.send('ping');
    expect(await client.next()).toBe('pong');
    expect(await child.logged('the message hook failed')).toMatchObject({
      level: 50,
      lane: 0,
      connection: expect.stringMatching(/^[0-9a-f-]{36}$/),
      hook: 'message',
      err: {
        type: 'TypeError',
        code: 'E_OWN',
        message: 'message throws',
        stack: expect.stringContaining('errors.mjs'),
      },
    });
  });

  test('a fetch that throws is logged too', async () => {
    const child = startCommand([appFile('errors-logged.mjs'), '--lanes', '1']);
    const answer = await fetch(`http://127.0.0.1:${await child.port()}/here`);
    expect(answer.status).toBe(500);
    expect(await child.logged('fetch failed')).toMatchObject({
      level: 50,
      lane: 0,
      err: { message: 'fetch throws at /here' },
    });
  });

  test("an error hook's own failure goes to the log", async () => {
    const child = startCommand([appFile('errors.mjs'), '--lanes', '1']);
    const client = await connect(await child.port(), { path: '/message/throw/again' });
    client.send('now');
    expect(await child.logged('the error hook failed')).toMatchObject({
      err: { message: 'the error hook fails too' },
    });
  });
});

describe('createGateway rejects', () => {
  const app = appFile('echo.mjs');

  test.each<[string, Record<string, unknown>, string]>([
    ['an option that there is not', { portt: 1 }, "'portt'"],
    ['a port that cannot be', { port: 70_000 }, "'port' cannot be 70000"],
    ['no lanes', { lanes: 0 }, "'lanes' cannot be 0"],
    ['half a lane', { lanes: 1.5 }, "'lanes' cannot be 1.5"],
    ['a ring that is no power of two', { ringBytes: 5000 }, "'ringBytes' cannot be 5000"],
    ['an idle timeout that uWebSockets would die of', { idleTimeout: 7 }, "'idleTimeout' cannot be 7"],
    ['a log level that there is not', { logLevel: 'loud' }, "'logLevel' cannot be 'loud'"],
    ['a compression that there is not', { compression: true }, "'compression' cannot be true"],
    ['an app that is no path', { app: 7 }, "'app' cannot be 7"],
  ])('%s with ERR_THREADGATE_OPTION', async (_what, options, said) => {
    const attempt = createGateway({ app, port: 0, logLevel: 'silent', ...options } as GatewayOptions);
    await expect(attempt).rejects.toMatchObject({
      name: 'OptionError',
      code: 'ERR_THREADGATE_OPTION',
      message: expect.stringContaining(said),
    });
  });

  test.each([
    ['does not exist', 'no-such-app.mjs', 'does not exist'],
    ['is a directory', '../apps', 'is not a file'],
    ['throws while it is imported', 'broken/throws.mjs', 'Error: at import'],
    ['has no default export', 'broken/no-default.mjs', 'no default export'],
    ['exports neither hooks nor fetch', 'broken/empty.mjs', 'neither'],
    ['has hooks that are no object', 'broken/hooks-no-object.mjs', 'no object of hooks'],
    ['has a hook that is no function', 'broken/hook-no-function.mjs', "the hook 'message'"],
    ['has a fetch that is no function', 'broken/fetch-no-function.mjs', "'fetch'"],
    ['ends its thread while it is imported', 'broken/exits.mjs', 'ended before it was ready'],
  ])('an app that %s with ERR_THREADGATE_APP', async (_what, file, said) => {
    await expect(startGateway(file)).rejects.toMatchObject({
      name: 'AppError',
      code: 'ERR_THREADGATE_APP',
      message: expect.stringContaining(said),
    });
  });

  test('an app that is no valid JavaScript with ERR_THREADGATE_APP', async () => {
    const file = join(temporaryDirectory(), 'app.mjs');
    writeFileSync(file, 'export default {{{');
    await expect(startGateway(file)).rejects.toMatchObject({
      code: 'ERR_THREADGATE_APP',
      message: expect.stringContaining('SyntaxError'),
    });
  });

  test('a port that is in use with ERR_THREADGATE_LISTEN', async () => {
    const port = await occupiedPort();
    await expect(startGateway('echo.mjs', { port })).rejects.toMatchObject({
      name: 'ListenError',
      code: 'ERR_THREADGATE_LISTEN',
      message: expect.stringContaining(String(port)),
    });
  });

  test('a port that another gateway listens on: they do not share it', async () => {
    const { port } = await startGateway('echo.mjs');
    await expect(startGateway('echo.mjs', { port })).rejects.toMatchObject({ code: 'ERR_THREADGATE_LISTEN' });
  });
});

// A thread that was ended while Node's require() loaded an ES module in it took the whole process along (exit code 134).
test('a start that fails does not take the process with it, however often', async () => {
  const child = startNode([appFile('fail-to-start.mjs'), appFile('broken/exits.mjs'), '60']);
  expect(await child.ended).toMatchObject({ code: 0, stdout: 'refused 60\n', stderr: '' });
});

test('an app may be given as a file: URL, as text or as an object', async () => {
  for (const form of ['text', 'object']) {
    const url = new URL('../apps/echo.mjs', import.meta.url);
    const gateway = await createGateway({
      app: form === 'text' ? url.href : url,
      port: 0,
      host: '127.0.0.1',
      lanes: 1,
      logLevel: 'silent',
    });
    const client = await connect(gateway.port);
    client.send('x');
    expect(await client.next()).toBe('x');
    await gateway.close();
  }
});

test('publishing on a closed gateway is refused with ERR_THREADGATE_CLOSED, unusable data with ERR_THREADGATE_DATA', async () => {
  const gateway = await startGateway('echo.mjs');
  await expect(gateway.publish('t', () => {})).rejects.toMatchObject({ code: 'ERR_THREADGATE_DATA' });
  await gateway.close();
  await expect(gateway.publish('t', 'x')).rejects.toMatchObject({
    name: 'ClosedError',
    code: 'ERR_THREADGATE_CLOSED',
  });
});
