/** Clients that do not read: what waits for them is bounded, known on every lane, and delays nobody else. */
import { describe, expect, test } from 'vitest';
import { startCommand } from '../support/child.js';
import { connectMany } from '../support/client.js';
import { appFile, startGateway } from '../support/gateway.js';
import { closeOf, Opcode, openRawWebSocket, type RawSocket } from '../support/raw.js';
import { connectRunner, type Runner } from '../support/runner.js';
import { until } from '../support/until.js';

const KiB = 1024;
const MiB = KiB * KiB;

interface Stalled {
  raw: RawSocket;
  id: string;
  /** On the lane of the stalled connection, and on the other one. */
  own: Runner;
  other: Runner;
}

/** A client that reads nothing, and a connection on either lane to look at it from. */
async function stalledClient(port: number): Promise<Stalled> {
  const raw = await openRawWebSocket(port);
  raw.pause();
  const other = await connectRunner(port);
  const id = await other.run(peer => [...peer.peers].filter(p => p !== peer).map(p => p.id)[0]);
  const own = await connectRunner(port);
  if (id === undefined) throw new Error('the raw client is not there');
  if ((await own.run(peer => peer.gateway.lane)) === (await other.run(peer => peer.gateway.lane))) {
    throw new Error('both watchers are on one lane');
  }
  return { raw, id, own, other };
}

/** Sends numbered frames of `size` bytes until the connection is closed for it. @returns how many were accepted */
function sendUntilClosed(from: Runner, id: string, size: number): Promise<number> {
  return from.run(
    async (_peer, { find, argument }) => {
      const target = find(argument.id);
      for (let sent = 0; ; sent++) {
        const frame = Buffer.alloc(argument.size);
        frame.writeUInt32LE(sent);
        if (target.send(frame) === 0) return sent;
        // Main is to take it before the next one.
        await new Promise(resolve => setTimeout(resolve, 1));
      }
    },
    { id, size },
  );
}

/** Sends until the kernel takes no more and `atLeast` bytes wait on the main thread. */
async function fill({ own, other, id }: Stalled, atLeast: number, from = own): Promise<void> {
  // The lane that sends counts what main has not taken yet as well; the other one sees what waits for the client.
  const watcher = from === own ? other : own;
  do {
    await from.run(
      (_peer, { find, argument }) => {
        for (let i = 0; i < 4; i++) find(argument.id).send(Buffer.alloc(argument.size));
      },
      { id, size: atLeast >> 3 },
    );
  } while ((await buffered(watcher, id)) < atLeast);
}

function buffered(from: Runner, id: string): Promise<number> {
  return from.run((_peer, { find, argument }) => find(argument).bufferedAmount, id);
}

describe('a client that stops reading', () => {
  test.each(['own', 'other'] as const)(
    'is closed with 1013 once too much waits for it, and finds everything before the close without a gap (sent from its %s lane)',
    async lane => {
      const gateway = await startGateway('run.mjs', { lanes: 2, maxBackpressure: 256 * KiB });
      const stalled = await stalledClient(gateway.port);
      const sent = await sendUntilClosed(stalled[lane], stalled.id, 32 * KiB);
      await until('it is closed', () => gateway.stats.connections.closedByCause['slow-consumer'] === 1);
      stalled.raw.resume();
      let count = 0;
      for (;;) {
        const frame = await stalled.raw.nextFrame();
        if (frame.opcode === Opcode.close) {
          expect(closeOf(frame)).toEqual({ code: 1013, reason: 'slow consumer' });
          break;
        }
        expect(frame.payload.readUInt32LE()).toBe(count++);
      }
      expect(count).toBeGreaterThan(8);
      expect(count).toBeLessThanOrEqual(sent);
    },
  );

  test('in the middle of one large burst is closed, with what went out whole', async () => {
    const gateway = await startGateway('run.mjs', { lanes: 2, maxBackpressure: MiB });
    const { raw, id, own } = await stalledClient(gateway.port);
    await own.run((_peer, { find, argument }) => {
      const target = find(argument);
      for (let i = 0; i < 1000; i++) {
        const frame = Buffer.alloc(32 * 1024);
        frame.writeUInt32LE(i);
        target.send(frame);
      }
    }, id);
    await until('it is closed', () => gateway.stats.connections.closedByCause['slow-consumer'] === 1);
    raw.resume();
    let count = 0;
    for (let frame = await raw.nextFrame(); frame.opcode !== Opcode.close; frame = await raw.nextFrame()) {
      expect(frame.payload.readUInt32LE()).toBe(count++);
    }
    expect(count).toBeLessThan(1000);
  });

  test('does not make the gateway keep more than the bound', async () => {
    const gateway = await startGateway('run.mjs', { lanes: 2, maxBackpressure: 512 * KiB });
    const { id, own, other } = await stalledClient(gateway.port);
    const filling = sendUntilClosed(own, id, 16 * KiB);
    let most = 0;
    await until('it is closed', async () => {
      const open = await other.run((peer, { argument }) => {
        for (const target of peer.peers) if (target.id === argument) return target.bufferedAmount;
        return -1;
      }, id);
      most = Math.max(most, open);
      return open === -1;
    });
    await filling;
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThanOrEqual(512 * KiB + 16 * KiB);
  });

  test('is closed too when what waits for it was published', async () => {
    const gateway = await startGateway('run.mjs', { lanes: 2, maxBackpressure: 256 * KiB });
    const { raw, id, own, other } = await stalledClient(gateway.port);
    await own.run((_peer, { find, argument }) => find(argument).subscribe('t'), id);
    await other.run(async (_peer, { gateway, find, argument }) => {
      const target = find(argument);
      for (let i = 0; target.websocket.readyState === 1; i++) {
        const frame = Buffer.alloc(16 * 1024);
        frame.writeUInt32LE(i);
        gateway.publish('t', frame);
        // Main is to take it before the next one.
        await new Promise(resolve => setTimeout(resolve, 1));
      }
    }, id);
    expect(gateway.stats.connections.closedByCause).toEqual({ 'slow-consumer': 1 });
    raw.resume();
    let count = 0;
    for (let frame = await raw.nextFrame(); frame.opcode !== Opcode.close; frame = await raw.nextFrame()) {
      expect(frame.payload.readUInt32LE()).toBe(count++);
    }
    expect(count).toBeGreaterThan(8);
  });

  test('among a thousand subscribers changes nothing for the 999', async () => {
    const gateway = await startGateway('run.mjs', { lanes: 2, maxBackpressure: 64 * KiB });
    const stalled = await stalledClient(gateway.port);
    const { raw, own } = stalled;
    const readers = await connectMany(gateway.port, 999);
    await own.run(peer => {
      for (const other of peer.peers) if (other !== peer) other.subscribe('news');
    });
    // Its kernel buffers are full from here on, though they may still grow a little: so publish until it is closed,
    // and no faster than the 999 read.
    await fill(stalled, 32 * KiB);
    const closed = (): number => gateway.stats.connections.closedByCause['slow-consumer'] ?? 0;
    const deadline = performance.now() + 30_000;
    for (let first = 0; closed() === 0 && performance.now() < deadline; first += 10) {
      await own.run((_peer, { gateway, argument }) => {
        for (let i = 0; i < 10; i++) gateway.publish('news', `${Number(argument) + i} ${'x'.repeat(1000)}`);
      }, String(first));
      for (const reader of readers) {
        const numbers = (await reader.take(10)).map(text => Number.parseInt(String(text), 10));
        expect(numbers).toEqual(Array.from({ length: 10 }, (_, i) => first + i));
      }
    }
    expect(gateway.stats.connections.closedByCause).toEqual({ 'slow-consumer': 1 });
    raw.destroy();
  }, 40_000);
});

describe('what waits for a client', () => {
  test('is 0 for one that reads', async () => {
    const { port } = await startGateway('run.mjs');
    const client = await connectRunner(port);
    await client.run(peer => peer.send('x'.repeat(10_000)));
    await client.next();
    await until('nothing waits', () => client.run(peer => peer.bufferedAmount === 0));
  });

  test('counts at once what was just sent, on the lane that sent it', async () => {
    const { port } = await startGateway('run.mjs');
    const client = await connectRunner(port);
    const amounts = await client.run(peer => {
      const before = peer.bufferedAmount;
      peer.send('x'.repeat(1000));
      peer.send(new Uint8Array(234));
      return [before, peer.bufferedAmount, peer.websocket.bufferedAmount];
    });
    expect(amounts).toEqual([0, 1234, 1234]);
  });

  test('is the same on every lane, and falls to 0 when the client reads again', async () => {
    const { port } = await startGateway('run.mjs', { lanes: 2, maxBackpressure: 64 * MiB });
    const stalled = await stalledClient(port);
    const { raw, id, own, other } = stalled;
    await fill(stalled, 4 * MiB);
    await until('both lanes see the same', async () => {
      const seen = [await buffered(own, id), await buffered(other, id)];
      return seen[0] === seen[1] && (seen[0] ?? 0) >= 4 * MiB;
    });
    raw.resume();
    for (const lane of [own, other])
      await until('nothing waits', async () => (await buffered(lane, id)) === 0);
  });
});

describe('waitForDrain', () => {
  test.each(['own', 'other'] as const)(
    'resolves when the client reads again (on its %s lane)',
    async lane => {
      const { port } = await startGateway('run.mjs', { lanes: 2, maxBackpressure: 64 * MiB });
      const stalled = await stalledClient(port);
      await fill(stalled, 2 * MiB, stalled[lane]);
      const watcher = stalled[lane];
      await watcher.run((_peer, { find, kept, argument }) => {
        kept.set('drained', false);
        find(argument)
          .waitForDrain({ pollInterval: 5 })
          .then(() => kept.set('drained', true));
      }, stalled.id);
      expect(await watcher.run((_peer, { kept }) => kept.get('drained'))).toBe(false);
      stalled.raw.resume();
      await until('it has drained', () => watcher.run((_peer, { kept }) => kept.get('drained') === true));
      expect(await buffered(watcher, stalled.id)).toBe(0);
    },
  );

  test('resolves at a threshold', async () => {
    const { port } = await startGateway('run.mjs', { lanes: 2, maxBackpressure: 64 * MiB });
    const stalled = await stalledClient(port);
    const { id, own } = stalled;
    await fill(stalled, 2 * MiB);
    // It never reads: only the threshold lets this through.
    const amount = await buffered(own, id);
    await own.run(
      async (_peer, { find, argument }) => find(argument.id).waitForDrain({ threshold: argument.amount }),
      { id, amount: amount * 2 },
    );
  });

  test('rejects with the reason of its signal', async () => {
    const { port } = await startGateway('run.mjs', { lanes: 2, maxBackpressure: 64 * MiB });
    const stalled = await stalledClient(port);
    const { id, own } = stalled;
    await fill(stalled, 2 * MiB);
    const before = own.run(
      async (_peer, { find, argument }) =>
        find(argument).waitForDrain({ signal: AbortSignal.abort(new Error('before')) }),
      id,
    );
    await expect(before).rejects.toThrow('before');
    const meanwhile = own.run(async (_peer, { find, argument }) => {
      const abort = new AbortController();
      setImmediate(() => abort.abort(new Error('meanwhile')));
      await find(argument).waitForDrain({ signal: abort.signal });
    }, id);
    await expect(meanwhile).rejects.toThrow('meanwhile');
  });

  test('resolves when the connection goes', async () => {
    const { port } = await startGateway('run.mjs', { lanes: 2, maxBackpressure: 64 * MiB });
    const stalled = await stalledClient(port);
    const { raw, id, own } = stalled;
    await fill(stalled, 2 * MiB);
    await own.run((_peer, { find, kept, argument }) => {
      kept.set('drained', find(argument).waitForDrain({ pollInterval: 5 }));
    }, id);
    raw.destroy();
    await own.run(async (_peer, { kept }) => kept.get('drained'));
  });
});

describe('the drain hook', () => {
  test('runs on the lane of the connection when what waited has gone out', async () => {
    const { port } = await startGateway('run.mjs', { lanes: 2, maxBackpressure: 64 * MiB });
    const stalled = await stalledClient(port);
    const { raw, id, own, other } = stalled;
    await fill(stalled, 2 * MiB);
    const drains = (runner: Runner) =>
      runner.run(
        (_peer, { seen, argument }) =>
          seen.filter(s => s.hook === 'drain' && s.peer === argument).map(s => s.bufferedAmount),
        id,
      );
    expect(await drains(own)).toEqual([]);
    raw.resume();
    await until('it runs, with nothing left', async () => (await drains(own)).at(-1) === 0);
    expect(await drains(other)).toEqual([]);
  });
});

test('the log tells of a slow consumer: its lane, its id, and how much waited', async () => {
  const child = startCommand([appFile('run.mjs'), '--lanes', '2', '--max-backpressure', '128k']);
  const { raw, id, own } = await stalledClient(await child.port());
  await sendUntilClosed(own, id, 64 * KiB);
  const line = await child.logged('slow consumer');
  expect(line).toMatchObject({ level: 40, connection: id });
  expect(line.waitingBytes).toBeGreaterThan(128 * KiB);
  raw.destroy();
});
