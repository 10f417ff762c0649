/** The fault scripts beside this file in their short form. In full, with what they are for, they run by hand; see there. */
import { describe, expect, test } from 'vitest';
import { ROOT, startNode } from '../support/child.js';

const TIMEOUT_MS = 110_000;

/** Runs a script to its end. @returns what it counted */
async function run(script: string, ...args: string[]): Promise<unknown> {
  const { code, stdout, stderr } = await startNode([`${ROOT}/test/faults/${script}.js`, ...args]).ended;
  expect(`${stdout}${stderr}`).not.toBe('');
  expect(code, `${stdout}\n${stderr}`).toBe(0);
  return JSON.parse(stdout);
}

describe('faults', () => {
  test(
    'a lane is killed over and over: nobody is disconnected, all is answered once and in order',
    async () => {
      const paths = ['--paths', '/sync'];
      expect(await run('lane-kill', '--seconds', '4', '--connections', '200', ...paths)).toMatchObject({
        disconnected: 0,
        wrong: [],
      });
    },
    TIMEOUT_MS,
  );

  test(
    'the same with async and silent hooks',
    async () => {
      expect(await run('lane-kill', '--seconds', '4', '--connections', '200')).toMatchObject({
        disconnected: 0,
        wrong: [],
      });
    },
    TIMEOUT_MS,
  );

  test(
    'handlers do the worst to their thread',
    async () => {
      expect(await run('lane-faults', '--rounds', '1', '--connections', '50')).toMatchObject({
        disconnected: 0,
        problems: [],
      });
    },
    TIMEOUT_MS,
  );

  test(
    'code is replaced under load',
    async () => {
      expect(await run('reload', '--reloads', '10', '--connections', '100')).toMatchObject({
        missing: 0,
        disconnected: 0,
        refused: 1,
      });
    },
    TIMEOUT_MS,
  );

  test(
    'one client sends what kills',
    async () => {
      await run('poison', '--connections', '50');
    },
    TIMEOUT_MS,
  );

  test(
    'half of the clients are stopped for a while',
    async () => {
      expect(await run('stalled-clients', '--seconds', '4', '--connections', '100')).toMatchObject({
        othersClosed: 0,
      });
    },
    TIMEOUT_MS,
  );
});
