/** A short form of drain.js, which is the fault test itself. */
import { expect, test } from 'vitest';
import { startNode } from '../support/child.js';

test('SIGTERM under load, 200 clients, half of them not reading: every reader gets the close frame, exit 0 in time', async () => {
  const args = ['--clients', '200', '--flooded', '20', '--timeout-ms', '3000'];
  const { code, stderr, stdout } = await startNode(['test/faults/drain.js', ...args]).ended;
  expect(stderr).toBe('');
  expect(stdout).toMatch(/^exit 0 after \d+ ms of 3000; 100 of 100 readers got the close frame/m);
  expect(code).toBe(0);
}, 60_000);
