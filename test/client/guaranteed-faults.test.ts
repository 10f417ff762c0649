/** Guaranteed messages over a network that delays, cuts, halves and stalls; and while lanes and the process are killed. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WebSocket as StandardWebSocket } from 'undici';
import { describe, expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import type { ClientOptions, WebSocketClass } from '../../dist/src/client/index.js';
import { startGateway as startFaultyGateway } from '../faults/gateway.js';
import { GuaranteedClient } from '../faults/guaranteed-client.js';
import { startCommand } from '../support/child.js';
import { appFile, sharedGateway } from '../support/gateway.js';
import { freePort } from '../support/ports.js';
import { chooseSeed, Random } from '../support/random.js';
import { until } from '../support/until.js';
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

const PINGS = { pingInterval: 20, pingTimeout: 40, connectTimeout: 200 };

function startClient(url: string, options: ClientOptions = {}): GuaranteedClient {
  const client = new GuaranteedClient(url, { ...PINGS, ...options });
  onTestFinished(() => client.client.close());
  return client;
}

/** All was handled and answered, once and in order, and nobody was told anything else. */
function expectWhole(client: GuaranteedClient, sent: number, seed: number): void {
  client.check({ inMemory: false });
  const { wrong, gaps, late, refused } = client;
  const seen = { wrong, gaps, late, sent: client.sent, refused: refused.size };
  expect(seen, `seed ${seed}`).toEqual({ wrong: undefined, gaps: 0, late: 0, sent, refused: 0 });
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
    const client = startClient(`${proxy.url}${path}`, { WebSocket: WebSocket as unknown as WebSocketClass });
    stall(proxy, random);
    await client.run(MESSAGES - 1);
    await client.answered();
    expectWhole(client, MESSAGES, seed);
    expect(proxy.cuts, `seed ${seed}`).toBeGreaterThan(5);
  });
});

/** A third end of a lane could be a message's third: it would be refused. */
const LANE_KILLS = 2;
const PROCESS_KILLS = 3;

describe('over a network that fails', () => {
  const CLIENTS = 6;
  const EACH = 200;

  /** Runs clients of both kinds of hooks; `kill` is called again and again while they are at work. */
  async function run(port: number, kills: number, kill: () => Promise<void>): Promise<void> {
    const seed = chooseSeed();
    const random = new Random(seed);
    const proxy = await startProxy(port, random);
    const clients = Array.from({ length: CLIENTS }, (_, i) =>
      startClient(`${proxy.url}${i % 2 === 0 ? '/sync' : '/async'}`, { WebSocket: WebSocket as never }),
    );
    stall(proxy, random);
    const runs = clients.map(client => client.run(EACH - 1));
    const acknowledged = () => clients.reduce((sum, client) => sum + client.acknowledged, 0);
    for (let done = 0; done < kills; done++) {
      const due = ((done + 1) * CLIENTS * EACH) / (kills + 2);
      await until('they got on', () => acknowledged() >= due, 30_000);
      await kill();
    }
    await Promise.all(runs);
    await Promise.all(clients.map(client => client.answered()));
    for (const client of clients) expectWhole(client, EACH, seed);
  }

  test('and with lanes that are killed, messages come in order and once', { timeout: 60_000 }, async () => {
    const { gateway, workers } = await startFaultyGateway('guaranteed.mjs', { lanes: 2 });
    onTestFinished(() => gateway.close());
    await run(gateway.port, LANE_KILLS, async () => {
      await [...workers].at(0)?.terminate();
    });
  });

  test('and with a process that is killed, likewise', { timeout: 60_000 }, async () => {
    const port = await freePort();
    const folder = await mkdtemp(join(tmpdir(), 'threadgate-'));
    const args = [appFile('guaranteed.mjs'), '--port', String(port), '--lanes', '2', '--session-dir', folder];
    const start = async () => {
      const command = startCommand(args);
      await command.port();
      return command;
    };
    let command = await start();
    await run(port, PROCESS_KILLS, async () => {
      command.kill('SIGKILL');
      await command.ended;
      command = await start();
    });
    command.kill('SIGKILL');
    await command.ended;
    await rm(folder, { recursive: true });
  });
});
