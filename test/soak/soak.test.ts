/** A short form of soak.js, which is the soak itself. */
import { expect, test } from 'vitest';
import { startNode } from '../support/child.js';
import { chooseSeed } from '../support/random.js';

const seed = chooseSeed();

test(`300 connections that come and go for 12 s: each message is echoed once and in order, memory stays flat (TEST_SEED=${seed})`, async () => {
  const args = ['--seconds', '12', '--connections', '300', '--seed', String(seed)];
  const { code, stderr, stdout } = await startNode(['test/soak/soak.js', ...args]).ended;
  expect(stderr).toBe('');
  expect(stdout).toMatch(/^\d{4,} messages .* echoed once and in order/m);
  expect(code).toBe(0);
}, 60_000);
