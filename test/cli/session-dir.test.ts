/** `--session-dir`: a gateway that is killed goes on, in its next life, where a hook had ended last. */
import { expect, test } from 'vitest';
import { startCommand } from '../support/child.js';
import { temporaryDirectory } from '../support/files.js';
import { appFile } from '../support/gateway.js';
import { connectSession, newSecret } from '../support/session.js';

const ROUNDS = 5;
const IN_FLIGHT = 16;

test('killed again and again under load: every message is answered once and in order', async () => {
  const directory = temporaryDirectory();
  const secret = newSecret();
  let acknowledged = 0;
  let received = 0;
  const answers: string[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const child = startCommand([appFile('session.mjs'), '--session-dir', directory, '--lanes', '2']);
    const client = await connectSession(await child.port(), { secret, received, acknowledged });
    expect(client.welcome.resumed).toBe(round > 0);
    let next: number | undefined;
    const killAt = acknowledged + 500 * round + 100;
    const ended = child.ended;
    for (;;) {
      const frame = await client.frame().catch(() => undefined);
      if (frame === undefined) break;
      if (frame.kind === 'go' || frame.kind === 'acknowledged') {
        acknowledged = frame.number;
        next ??= acknowledged + 1;
        while (next <= acknowledged + IN_FLIGHT) {
          client.message(next, next % 10 === 0 ? `slow 1 ${next}` : `echo ${next}`);
          next++;
        }
        if (acknowledged >= killAt) child.kill('SIGKILL');
      } else if (frame.kind === 'message') {
        const text = String(frame.data);
        expect(frame.number).toBeLessThanOrEqual(received + 1);
        if (frame.number === received + 1) {
          received++;
          answers.push(text);
        }
        if (received % 50 === 0) client.acknowledge(received);
      }
    }
    expect((await ended).signal).toBe('SIGKILL');
  }
  const numbers = answers.filter(text => !text.startsWith('began')).map(text => Number.parseInt(text, 10));
  expect(numbers.length).toBeGreaterThan(ROUNDS * 100);
  expect(numbers).toEqual(numbers.map((_, i) => i + 1));
  expect(answers.filter(text => text.startsWith('began')).length).toBe(Math.floor(numbers.length / 10));
});

test('killed between a hook and the acknowledgement: the answer comes in the next life', async () => {
  const directory = temporaryDirectory();
  const secret = newSecret();
  const args = [appFile('session.mjs'), '--session-dir', directory];
  const first = startCommand(args);
  const before = await connectSession(await first.port(), { secret });
  before.message(1, 'echo answer');
  expect(await before.texts(1)).toEqual(['answer']);
  first.kill('SIGKILL');
  await before.closed;
  const second = startCommand(args);
  const after = await connectSession(await second.port(), { secret });
  expect(after.welcome).toMatchObject({ resumed: true, mark: before.welcome.mark });
  expect(await after.texts(1)).toEqual(['answer']);
  expect(await after.frameOf('go')).toEqual({ kind: 'go', number: 1 });
  after.acknowledge(1);
  second.kill('SIGTERM');
  expect((await second.ended).code).toBe(0);
});

test('killed in the middle of a hook: the message is marked as one that may have been handled', async () => {
  const directory = temporaryDirectory();
  const secret = newSecret();
  const args = [appFile('session.mjs'), '--session-dir', directory];
  const first = startCommand(args);
  const before = await connectSession(await first.port(), { secret });
  await before.frameOf('go');
  before.message(1, 'began');
  expect(await before.next()).toBe('hello');
  expect(await before.next()).toBe('began');
  first.kill('SIGKILL');
  await before.closed;
  const second = startCommand(args);
  const after = await connectSession(await second.port(), { secret });
  expect(await after.frameOf('go')).toEqual({ kind: 'go', number: 0 });
  after.message(1, 'echo 1');
  after.message(2, 'echo 2');
  expect(await after.texts(2)).toEqual(['1 again', '2']);
});

test('ended in good order while a hook does not settle: what was done is known, and the rest comes again', async () => {
  const secret = newSecret();
  const args = [appFile('session.mjs'), '--session-dir', temporaryDirectory(), '--drain-timeout-ms', '200'];
  const first = startCommand(args);
  const before = await connectSession(await first.port(), { secret });
  await before.frameOf('go');
  before.message(1, 'echo 1');
  before.message(2, 'began');
  before.message(3, 'echo 3');
  await before.frameOf('message');
  first.kill('SIGTERM');
  expect((await before.closed).code).toBe(1001);
  expect((await first.ended).code).toBe(0);
  const after = await connectSession(await startCommand(args).port(), { secret, received: 1 });
  expect(after.welcome.resumed).toBe(true);
  expect(await after.frame()).toEqual({ kind: 'go', number: 1 });
  after.message(2, 'echo 2');
  after.message(3, 'echo 3');
  expect(await after.texts(2)).toEqual(['2 again', '3']);
});
