/** The README says what the code does: what can be derived from the code is compared with it. */
import { mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import * as errors from '../../dist/src/errors.js';
import { optionsSchema } from '../../dist/src/options.js';
import { ROOT, startCommand, startNode } from '../support/child.js';
import { connect } from '../support/client.js';
import { temporaryDirectory } from '../support/files.js';

const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
const rows = readme
  .split('\n')
  .filter(line => line.startsWith('|'))
  .map(line => line.split('|').map(cell => cell.trim().replaceAll('`', '')));

describe('the table of options', () => {
  test('has every option of the API, and no other', () => {
    const table = readme.slice(readme.indexOf('## Options'), readme.indexOf('## Errors'));
    const named = [...table.matchAll(/^\|[^|]*\|[^|]*\| `([a-zA-Z]+)` \|/gm)].map(match => match[1]);
    expect(named.sort()).toEqual(Object.keys(optionsSchema.shape).sort());
  });

  test('has every flag of the command, with its variable', async () => {
    const cli = new URL('../../dist/src/cli.js', import.meta.url).pathname;
    const { stdout } = await startNode([cli, '--help']).ended;
    const flags = [...stdout.matchAll(/--([a-z-]+) <[a-z]+>/g)].map(match => match[1] ?? '');
    expect(flags.length).toBeGreaterThan(10);
    for (const flag of flags) {
      const variable = `THREADGATE_${flag.replaceAll('-', '_').toUpperCase()}`;
      expect(rows.some(cells => cells[1] === `--${flag}` && cells[2] === variable)).toBe(true);
    }
  });
});

test('the table of errors has every class with its code', () => {
  const source = readFileSync(new URL('../../src/errors.ts', import.meta.url), 'utf8');
  const classes = Object.keys(errors).filter(name => /^[A-Z]/.test(name) && name !== 'ThreadgateError');
  expect(classes.length).toBeGreaterThan(8);
  for (const name of classes) {
    const code = new RegExp(`class ${name} [^}]*?'(ERR_THREADGATE_[A-Z_]+)'`).exec(source)?.[1];
    expect(code, name).toBeDefined();
    expect(rows.some(cells => cells[1] === code && cells[2] === name)).toBe(true);
  }
});

describe('the example', () => {
  /** The code of a section, by the file names in the first lines; in a project that has threadgate installed. */
  function writeExample(section: string): string {
    const directory = temporaryDirectory();
    mkdirSync(join(directory, 'node_modules'));
    symlinkSync(ROOT, join(directory, 'node_modules', 'threadgate'));
    writeFileSync(join(directory, 'package.json'), '{ "type": "module" }');
    const text = readme.slice(readme.indexOf(`## ${section}\n`)).split(/\n## /)[0] as string;
    for (const [, code, name] of text.matchAll(/^```js\n(\/\/ (\S+\.js)\n.*?)^```/gms)) {
      writeFileSync(join(directory, name as string), code as string);
    }
    return join(directory, 'app.js');
  }

  test('of an app in twenty lines does what it looks like', async () => {
    const port = await startCommand([writeExample('An app in twenty lines')]).port();
    const [speaker, listener] = [await connect(port), await connect(port)];
    expect(await speaker.nextJson()).toEqual({ type: 'joined', who: expect.any(String) });
    expect(await speaker.ask({ text: 'hello' })).toEqual({ type: 'received' });
    expect(await listener.nextJson()).toEqual({ type: 'line', who: expect.any(String), text: 'hello' });
    expect(await (await fetch(`http://127.0.0.1:${port}/`)).json()).toEqual({ connected: 2 });
  });

  test('of jobs does what it looks like', async () => {
    const client = await connect(await startCommand([writeExample('Jobs')]).port());
    expect(await client.ask('100')).toEqual({ primes: 25 });
    expect(await client.ask('1e12')).toEqual({ sorry: 'ERR_THREADGATE_JOB_TIMEOUT' });
    expect(await client.ask('10')).toEqual({ primes: 4 });
  });
});

test('the table of examples has each of them, with a page of text and a small picture', () => {
  const examples = new URL('../../examples/', import.meta.url);
  const named = [...readme.matchAll(/^\| \[(\w+)\]\(examples\/(\w+)\/README\.md\) \|/gm)];
  expect(named.map(([, name]) => name).sort()).toEqual(readdirSync(examples).sort());
  for (const [, name, folder] of named) {
    expect(folder).toBe(name);
    const page = readFileSync(new URL(`${name}/README.md`, examples), 'utf8');
    expect(page).toContain(`npx threadgate examples/${name}/app.js`);
    expect(page).toMatch(/!\[[^\]]+\]\(screenshot\.png\)/);
    expect(statSync(new URL(`${name}/screenshot.png`, examples)).size).toBeLessThan(150_000);
  }
});
