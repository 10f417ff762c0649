/** What `createGateway` is given for its lanes. */
import { createGateway } from 'threadgate';
import { counter } from 'threadgate/sync';
import { expect, test } from 'vitest';
import { appFile, startGateway } from '../support/gateway.js';

interface Answer {
  lane: number;
  count: number;
  settings: { name: string; seen: number };
}

test('data are copied to every lane, and what a handle stands for is shared by all', async () => {
  const shared = counter();
  const data = { counter: shared.handle, settings: { name: 'orders' } };
  const gateway = await startGateway('data.mjs', { lanes: 2, data });
  const answers: Answer[] = [];
  while (new Set(answers.map(({ lane }) => lane)).size < 2 || answers.length < 10)
    answers.push((await (await fetch(`http://127.0.0.1:${gateway.port}/`)).json()) as Answer);
  expect(Number(shared.get())).toBe(answers.length);
  for (const lane of [0, 1]) {
    const own = answers.filter(answer => answer.lane === lane);
    expect(own.map(({ settings }) => settings)).toEqual(own.map((_, i) => ({ name: 'orders', seen: i + 1 })));
  }
  expect(data.settings).toEqual({ name: 'orders' });
});

test('data survive a reload', async () => {
  const gateway = await startGateway('data.mjs', {
    lanes: 1,
    data: { counter: counter().handle, settings: {} },
  });
  await gateway.reload();
  const answer = await (await fetch(`http://127.0.0.1:${gateway.port}/`)).json();
  expect(answer).toMatchObject({ count: 1, settings: { seen: 1 } });
});

test('what cannot be cloned is refused', async () => {
  const data = { callback: (): void => {} };
  await expect(createGateway({ app: appFile('data.mjs'), data })).rejects.toMatchObject({
    code: 'ERR_THREADGATE_OPTION',
    message: expect.stringContaining("option 'data'"),
  });
});
