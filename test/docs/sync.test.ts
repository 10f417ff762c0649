/** docs/sync.md says what the code does: its examples run, its table of errors is complete. */
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import * as errors from '../../dist/src/sync/errors.js';
import { ROOT, startNode } from '../support/child.js';

const text = readFileSync(new URL('../../docs/sync.md', import.meta.url), 'utf8');

/** What each example prints. */
const OUTPUT: Record<string, string> = {
  Mutex: '2000\n',
  RWMutex: 'undefined\nalone\n',
  WaitGroup: 'all done\n',
  Semaphore: 'true\ntrue\ntrue\ntrue\n',
  Once: 'once\ntrue\n',
  Cond: 'a job\n',
  Counter: 'true 10n\n',
  Channel: '1 1\n2 4\n3 9\n',
  select: 'hello\n',
  Context: 'ERR_THREADGATE_SYNC_CANCELLED\n',
  SharedMap: '2\nann 1\n',
};

describe('the example', () => {
  const examples = [...text.matchAll(/^### (\w+)\n[^#]*?```js\n(.*?)```/gms)];

  test('of each primitive is here', () => {
    expect(examples.map(([, name]) => name)).toEqual(Object.keys(OUTPUT));
  });

  test.each(examples.map(([, name, code]) => ({ name: String(name), code: String(code) })))(
    'of $name runs',
    async ({ name, code }) => {
      // Inside of the package, so that it finds the package by its name.
      const folder = await mkdtemp(join(ROOT, 'dist', 'example-'));
      onTestFinished(() => rm(folder, { recursive: true }));
      const file = join(folder, 'example.mjs');
      writeFileSync(file, code);
      const { code: exit, stdout, stderr } = await startNode([file]).ended;
      expect({ exit, stdout, stderr }).toEqual({ exit: 0, stdout: OUTPUT[name], stderr: '' });
    },
  );
});

test('the table of errors has every class with its code', () => {
  const source = readFileSync(new URL('../../src/sync/errors.ts', import.meta.url), 'utf8');
  const classes = Object.keys(errors);
  expect(classes.length).toBeGreaterThan(12);
  for (const name of classes) {
    const code = new RegExp(`class ${name} .*?'(ERR_THREADGATE_SYNC_[A-Z_]+)'`, 's').exec(source)?.[1];
    expect(text, name).toContain(`| \`${code}\` | \`${name}\` |`);
  }
});
