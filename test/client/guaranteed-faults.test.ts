/** Guaranteed messages over a network that delays, cuts, halves and stalls; and while lanes and the process are killed. */
import { WebSocket as StandardWebSocket } from 'undici';
import { describe, expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import type { WebSocketClass } from '../../dist/src/client/index.js';
import { GuaranteedClient } from '../faults/guaranteed-client.js';
import { sharedGateway } from '../support/gateway.js';
import { chooseSeed, Random } from '../support/random.js';
import { type FaultyProxy, startProxy } from './proxy.js';

const MESSAGES = 1000;

/** Nothing passes for a moment, again and again: shorter and longer than a client waits for a sign of life. */
function stall(proxy: FaultyProxy, random: Random): void {
  let isOver = false;
  onTestFinished(() => {
    isOver = true;
  });
  void (async () => {
    while (!isOver) {
      await new Promise(resolve => setTimeout(resolve, random.between(20, 120)));
      proxy.stalled = true;
      await new Promise(resolve => setTimeout(resolve, random.between(5, 90)));
      proxy.resume();
    }
  })();
}

describe('1,000 guaranteed messages there and 2,000 back, over a network that fails', () => {
  const gateway = sharedGateway('guaranteed.mjs');

  test.each([
    ['/sync', 'ws', WebSocket],
    ['/async', 'ws', WebSocket],
    ['/sync', 'a WebSocket without pings', StandardWebSocket],
    ['/async', 'a WebSocket without pings', StandardWebSocket],
  ])('come in order and once: %s, %s', { timeout: 60_000 }, async (path, _name, WebSocket) => {
    const seed = chooseSeed();
    const random = new Random(seed);
    const proxy = await startProxy(gateway().port, random);
    const client = new GuaranteedClient(`${proxy.url}${path}`, {
      WebSocket: WebSocket as unknown as WebSocketClass,
      pingInterval: 20,
      pingTimeout: 40,
      connectTimeout: 200,
    });
    onTestFinished(() => client.client.close());
    stall(proxy, random);
    await client.run(MESSAGES - 1);
    await client.answered();
    client.check({ inMemory: false });
    const { wrong, gaps, late, sent, refused } = client;
    expect({ wrong, gaps, late, sent, refused: refused.size }, `seed ${seed}`).toEqual({
      wrong: undefined,
      gaps: 0,
      late: 0,
      sent: MESSAGES,
      refused: 0,
    });
    expect(proxy.cuts, `seed ${seed}`).toBeGreaterThan(5);
  });
});
