/** Channel and select, on real threads. */
import { describe, expect, test } from 'vitest';
import { fresh, relookNever, seed, start, sync, type Tools } from './threads.js';

const CLOSED = 'ERR_THREADGATE_SYNC_CHANNEL_CLOSED';
const TIMEOUT = 'ERR_THREADGATE_SYNC_TIMEOUT';

describe('on one thread', () => {
  test('values come out as they went in, and in that order', async () => {
    const channel = sync.channel({ capacity: 16, maxBytes: 256 });
    const values = [
      Buffer.from('bytes'),
      new Uint8Array(0),
      'text: ✓ 😀',
      '',
      'lone \ud800',
      { a: [1, new Date(5), new Map([[1, 2n]])] },
      null,
      0,
      new Float64Array([0.5, -1]),
      false,
    ];
    for (const value of values) await channel.sendAsync(value);
    expect(channel.length).toBe(values.length);
    for (const value of values) {
      const received = await channel.receiveAsync();
      if (value instanceof Uint8Array) expect(Buffer.from(received as Uint8Array).equals(value)).toBe(true);
      else expect(received).toEqual(value);
    }
  });

  test('holds as many values as it was made for, round and round', async () => {
    for (const capacity of [1, 3, 8]) {
      const channel = sync.channel<number>({ capacity, maxBytes: 16 });
      for (let round = 0; round < 5; round++) {
        for (let i = 0; i < capacity; i++) expect(channel.trySend(i)).toBe(true);
        expect(channel.trySend(99)).toBe(false);
        for (let i = 0; i < capacity; i++) expect(channel.tryReceive()).toBe(i);
        expect(channel.tryReceive()).toBeUndefined();
      }
    }
  });

  test('what cannot be sent is an error and leaves nothing behind', async () => {
    const channel = sync.channel({ maxBytes: 8 });
    const refused = expect.objectContaining({ code: 'ERR_THREADGATE_SYNC_VALUE' });
    expect(() => channel.trySend(new Uint8Array(9))).toThrow(refused);
    expect(() => channel.trySend(undefined)).toThrow(refused);
    expect(() => channel.trySend(() => {})).toThrow(refused);
    await expect(channel.sendAsync('too long a text')).rejects.toEqual(refused);
    expect(channel.length).toBe(0);
  });

  test('after a close what is there is received, and nothing more is sent', async () => {
    const channel = sync.channel<number>();
    await channel.sendAsync(1);
    await channel.sendAsync(2);
    channel.close();
    channel.close();
    expect(channel.isClosed).toBe(true);
    expect(() => channel.trySend(3)).toThrow(expect.objectContaining({ code: CLOSED }));
    await expect(channel.sendAsync(3)).rejects.toMatchObject({ code: CLOSED });
    expect(await channel.receiveAsync()).toBe(1);
    expect(await channel.receiveAsync()).toBe(2);
    expect(await channel.receiveAsync()).toBeUndefined();
    expect(channel.tryReceive()).toBeUndefined();
  });

  test('a close ends those who wait', async () => {
    relookNever();
    const channel = sync.channel<number>({ capacity: 1 });
    const receivers = [channel.receiveAsync(), channel.receiveAsync()];
    channel.close();
    expect(await Promise.all(receivers)).toEqual([undefined, undefined]);
    const full = sync.channel<number>({ capacity: 1 });
    await full.sendAsync(1);
    const senders = [full.sendAsync(2), full.sendAsync(3)];
    full.close();
    for (const sender of senders) await expect(sender).rejects.toMatchObject({ code: CLOSED });
  });

  test('for await receives until the close', async () => {
    const channel = sync.channel<string>({ capacity: 1 });
    const received: string[] = [];
    const reading = (async () => {
      for await (const value of channel) received.push(value);
    })();
    for (const value of ['a', 'b', 'c']) await channel.sendAsync(value);
    channel.close();
    await reading;
    expect(received).toEqual(['a', 'b', 'c']);
  });

  test('a wait that ends early takes nothing with it', async () => {
    relookNever();
    const channel = sync.channel<number>({ capacity: 1 });
    const first = channel.receiveAsync({ timeout: 5 });
    const second = channel.receiveAsync();
    await expect(first).rejects.toMatchObject({ code: TIMEOUT });
    await channel.sendAsync(1);
    expect(await second).toBe(1);
    await channel.sendAsync(2);
    await expect(channel.sendAsync(3, { timeout: 5 })).rejects.toMatchObject({ code: TIMEOUT });
    expect(await channel.receiveAsync()).toBe(2);
    expect(channel.length).toBe(0);
  });

  test('the main thread is not blocked', () => {
    const channel = sync.channel();
    const blocked = expect.objectContaining({ code: 'ERR_THREADGATE_SYNC_MAIN_THREAD' });
    expect(() => channel.send(1)).toThrow(blocked);
    expect(() => channel.receive()).toThrow(blocked);
    expect(() => sync.select([{ receive: channel }])).toThrow(blocked);
  });
});

describe('across threads', () => {
  test.each([1, 7, 64])(
    'every value is received exactly once, each sender’s in order; capacity %i',
    async capacity => {
      const [received, sent] = await exchange(capacity, 10_000, false);
      expect(received).toBe(sent);
    },
  );

  test(`also with promises, timeouts and tries (TEST_SEED=${seed})`, async () => {
    const [received, sent] = await exchange(5, 1000, true);
    expect(received).toBe(sent);
  });
});

interface Exchange {
  name: string;
  capacity: number;
  perSender: number;
  memory: SharedArrayBuffer;
  allManners: boolean;
}

/** Sends as one of three; sometimes blocking, sometimes not. */
async function sender({
  sync,
  argument: { name, capacity, perSender, allManners, sender },
  random,
}: Tools<Exchange & { sender: number }>): Promise<void> {
  const channel = sync.channel<number[]>(name, { capacity, maxBytes: 64 });
  for (let i = 0; i < perSender; i++) {
    const value = [sender, i];
    const manner = allManners ? random.between(0, 3) : 0;
    if (manner === 0) channel.send(value);
    else if (manner === 1) await channel.sendAsync(value);
    else if (manner === 2) {
      if (!channel.trySend(value)) channel.send(value);
    } else {
      const options = { timeout: random.between(0, 2) };
      const late = (error: { code: string }) => {
        if (error.code !== 'ERR_THREADGATE_SYNC_TIMEOUT') throw error;
        channel.send(value);
      };
      await channel.sendAsync(value, options).catch(late);
    }
  }
}

/** Receives until the end. Checks each sender's order, and that nothing comes twice. @returns how many */
async function receiver({
  sync,
  argument: { name, perSender, memory, allManners },
  random,
}: Tools<Exchange>): Promise<number> {
  const channel = sync.channel<[number, number]>(name);
  const seen = new Uint8Array(memory);
  const last = [-1, -1, -1];
  for (let received = 0; ; received++) {
    const manner = allManners ? random.between(0, 2) : 0;
    const late = (error: { code: string }) => {
      if (error.code !== 'ERR_THREADGATE_SYNC_TIMEOUT') throw error;
      return channel.receive();
    };
    const value =
      manner === 0
        ? channel.receive()
        : manner === 1
          ? await channel.receiveAsync()
          : await channel.receiveAsync({ timeout: random.between(0, 2) }).catch(late);
    if (value === undefined) return received;
    const [sender, i] = value;
    if (i <= (last[sender] as number)) throw new Error(`sender ${sender}: ${i} after ${last[sender]}`);
    last[sender] = i;
    if (Atomics.add(seen, sender * perSender + i, 1) !== 0) throw new Error(`${sender} ${i} came twice`);
  }
}

/** Three senders (one of them this thread) and two receivers. @returns values received and sent */
async function exchange(capacity: number, perSender: number, allManners: boolean): Promise<number[]> {
  relookNever();
  const name = fresh('channel');
  const memory = new SharedArrayBuffer(3 * perSender);
  const common = { name, capacity, perSender, memory, allManners };
  const channel = sync.channel<number[]>(name, { capacity, maxBytes: 64 });
  const receivers = [0, 1].map(() => start(receiver, common));
  const senders = [0, 1].map(i => start(sender, { ...common, sender: i }));
  for (let i = 0; i < perSender; i++) await channel.sendAsync([2, i]);
  await Promise.all(senders.map(thread => thread.result));
  channel.close();
  const counts = await Promise.all(receivers.map(thread => thread.result));
  return [counts.reduce((sum, count) => sum + count, 0), 3 * perSender];
}

describe('the dead leave no hole', () => {
  test('a receiver that died while it waited', async () => {
    const channel = sync.channel<number>();
    const thread = start(({ sync, argument, say }) => {
      say('waits');
      sync.open(argument).receive();
    }, channel.handle);
    await thread.said();
    const receiving = channel.receiveAsync();
    await thread.kill();
    await channel.sendAsync(1);
    expect(await receiving).toBe(1);
  });

  test('a sender that died while it waited for room', async () => {
    const channel = sync.channel<number>({ capacity: 1 });
    await channel.sendAsync(1);
    const thread = start(({ sync, argument, say }) => {
      say('waits');
      sync.open(argument).send(2);
    }, channel.handle);
    await thread.said();
    await thread.kill();
    const sending = channel.sendAsync(3);
    expect(await channel.receiveAsync()).toBe(1);
    await sending;
    expect(await channel.receiveAsync()).toBe(3);
  });
});

describe('select', () => {
  test('does what can be done, sends as well as receives', async () => {
    const full = sync.channel<number>({ capacity: 1 });
    const empty = sync.channel<number>({ capacity: 1 });
    await full.sendAsync(1);
    expect(sync.trySelect([{ receive: empty }, { send: full, value: 2 }])).toBeUndefined();
    expect(sync.trySelect([{ receive: empty }, { receive: full }])).toEqual({ index: 1, value: 1 });
    expect(sync.trySelect([{ receive: empty }, { send: full, value: 2 }])).toEqual({
      index: 1,
      value: undefined,
    });
    expect(await full.receiveAsync()).toBe(2);
    empty.close();
    expect(await sync.selectAsync([{ receive: empty }, { receive: full }])).toEqual({
      index: 0,
      value: undefined,
    });
    expect(() => sync.trySelect([])).toThrow(
      expect.objectContaining({ code: 'ERR_THREADGATE_SYNC_ARGUMENT' }),
    );
  });

  test('waits until something can be done, or its time is over', async () => {
    relookNever();
    const one = sync.channel<number>({ capacity: 1 });
    const other = sync.channel<number>({ capacity: 1 });
    await expect(
      sync.selectAsync([{ receive: one }, { receive: other }], { timeout: 5 }),
    ).rejects.toMatchObject({ code: TIMEOUT });
    const selecting = sync.selectAsync([{ receive: one }, { receive: other }]);
    await other.sendAsync(7);
    expect(await selecting).toEqual({ index: 1, value: 7 });
    await one.sendAsync(1);
    const sending = sync.selectAsync([{ send: one, value: 2 }]);
    expect(await one.receiveAsync()).toBe(1);
    await sending;
    const last = sync.selectAsync([{ receive: other }]);
    other.close();
    expect(await last).toEqual({ index: 0, value: undefined });
  });

  test(`takes every value of several channels exactly once, beside plain receivers (TEST_SEED=${seed})`, async () => {
    relookNever();
    const name = fresh('select');
    const count = 5000;
    const sums = [0, 1, 2].map(i =>
      start(
        ({ sync, argument: { name, i } }) => {
          const channels = [0, 1].map(n =>
            sync.channel<number>(`${name} ${n}`, { capacity: 3, maxBytes: 16 }),
          );
          let sum = 0;
          if (i < 2) {
            const open = new Set(channels);
            while (open.size > 0) {
              const cases = [...open].map(receive => ({ receive: receive as never }));
              const { index, value } = sync.select(cases);
              if (value === undefined) open.delete([...open][index] as never);
              else sum += value as number;
            }
          } else {
            for (const value of channels[0] ?? []) sum += value;
          }
          return sum;
        },
        { name, i },
      ),
    );
    const senders = [0, 1].map(n =>
      start(
        ({ sync, argument: { name, n, count } }) => {
          const channel = sync.channel<number>(`${name} ${n}`, { capacity: 3, maxBytes: 16 });
          for (let i = 1; i <= count; i++) sync.select([{ send: channel as never, value: i }]);
          channel.close();
        },
        { name, n, count },
      ),
    );
    await Promise.all(senders.map(sender => sender.result));
    const received = await Promise.all(sums.map(thread => thread.result));
    expect(received.reduce((sum, one) => sum + one, 0)).toBe(count * (count + 1));
  });
});
