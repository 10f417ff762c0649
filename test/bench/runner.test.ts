/** The two commands as people type them. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { workloads } from '../../bench/workloads.js';
import { startNode } from '../support/child.js';

const path = (file: string) => fileURLToPath(new URL(`../../bench/${file}`, import.meta.url));
const run = (...args: string[]) => startNode([path('run.js'), ...args]).ended;
const compare = (...args: string[]) => startNode([path('compare.js'), ...args]).ended;

describe('the runner', () => {
  test('says with --help what there is and how long it takes', async () => {
    const { code, stdout } = await run('--help');
    expect(code).toBe(0);
    expect(stdout).toMatch(/about\s+\d+\s+minutes/);
    const words = stdout.split(/[\s,]+/);
    for (const { name } of workloads) expect(words).toContain(name);
  });

  test.each([
    ['--seconds', '0'],
    ['--seconds', 'many'],
    ['--rounds', '1.5'],
    ['--only', 'nothing-of-that-name'],
    ['--contenders', 'nobody'],
    ['--no-such-flag'],
  ])('refuses %s %s', async (...args) => {
    const { code, stderr } = await run(...args);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error: /);
  });

  test('measures, and writes what it found', async () => {
    const args = [
      '--only',
      'echo-1',
      '--contenders',
      'uws',
      'threadgate',
      '--rounds',
      '1',
      '--seconds',
      '0.2',
    ];
    const { code, stdout, stderr } = await run(...args);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(stdout).toMatch(/2\/2 +round 1 +threadgate, 1 lane +[\d,]+ msg\/s/);
    const result = JSON.parse(readFileSync(path('results/partial.json'), 'utf8'));
    expect(result.workloads).toHaveLength(1);
    expect(result.workloads[0].samples.threadgate[0].value).toBeGreaterThan(100);
    expect(readFileSync(path('results/partial.md'), 'utf8')).toContain('threadgate, 1 lane ÷ uWebSockets.js');
  });

  test('has nothing to do where nobody takes part', async () => {
    const { code, stderr } = await run('--only', 'echo-1', '--contenders', 'nchan');
    expect(code).toBe(1);
    expect(stderr).toBe('error: nobody is left to take part\n');
  });

  test('fails with --check where a floor was not measured', async () => {
    const args = ['--only', 'echo-1', '--contenders', 'uws', '--rounds', '1', '--seconds', '0.2'];
    const { code } = await run(...args, '--check');
    expect(code).toBe(1);
  });
});

describe('compare', () => {
  test('says with --help what counts as a difference', async () => {
    const { code, stdout } = await compare('--help');
    expect(code).toBe(0);
    expect(stdout).toContain('99 %');
  });

  test('refuses a ref that does not exist', async () => {
    const { code, stderr } = await compare('no-such-ref');
    expect(code).toBe(1);
    expect(stderr).toBe("error: git knows no commit 'no-such-ref'\n");
  });
});
