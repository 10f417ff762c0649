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
    'lanes are killed over and over: guaranteed messages are handled in order and once, both ways',
    async () => {
      const counts = await run('guaranteed', '--kill', 'lanes', '--kills', '10');
      expect(counts).toMatchObject({ gaps: 0, besideLate: 0, wrong: [] });
    },
    TIMEOUT_MS,
  );

  test(
    'the process is killed over and over, and finds its sessions in their file',
    async () => {
      const counts = await run('guaranteed', '--kill', 'process', '--kills', '5');
      expect(counts).toMatchObject({ refused: 0, gaps: 0, besideLate: 0, wrong: [] });
    },
    TIMEOUT_MS,
  );

  test(
    'the process is killed over and over, and its sessions with it: clients are told, and nothing comes twice unsaid',
    async () => {
      const counts = await run('guaranteed', '--kill', 'process-in-memory', '--kills', '5');
      expect(counts).toMatchObject({ refused: 0, besideLate: 0, wrong: [] });
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
