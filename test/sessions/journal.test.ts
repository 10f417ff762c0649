/** The journal: what an earlier process left is there again, wherever that was killed. */
import { randomBytes } from 'node:crypto';
import { appendFileSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { messageFrame } from '../../dist/src/sessions/frames.js';
import { Journal } from '../../dist/src/sessions/journal.js';
import type { SessionState } from '../../dist/src/sessions/session.js';
import { startNode } from '../support/child.js';
import { temporaryDirectory } from '../support/files.js';
import { Random } from '../support/random.js';

function unexpected(error: unknown): void {
  throw error;
}

function open(directory: string): { journal: Journal; states: SessionState[] } {
  const journal = new Journal(directory, unexpected);
  return { journal, states: journal.load() };
}

function began(): SessionState {
  return {
    name: randomBytes(16),
    mark: randomBytes(8),
    handled: 0,
    lastNumber: 0,
    frames: [],
    atRest: false,
  };
}

function send(state: SessionState, journal: Journal, text: string): void {
  const number = ++state.lastNumber;
  const frame = { number, bytes: messageFrame(state.mark, number, false, Buffer.from(text)) };
  state.frames.push(frame);
  journal.sent(state.name, frame);
}

const file = (directory: string): string => join(directory, 'sessions.log');

test('what was written is there again, though nobody closed it', () => {
  const directory = temporaryDirectory();
  const { journal, states } = open(directory);
  expect(states).toEqual([]);
  const [one, two, three] = [began(), began(), began()];
  for (const state of [one, two, three]) journal.began(state);
  send(one, journal, 'first');
  send(one, journal, 'second');
  send(two, journal, 'third');
  journal.handled(one.name, 7);
  journal.received(one.name, 1);
  journal.ended(three.name);
  journal.write();
  expect(open(directory).states).toEqual([
    { ...one, handled: 7, lastNumber: 2, frames: one.frames.slice(1) },
    { ...two, lastNumber: 1 },
  ]);
});

test('a session that was at rest at the end is so once: the next process says for itself', () => {
  const directory = temporaryDirectory();
  const { journal } = open(directory);
  const [one, two] = [began(), began()];
  for (const state of [one, two]) journal.began(state);
  journal.rested(two.name);
  journal.close();
  expect(open(directory).states).toEqual([one, { ...two, atRest: true }]);
  expect(open(directory).states).toEqual([one, two]);
});

test('what was not written is not there', () => {
  const directory = temporaryDirectory();
  const { journal } = open(directory);
  const state = began();
  journal.began(state);
  journal.write();
  journal.handled(state.name, 1);
  expect(open(directory).states).toEqual([state]);
});

test('numbers go on where all frames were received', () => {
  const directory = temporaryDirectory();
  const { journal } = open(directory);
  const state = began();
  journal.began(state);
  for (let i = 0; i < 5; i++) send(state, journal, `${i}`);
  journal.received(state.name, 5);
  journal.write();
  for (let i = 0; i < 3; i++)
    expect(open(directory).states).toEqual([{ ...state, lastNumber: 5, frames: [] }]);
});

test('a write that was cut off anywhere never was', () => {
  const directory = temporaryDirectory();
  const { journal } = open(directory);
  const state = began();
  journal.began(state);
  journal.write();
  const before = statSync(file(directory)).size;
  send(state, journal, 'answer');
  journal.handled(state.name, 1);
  journal.write();
  const whole = readFileSync(file(directory));
  for (let size = before; size < whole.length; size++) {
    const other = temporaryDirectory();
    writeFileSync(file(other), whole.subarray(0, size));
    expect(open(other).states).toMatchObject([{ handled: 0, lastNumber: 0, frames: [] }]);
  }
});

test('a group whose bytes are not what was written ends what is believed', () => {
  const directory = temporaryDirectory();
  const { journal } = open(directory);
  const state = began();
  journal.began(state);
  journal.write();
  appendFileSync(file(directory), Buffer.alloc(100, 1));
  expect(open(directory).states).toEqual([state]);
});

test('a file that is mostly of the past is written anew, and says the same', () => {
  const directory = temporaryDirectory();
  const { journal } = open(directory);
  const state = began();
  journal.keep(() => [state]);
  journal.began(state);
  const random = new Random(42);
  let largest = 0;
  for (let i = 0; i < 3000; i++) {
    send(state, journal, 'x'.repeat(random.between(0, 20_000)));
    state.handled = i;
    journal.handled(state.name, i);
    if (state.frames.length > 10) {
      state.frames.splice(0, 5);
      journal.received(state.name, (state.frames[0]?.number ?? 1) - 1);
    }
    journal.write();
    largest = Math.max(largest, statSync(file(directory)).size);
  }
  expect(largest).toBeLessThan(18 * 2 ** 20);
  expect(readdirSync(directory)).toEqual(['sessions.log']);
  expect(open(directory).states).toEqual([state]);
});

test('where it can be written no more that is told, and nothing old is left to mislead', async () => {
  const directory = temporaryDirectory();
  const script = new URL('full-disk.mjs', import.meta.url).pathname;
  const { code, stdout } = await startNode([script, directory]).ended;
  expect({ code, stdout }).toEqual({ code: 0, stdout: 'failed: EFBIG\n' });
  expect(existsSync(file(directory))).toBe(false);
});
