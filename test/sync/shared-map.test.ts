/** SharedMap, on real threads. */
import { describe, expect, test } from 'vitest';
import { hashOf } from '../../dist/src/sync/map-memory.js';
import { Random } from '../support/random.js';
import { fresh, relookNever, seed, start, sync } from './threads.js';

const FULL = 'ERR_THREADGATE_SYNC_FULL';

/** How many values of that size go into an empty map. */
async function room(map: InstanceType<typeof sync.SharedMap>, bytes: number): Promise<number> {
  for (let i = 0; ; i++) {
    try {
      await map.setAsync(`fill ${i}`, Buffer.alloc(bytes));
    } catch (error) {
      expect(error).toMatchObject({ message: expect.stringContaining('have no room') });
      return i;
    }
  }
}

describe('on one thread', () => {
  test('gives back what was set', async () => {
    const map = sync.sharedMap({ bytes: 4096, entries: 16 });
    expect(map.get('a')).toBeUndefined();
    await map.setAsync('a', Buffer.from('one'));
    await map.setAsync('ключ 😀', new Uint8Array(0));
    await map.setAsync('', Buffer.from('empty key'));
    expect(Buffer.from(map.get('a') ?? []).toString()).toBe('one');
    expect(map.get('ключ 😀')).toHaveLength(0);
    expect(Buffer.from(map.get('') ?? []).toString()).toBe('empty key');
    expect([map.size, map.has('a'), map.has('b')]).toEqual([3, true, false]);
    expect([...map.keys()].sort()).toEqual(['', 'a', 'ключ 😀']);
    expect(await map.deleteAsync('a')).toBe(true);
    expect(await map.deleteAsync('a')).toBe(false);
    expect([map.size, map.get('a')]).toEqual([2, undefined]);
  });

  test('what was got is a copy', async () => {
    const map = sync.sharedMap({ bytes: 1024, entries: 4 });
    await map.setAsync('a', Buffer.from([1]));
    const got = map.get('a') as Uint8Array;
    got[0] = 9;
    expect(map.get('a')?.[0]).toBe(1);
  });

  test('updates under the entry’s lock', async () => {
    const map = sync.sharedMap({ bytes: 1024, entries: 4 });
    const add = (old: Uint8Array | undefined) => Buffer.from([(old?.[0] ?? 0) + 1]);
    expect((await map.updateAsync('n', add))?.[0]).toBe(1);
    await Promise.all(Array.from({ length: 20 }, () => map.updateAsync('n', async old => add(old))));
    expect(map.get('n')?.[0]).toBe(21);
    expect(await map.updateAsync('n', () => undefined)).toBeUndefined();
    expect(map.size).toBe(0);
    await expect(map.updateAsync('x', () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect([map.size, map.has('x')]).toEqual([0, false]);
    await map.setAsync('n', Buffer.from([5]));
    await expect(map.updateAsync('n', () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(map.get('n')?.[0]).toBe(5);
    await expect(
      map.updateAsync('n', () => map.setAsync('n', Buffer.from('1')) as never),
    ).rejects.toMatchObject({ code: 'ERR_THREADGATE_SYNC_DEADLOCK' });
  });

  test('is bounded by its entries and by its bytes, and says so', async () => {
    const map = sync.sharedMap({ bytes: 4096, entries: 3 });
    for (const key of ['a', 'b', 'c']) await map.setAsync(key, Buffer.from(key));
    await expect(map.setAsync('d', Buffer.from('d'))).rejects.toMatchObject({ code: FULL });
    await expect(map.setAsync('a', Buffer.alloc(4096))).rejects.toMatchObject({ code: FULL });
    expect(Buffer.from(map.get('a') ?? []).toString()).toBe('a');
    await map.deleteAsync('b');
    await expect(map.setAsync('d', Buffer.alloc(4096))).rejects.toMatchObject({ code: FULL });
    expect(map.has('d')).toBe(false);
    await map.setAsync('d', Buffer.from('d'));
    expect(map.size).toBe(3);
    expect(() => map.set('a', Buffer.from('a'))).toThrow(
      expect.objectContaining({ code: 'ERR_THREADGATE_SYNC_MAIN_THREAD' }),
    );
    await expect(map.setAsync('a', 'text' as never)).rejects.toMatchObject({
      code: 'ERR_THREADGATE_SYNC_VALUE',
    });
  });

  test('what a writer that gave up had begun does not use up an entry', async () => {
    const map = sync.sharedMap({ bytes: 4096, entries: 1 });
    let go = () => {};
    const updating = map.updateAsync('a', () => new Promise(resolve => (go = () => resolve(undefined))));
    await expect(map.setAsync('a', Buffer.from('a'), { timeout: 5 })).rejects.toMatchObject({
      code: 'ERR_THREADGATE_SYNC_TIMEOUT',
    });
    await expect(map.setAsync('b', Buffer.from('b'))).rejects.toMatchObject({ code: FULL });
    go();
    await updating;
    await map.setAsync('b', Buffer.from('b'));
    expect([...map.keys()]).toEqual(['b']);
  });

  test('keys are strings of any length', async () => {
    const map = sync.sharedMap({ bytes: 2 ** 20, entries: 4 });
    const long = 'ключ'.repeat(50_000);
    await map.setAsync(long, Buffer.from('1'));
    await map.setAsync('lone \ud800', Buffer.from('2'));
    expect([...map.keys()].sort()).toEqual(['lone \ud800', long].sort());
    const refused = expect.objectContaining({ code: 'ERR_THREADGATE_SYNC_ARGUMENT' });
    expect(() => map.get(5 as never)).toThrow(refused);
    await expect(map.setAsync(undefined as never, Buffer.from('3'))).rejects.toEqual(refused);
    await expect(map.deleteAsync({} as never)).rejects.toEqual(refused);
    expect(map.size).toBe(2);
  });

  test(`does what a Map does, whatever the sizes (TEST_SEED=${seed})`, async () => {
    const random = new Random(seed);
    const map = sync.sharedMap({ bytes: 64 * 1024, entries: 50 });
    const model = new Map<string, Buffer>();
    let full = 0;
    for (let i = 0; i < 8000; i++) {
      const key = `key ${random.between(0, 59)}`;
      if (random.chance(0.25)) {
        expect(await map.deleteAsync(key)).toBe(model.delete(key));
      } else if (random.chance(0.5)) {
        const value = Buffer.alloc(
          random.chance(0.05) ? random.between(0, 20_000) : random.between(0, 200),
          i,
        );
        try {
          await map.setAsync(key, value);
          model.set(key, value);
        } catch (error) {
          expect(error).toMatchObject({ code: FULL });
          full++;
        }
      } else {
        const got = map.get(key);
        expect(got === undefined ? undefined : Buffer.from(got)).toEqual(model.get(key));
      }
    }
    expect(full).toBeGreaterThan(10);
    expect(map.size).toBe(model.size);
    expect([...map].map(([key]) => key).sort()).toEqual([...model.keys()].sort());
    for (const key of model.keys()) await map.deleteAsync(key);
    // No byte was lost, though one value may no longer fit in because the free bytes lie in two pieces.
    const fresh = sync.sharedMap({ bytes: 64 * 1024, entries: 50 });
    expect(await room(map, 2000)).toBeGreaterThanOrEqual((await room(fresh, 2000)) - 1);
  });
});

describe('across threads', () => {
  test('readers of an entry go on while it is updated', async () => {
    const map = sync.sharedMap({ bytes: 4096, entries: 4 });
    await map.setAsync('a', Buffer.from('old'));
    const thread = start(({ sync, argument, say }) => {
      sync.open(argument).update('a', () => {
        say('updates');
        for (const until = performance.now() + 30; performance.now() < until; );
        return new Uint8Array([1]);
      });
    }, map.handle);
    await thread.said();
    expect(Buffer.from(map.get('a') ?? []).toString()).toBe('old');
    await map.setAsync('b', Buffer.from('another entry'));
    expect(Buffer.from(map.get('a') ?? []).toString()).toBe('old');
    await map.updateAsync('a', old => {
      expect(old).toHaveLength(1);
      return old;
    });
  });

  test('who comes after the death of an updater has the last whole value and is told', async () => {
    const map = sync.sharedMap({ bytes: 4096, entries: 4 });
    await map.setAsync('a', Buffer.from('old'));
    const thread = start(({ sync, argument, say }) => {
      sync.open(argument).update('a', () => {
        say('updates');
        for (;;);
      });
    }, map.handle);
    await thread.said();
    await thread.kill();
    let died: number | undefined;
    await map.updateAsync('a', (old, { ownerDied }) => {
      died = ownerDied?.threadId;
      expect(Buffer.from(old ?? []).toString()).toBe('old');
      return old;
    });
    expect(died).toBe(thread.id);
  });

  test('an entry that a dead thread left without a value can be used again, also when that made room', async () => {
    const map = sync.sharedMap({ bytes: 2048, entries: 4 });
    const thread = start(({ sync, argument, say }) => {
      sync.open(argument).update('dead '.repeat(100), () => {
        say('updates');
        for (;;);
      });
    }, map.handle);
    await thread.said();
    await thread.kill();
    await map.setAsync('a', Buffer.alloc(900));
    // Its key alone has no room but that of the dead one's.
    await expect(map.setAsync('b'.repeat(300), Buffer.alloc(900))).rejects.toMatchObject({ code: FULL });
    await map.deleteAsync('a');
    for (const key of ['1', '2', '3', '4']) await map.setAsync(key, Buffer.from(key));
    expect(map.size).toBe(4);
  });

  test('a key that stays is always found, whatever comes and goes in its chain', async () => {
    // Of the 16 chains, the one that the first key is on; it is the last one there.
    const keys = Array.from({ length: 500 }, (_, i) => `key ${i}`);
    const chain = (key: string) => hashOf(key) & 15;
    const [stays, ...others] = keys.filter(key => chain(key) === chain(keys[0] as string)).slice(0, 14);
    const map = sync.sharedMap({ bytes: 8192, entries: 16 });
    await map.setAsync(stays as string, Buffer.from('here'));
    const context = sync.context();
    const churning = start(
      ({ sync, argument: { handle, ends, others } }) => {
        const map = sync.open(handle);
        const context = sync.open(ends);
        while (!context.isDone) {
          for (const key of others) map.set(key, new Uint8Array(0));
          for (const key of others) map.delete(key);
        }
      },
      { handle: map.handle, ends: context.handle, others },
    );
    const missed = await start(
      ({ sync, argument: { handle, stays } }) => {
        const map = sync.open(handle);
        let missed = 0;
        for (let i = 0; i < 1_000_000; i++) if (map.get(stays as string) === undefined) missed++;
        return missed;
      },
      { handle: map.handle, stays },
    ).result;
    context.cancel();
    await churning.result;
    expect(missed).toBe(0);
  });

  test(`no reader ever sees half a value or another key's (TEST_SEED=${seed})`, async () => {
    relookNever();
    const name = fresh('map');
    const options = { bytes: 32 * 1024, entries: 12 };
    sync.sharedMap(name, options);
    const threads = [0, 1, 2].map(() =>
      start(
        async ({ sync, argument: { name, options }, random }) => {
          const map = sync.sharedMap(name, options);
          /** Every byte of a value is its key's number, and the first four its length. */
          const check = (number: number, value: Uint8Array | undefined) => {
            if (value === undefined) return;
            const length = new DataView(value.buffer, value.byteOffset).getUint32(0);
            if (length !== value.length) throw new Error(`${value.length} bytes of ${length}`);
            for (let i = 4; i < length; i++) if (value[i] !== number) throw new Error('half a value');
          };
          const make = (number: number) => {
            const value = new Uint8Array(random.between(4, 400)).fill(number);
            new DataView(value.buffer).setUint32(0, value.length);
            return value;
          };
          let found = 0;
          for (let i = 0; i < 20_000; i++) {
            const number = random.between(0, 15);
            const key = `key ${number}`;
            const chosen = random.next();
            try {
              if (chosen < 0.1) map.delete(key);
              else if (chosen < 0.3) map.set(key, make(number));
              else if (chosen < 0.31) await map.setAsync(key, make(number));
              else if (chosen < 0.4) {
                map.update(key, old => {
                  check(number, old);
                  return make(number);
                });
              } else {
                const value = map.get(key);
                check(number, value);
                if (value !== undefined) found++;
              }
            } catch (error) {
              if ((error as { code: string }).code !== 'ERR_THREADGATE_SYNC_FULL') throw error;
            }
          }
          return found;
        },
        { name, options },
      ),
    );
    const found = await Promise.all(threads.map(thread => thread.result));
    expect(Math.min(...found)).toBeGreaterThan(1000);
    const map = sync.sharedMap(name, options);
    for (const key of [...map.keys()]) await map.deleteAsync(key);
    expect(map.size).toBe(0);
    expect(await room(map, 4000)).toBeGreaterThanOrEqual((await room(sync.sharedMap(options), 4000)) - 1);
  });

  test(`no entry is lost or used twice where there are more keys than entries (TEST_SEED=${seed})`, async () => {
    relookNever();
    const map = sync.sharedMap({ bytes: 1024, entries: 3 });
    const threads = [0, 1, 2].map(() =>
      start(async ({ sync, argument, random }) => {
        const map = sync.open(argument);
        const refused = ['ERR_THREADGATE_SYNC_FULL', 'ERR_THREADGATE_SYNC_TIMEOUT', 'not now'];
        for (let i = 0; i < 20_000; i++) {
          const key = 'key'.repeat(random.between(1, 20));
          const value = new Uint8Array(random.between(0, 300));
          const chosen = random.next();
          try {
            if (chosen < 0.4) map.delete(key);
            else if (chosen < 0.7) map.set(key, value);
            else if (chosen < 0.8) map.set(key, value, { timeout: 0 });
            else if (chosen < 0.85) await map.setAsync(key, value, { timeout: 0 });
            else {
              map.update(key, () => {
                if (random.chance(0.3)) throw Object.assign(new Error('not now'), { code: 'not now' });
                return random.chance(0.5) ? value : undefined;
              });
            }
          } catch (error) {
            if (!refused.includes((error as { code: string }).code)) throw error;
          }
        }
      }, map.handle),
    );
    await Promise.all(threads.map(thread => thread.result));
    for (const key of [...map.keys()]) await map.deleteAsync(key);
    expect(map.size).toBe(0);
    for (const key of ['1', '2', '3']) await map.setAsync(key, Buffer.alloc(200));
    expect([...map.keys()].sort()).toEqual(['1', '2', '3']);
  });

  test('updates of one entry by many threads all count', async () => {
    relookNever();
    const name = fresh('map');
    const options = { bytes: 8192, entries: 4 };
    const body = ({ sync, argument: { name, options } }: never) => {
      const map = (sync as typeof import('../../dist/src/sync/index.js')).sharedMap(name, options);
      for (let i = 0; i < 3000; i++) {
        map.update('n', old => {
          const value = new Uint8Array(4);
          const seen = old === undefined ? 0 : new DataView(old.buffer, old.byteOffset).getUint32(0);
          new DataView(value.buffer).setUint32(0, seen + 1);
          return value;
        });
      }
    };
    const threads = [0, 1, 2].map(() => start(body as never, { name, options } as never));
    await Promise.all(threads.map(thread => thread.result));
    const value = sync.sharedMap(name, options).get('n') as Uint8Array;
    expect(Buffer.from(value).readUInt32BE(0)).toBe(9000);
  });
});
