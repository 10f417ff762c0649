/** The command `threadgate`: flags, environment, and how it ends. */
import { mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { CLI, type Ended, startCommand } from '../support/child.js';
import { connect, refused } from '../support/client.js';
import { temporaryDirectory } from '../support/files.js';
import { appFile } from '../support/gateway.js';
import { freePort, occupiedPort } from '../support/ports.js';

const ECHO = appFile('echo.mjs');
const USAGE_ERROR = 2;
const FAILURE = 1;

/** One sentence on stderr, no stack trace, nothing on stdout. */
function expectOneSentence({ stdout, stderr }: Ended, saying: string): void {
  expect(stderr).toContain(saying);
  // Where a flag is misspelt, commander says which one may be meant.
  expect(stderr).toMatch(/^threadgate: .+\n(\(Did you mean --[a-z-]+\?\)\n)?$/);
  expect(stderr).not.toMatch(/\n\s+at /);
  expect(stdout).toBe('');
}

describe('threadgate <app>', () => {
  test('serves the app, and says where in one line', async () => {
    const child = startCommand([ECHO, '--port', '0']);
    const port = await child.port();
    expect(port).toBeGreaterThan(0);
    const client = await connect(port);
    client.send('hello');
    expect(await client.next()).toBe('hello');
    expect(child.log.filter(({ msg }) => msg.includes('listening on'))).toHaveLength(1);
    expect(child.stderr).toBe('');
  });

  test('takes the app relative to the working directory', async () => {
    const child = startCommand(['./echo.mjs'], {}, join(ECHO, '..'));
    expect(await child.port()).toBeGreaterThan(0);
  });

  test('writes its log as lines of JSON where stdout is no terminal', async () => {
    const child = startCommand([ECHO]);
    await child.port();
    for (const line of child.stdout.trim().split('\n')) {
      expect(JSON.parse(line)).toMatchObject({ level: 30, time: expect.any(Number) });
    }
  });
});

describe('a flag', () => {
  test('--port chooses the port', async () => {
    const port = await freePort();
    const child = startCommand([ECHO, '--port', String(port)]);
    expect(await child.port()).toBe(port);
  });

  test('--host chooses the address', async () => {
    const child = startCommand([ECHO, '--host', '127.0.0.1']);
    await child.port();
    expect(child.log.find(({ msg }) => msg.includes('listening'))?.msg).toContain('http://127.0.0.1:');
  });

  test('--lanes chooses how many lanes there are', async () => {
    const adminPort = await freePort();
    const child = startCommand([ECHO, '--lanes', '3', '--admin-port', String(adminPort)]);
    await child.port();
    const stats = (await (await fetch(`http://127.0.0.1:${adminPort}/stats`)).json()) as { lanes: unknown[] };
    expect(stats.lanes).toHaveLength(3);
  });

  test.each(['2000', '2k', '2K', '2kb', '2KiB'])('--max-payload %s bounds messages', async text => {
    const child = startCommand([ECHO, '--max-payload', text]);
    const port = await child.port();
    const client = await connect(port);
    client.send('x'.repeat(2000));
    expect(await client.next()).toHaveLength(2000);
    client.send('x'.repeat(2049));
    await client.closed;
  });

  test('--max-body bounds bodies', async () => {
    const child = startCommand([appFile('http.mjs'), '--max-body', '10']);
    const answer = await fetch(`http://127.0.0.1:${await child.port()}/echo`, {
      method: 'POST',
      body: 'x'.repeat(11),
    });
    expect(answer.status).toBe(413);
  });

  test('--max-connections bounds connections', async () => {
    const child = startCommand([ECHO, '--max-connections', '1']);
    const port = await child.port();
    await connect(port);
    expect((await refused(port)).status).toBe(503);
  });

  test('--compression agrees on permessage-deflate', async () => {
    const child = startCommand([ECHO, '--compression', 'shared']);
    const client = await connect(await child.port(), { perMessageDeflate: true });
    expect(client.socket.extensions).toContain('permessage-deflate');
  });

  test('--log-level silent writes nothing', async () => {
    const port = await freePort();
    const child = startCommand([ECHO, '--log-level', 'silent', '--port', String(port)]);
    for (;;) {
      const answered = await fetch(`http://127.0.0.1:${port}/`).then(
        () => true,
        () => false,
      );
      if (answered) break;
    }
    child.kill('SIGTERM');
    expect(await child.ended).toMatchObject({ code: 0, stdout: '', stderr: '' });
  });
});

describe('the environment', () => {
  test('sets what no flag sets', async () => {
    const port = await freePort();
    const adminPort = await freePort();
    const child = startCommand([ECHO], {
      THREADGATE_PORT: String(port),
      THREADGATE_HOST: '127.0.0.1',
      THREADGATE_LANES: '2',
      THREADGATE_ADMIN_PORT: String(adminPort),
      THREADGATE_MAX_PAYLOAD: '1k',
    });
    expect(await child.port()).toBe(port);
    const stats = (await (await fetch(`http://127.0.0.1:${adminPort}/stats`)).json()) as { lanes: unknown[] };
    expect(stats.lanes).toHaveLength(2);
    const client = await connect(port);
    client.send('x'.repeat(1025));
    await client.closed;
  });

  test('gives way to a flag', async () => {
    const port = await freePort();
    const child = startCommand([ECHO, '--port', String(port)], { THREADGATE_PORT: '1' });
    expect(await child.port()).toBe(port);
  });

  test('sets the log level', async () => {
    const child = startCommand([appFile('broken/empty.mjs')], { THREADGATE_LOG_LEVEL: 'loud' });
    const ended = await child.ended;
    expect(ended.code).toBe(USAGE_ERROR);
    expect(ended.stderr).toContain('loud');
  });
});

describe('--help', () => {
  test('lists every flag and tells of the environment, on stdout, and ends with 0', async () => {
    const { code, stdout, stderr } = await startCommand(['--help']).ended;
    expect(code).toBe(0);
    expect(stderr).toBe('');
    for (const flag of [
      '--port',
      '--host',
      '--lanes',
      '--admin-port',
      '--admin-host',
      '--max-payload',
      '--max-body',
      '--max-backpressure',
      '--max-connections',
      '--idle-timeout',
      '--compression',
      '--log-level',
      '--version',
      'THREADGATE_MAX_PAYLOAD',
    ]) {
      expect(stdout).toContain(flag);
    }
  });
});

describe('--version', () => {
  test.each(['--version', '-v'])('(%s) says the version of the package and ends with 0', async flag => {
    const { version } = JSON.parse(readFileSync(join(CLI, '../../../package.json'), 'utf8')) as {
      version: string;
    };
    expect(await startCommand([flag]).ended).toMatchObject({ code: 0, stdout: `${version}\n`, stderr: '' });
  });
});

describe('wrong usage ends with 2 and one sentence on stderr:', () => {
  test.each<[string, string[], string]>([
    ['a flag that there is not', [ECHO, '--nonsense'], '--nonsense'],
    ['a flag with a slip of the pen', [ECHO, '--prot', '1'], '--prot'],
    ['no app', [], "'app'"],
    ['two apps', [ECHO, ECHO], 'argument'],
    ['a port that is no number', [ECHO, '--port', 'http'], 'http'],
    ['a port that cannot be', [ECHO, '--port', '70000'], '70000'],
    ['a flag without its value', [ECHO, '--lanes'], '--lanes'],
    ['no lanes', [ECHO, '--lanes', '0'], '0'],
    ['a negative number', [ECHO, '--lanes', '-1'], '-1'],
    ['a size that is none', [ECHO, '--max-payload', 'huge'], 'huge'],
    ['a log level that there is not', [ECHO, '--log-level', 'loud'], 'loud'],
    ['a compression that there is not', [ECHO, '--compression', 'zip'], 'zip'],
    ['an idle timeout that cannot be', [ECHO, '--idle-timeout', '7'], '7'],
  ])('%s', async (_what, args, saying) => {
    const ended = await startCommand(args).ended;
    expect(ended.code).toBe(USAGE_ERROR);
    expectOneSentence(ended, saying);
  });

  test('a wrong value in the environment', async () => {
    const ended = await startCommand([ECHO], { THREADGATE_LANES: 'many' }).ended;
    expect(ended.code).toBe(USAGE_ERROR);
    expectOneSentence(ended, 'many');
  });
});

describe('what cannot be served ends with 1 and one sentence on stderr:', () => {
  test.each([
    ['an app that is not there', 'no-such-app.js', 'no-such-app.js'],
    ['a directory', '../apps', 'is not a file'],
    ['an app without a default export', 'broken/no-default.mjs', 'no default export'],
    ['an app without hooks and fetch', 'broken/empty.mjs', 'neither'],
    ['an app with a hook that is no function', 'broken/hook-no-function.mjs', "'message'"],
    ['an app that throws while it is imported', 'broken/throws.mjs', 'at import'],
    ['an app that ends its thread while it is imported', 'broken/exits.mjs', 'ended before it was ready'],
  ])('%s', async (_what, file, saying) => {
    const ended = await startCommand([appFile(file)]).ended;
    expect(ended.code).toBe(FAILURE);
    expectOneSentence(ended, saying);
  });

  test('an app that is no JavaScript', async () => {
    const file = join(temporaryDirectory(), 'app.mjs');
    writeFileSync(file, 'export default {{{');
    const ended = await startCommand([file]).ended;
    expect(ended.code).toBe(FAILURE);
    expectOneSentence(ended, 'SyntaxError');
  });

  test('an app that imports what is not installed', async () => {
    const file = join(temporaryDirectory(), 'app.mjs');
    writeFileSync(file, "import 'not-installed';\nexport default { fetch: () => new Response() };");
    const ended = await startCommand([file]).ended;
    expect(ended.code).toBe(FAILURE);
    expectOneSentence(ended, 'not-installed');
  });

  test('an app that throws an error of several lines', async () => {
    const file = join(temporaryDirectory(), 'app.mjs');
    writeFileSync(file, "throw new Error('first line\\n    at second (line)\\nthird line');");
    const ended = await startCommand([file]).ended;
    expect(ended.code).toBe(FAILURE);
    expectOneSentence(ended, 'first line');
  });

  test('a port that is in use', async () => {
    const port = await occupiedPort();
    const ended = await startCommand([ECHO, '--host', '127.0.0.1', '--port', String(port)]).ended;
    expect(ended.code).toBe(FAILURE);
    expectOneSentence(ended, `127.0.0.1:${port}`);
  });

  test('a port of the admin listener that is in use', async () => {
    const port = await occupiedPort();
    const ended = await startCommand([ECHO, '--log-level', 'silent', '--admin-port', String(port)]).ended;
    expect(ended.code).toBe(FAILURE);
    expectOneSentence(ended, `127.0.0.1:${port}`);
  });

  test('an address that is not ours', async () => {
    const ended = await startCommand([ECHO, '--host', '203.0.113.1']).ended;
    expect(ended.code).toBe(FAILURE);
    expectOneSentence(ended, '203.0.113.1');
  });
});

describe('a TypeScript app', () => {
  const features = process.features as { typescript?: unknown };
  const strips = Boolean(features.typescript);

  function typescriptApp(): string {
    // Not under node_modules, where Node strips nothing; not among the test files, where tsc would build it.
    const file = join(mkdtempSync(join(temporaryDirectory(), 'ts-')), 'app.ts');
    writeFileSync(
      file,
      `const hello: string = 'from TypeScript';\nexport default { fetch: (_request: Request): Response => new Response(hello) };\n`,
    );
    return file;
  }

  test.runIf(strips)('runs where Node strips types', async () => {
    const child = startCommand([typescriptApp()]);
    const answer = await fetch(`http://127.0.0.1:${await child.port()}/`);
    expect(await answer.text()).toBe('from TypeScript');
  });

  test.skipIf(strips)('is refused where Node does not, with a sentence that says what to do', async () => {
    const ended = await startCommand([typescriptApp()]).ended;
    expect(ended.code).toBe(FAILURE);
    expectOneSentence(ended, 'compile');
    expect(ended.stderr).toContain('Node 22.18');
  });
});

test('the built command is executable, as its link in node_modules/.bin must be', () => {
  expect(statSync(CLI).mode & 0o111).toBe(0o111);
});

describe('reloading', () => {
  function writeApp(): { app: string; change(text: string): void } {
    const folder = temporaryDirectory();
    const change = (text: string): void =>
      writeFileSync(join(folder, 'text.mjs'), `export const text = '${text}';`);
    change('before');
    const app = join(folder, 'app.mjs');
    writeFileSync(
      app,
      "import { text } from './text.mjs'; export default { websocket: { message(peer) { peer.send(text); } } };",
    );
    return { app, change };
  }

  test('SIGHUP brings in changed code; its connections stay', async () => {
    const { app, change } = writeApp();
    const child = startCommand([app, '--lanes', '2']);
    const client = await connect(await child.port());
    client.send('?');
    expect(await client.next()).toBe('before');
    change('after');
    child.kill('SIGHUP');
    await child.logged('reloaded');
    client.send('?');
    expect(await client.next()).toBe('after');
  });

  test('a signal to end during a reload ends all lanes, those that were to come as well', async () => {
    const { app } = writeApp();
    writeFileSync(
      app,
      `console.log('imported');
       export default { websocket: { message(peer) { peer.send('begun'); return new Promise(() => {}); } } };`,
    );
    const child = startCommand([app, '--lanes', '2', '--drain-timeout-ms', '500']);
    const client = await connect(await child.port());
    client.send('?');
    expect(await client.next()).toBe('begun');
    child.kill('SIGHUP');
    await child.says(stdout => stdout.split('imported').length - 1 === 3 || undefined);
    child.kill('SIGTERM');
    await child.logged('closed');
    expect((await child.ended).code).toBe(0);
  });

  test('--watch does so by itself, and goes on after code that is broken', async () => {
    const { app, change } = writeApp();
    const child = startCommand([app, '--watch', '--lanes', '1']);
    const client = await connect(await child.port());
    change("broken' + ");
    expect((await child.logged('not reloaded')).level).toBe(50);
    client.send('?');
    expect(await client.next()).toBe('before');
    change('after');
    await child.says(() => child.log.find(({ msg }) => msg === 'reloaded'));
    client.send('?');
    expect(await client.next()).toBe('after');
    child.kill('SIGTERM');
    expect(await child.ended).toMatchObject({ code: 0, stderr: '' });
  });
});
