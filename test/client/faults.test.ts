/** A server that dies again and again, and a network in between that does what networks do. */
import { describe, expect, test } from 'vitest';
import { chooseSeed, Random } from '../support/random.js';
import { until } from '../support/until.js';
import { FAST, next, startClient } from './clients.js';
import { startProxy } from './proxy.js';
import { startServer } from './server.js';

const WITHIN = 50;

/** What a message says: its number, and when it was sent. */
const message = (number: number): string => `${number} ${performance.now()}`;

/** Whether the numbers rise: messages may be lost, and never overtake or come twice. */
function rise(received: string[]): boolean {
  const numbers = received.map(text => Number(text.split(' ')[0]));
  return numbers.every((number, at) => at === 0 || number > (numbers[at - 1] as number));
}

describe('under load', () => {
  test('a client outlives a server that is killed and started 100 times', { timeout: 60_000 }, async () => {
    const server = await startServer();
    const client = startClient(server.url, FAST);
    const outcomes = { written: 0, expired: 0 };
    const late: number[] = [];
    let number = 0;
    let isOver = false;
    const load = (async () => {
      while (!isOver) {
        const sent = Array.from({ length: 10 }, () =>
          client.send(message(number++), { within: WITHIN }).then(
            ({ waited }) => {
              outcomes.written += 1;
              if (waited > WITHIN) late.push(waited);
            },
            error => {
              expect(error.code).toBe('ERR_THREADGATE_CLIENT_EXPIRED');
              outcomes.expired += 1;
            },
          ),
        );
        await Promise.all(sent);
        await new Promise(setImmediate);
      }
    })();
    for (let i = 0; i < 100; i++) {
      await client.ready;
      const before = server.received.length;
      await until('messages arrive', () => server.received.length > before);
      const lost = next(client, 'waiting');
      await server.kill();
      await lost;
      await server.start();
    }
    await client.ready;
    isOver = true;
    await load;
    expect(late).toEqual([]);
    expect(outcomes.written + outcomes.expired).toBe(number);
    expect(server.received.length).toBeLessThanOrEqual(outcomes.written);
    expect(rise(server.received)).toBe(true);
    expect(server.count).toBeGreaterThan(100);
    expect(client.buffered).toBe(0);
  });

  test('and one that delays, cuts and halves: what arrives is whole, in order and never twice', async () => {
    const seed = chooseSeed();
    const server = await startServer();
    server.onMessage = (text, socket) => socket.send(text);
    const proxy = await startProxy(server.port, new Random(seed));
    const client = startClient(proxy.url, FAST);
    const echoes: string[] = [];
    client.on('message', data => echoes.push(String(data)));
    const opened: number[] = [];
    client.on('status', ({ state }) => state === 'open' && opened.push(performance.now()));
    const sent = new Set<string>();
    for (let number = 0; proxy.cuts < 20; number++) {
      const text = message(number);
      sent.add(text);
      await client.send(text, { within: 10_000 });
      await new Promise(setImmediate);
    }
    await until('the last comes back', async () => {
      const text = message(sent.size);
      sent.add(text);
      await client.send(text, { within: 10_000 });
      await new Promise(resolve => setTimeout(resolve, 20));
      return echoes.includes(text);
    });
    const of = `seed ${seed}`;
    expect(opened.length, of).toBeGreaterThan(10);
    for (const received of [server.received, echoes]) {
      expect(rise(received), of).toBe(true);
      expect(
        received.filter(text => !sent.has(text)),
        of,
      ).toEqual([]);
    }
  }, 60_000);
});
