/** The README says what the code does: what can be derived from the code is compared with it. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import * as errors from '../../dist/src/errors.js';
import { optionsSchema } from '../../dist/src/options.js';
import { startNode } from '../support/child.js';

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
