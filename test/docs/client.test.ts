/** docs/client.md says what the code does: its example runs, its tables are complete, the module stands alone. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import * as errors from '../../dist/src/client/errors.js';
import { settle } from '../../dist/src/client/options.js';
import { ROOT, startNode } from '../support/child.js';

const text = readFileSync(new URL('../../docs/client.md', import.meta.url), 'utf8');

test('the example prints what is said below it', async () => {
  const code = /```js\n(.*?)```/s.exec(text)?.[1] as string;
  const said = /It prints (.*?)\./s.exec(text)?.[1] as string;
  // Inside of the package, so that it finds the package by its name.
  const folder = await mkdtemp(join(ROOT, 'dist', 'example-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const file = join(folder, 'example.mjs');
  writeFileSync(file, code);
  const { code: exit, stdout, stderr } = await startNode([file]).ended;
  const lines = [...said.matchAll(/`(.*?)`/g)].map(match => match[1]);
  expect({ exit, stdout, stderr }).toEqual({ exit: 0, stdout: `${lines.join('\n')}\n`, stderr: '' });
});

test('the table of errors has every class with its code', () => {
  const source = readFileSync(new URL('../../src/client/errors.ts', import.meta.url), 'utf8');
  const classes = Object.keys(errors).filter(name => name !== 'ClientError');
  expect(classes.length).toBeGreaterThan(10);
  for (const name of classes) {
    const code = new RegExp(`class ${name} .*?'(ERR_THREADGATE_CLIENT_[A-Z_]+)'`, 's').exec(source)?.[1];
    expect(text, name).toContain(`| \`${code}\` | \`${name}\` |`);
  }
});

test('the table of options has every option, and no other', () => {
  const table = text.slice(text.indexOf('## Options'), text.indexOf('## Errors'));
  const named = [...table.matchAll(/^\| `(\w+)` \|/gm)].map(match => match[1]);
  const { url: _, ...options } = settle('ws://localhost', {});
  expect(named.sort()).toEqual(Object.keys(options).sort());
});

test('the module imports nothing from outside of its folder', () => {
  const folder = join(ROOT, 'dist/src/client');
  const files = readdirSync(folder).filter(file => file.endsWith('.js'));
  expect(files.length).toBeGreaterThan(10);
  for (const file of files) {
    const code = readFileSync(join(folder, file), 'utf8');
    const imports = [...code.matchAll(/(?:from|import) '([^']+)'/g)].map(match => match[1]);
    expect(imports.filter(name => !/^\.\/[a-z-]+\.js$/.test(name ?? ''), file)).toEqual([]);
  }
});
