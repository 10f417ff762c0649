/** The example `chat` as its clients see it, without the page: rooms, history, and what goes wrong. */
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { ROOT, startCommand } from '../support/child.js';
import { Client, refused } from '../support/client.js';
import { startGateway } from '../support/gateway.js';
import { openRawWebSocket } from '../support/raw.js';
import { until } from '../support/until.js';
import { threads } from './threads.js';

const APP = join(ROOT, 'examples/chat/app.js');

interface Event {
  type: string;
  id: string;
  name?: string;
  text?: string;
  time?: number;
  message?: string;
}

interface Room {
  people: { id: string; name: string }[];
  lines: Event[];
}

/** A person in a room: has come in when this is given. */
class Person extends Client {
  /** Waits for an event of that type; others are skipped. */
  async sees<T = Event>(type: string): Promise<T> {
    for (;;) {
      const event = await this.nextJson<Event>();
      if (event.type === type) return event as T;
    }
  }

  /** The next so many lines: their texts. */
  async hears(count: number): Promise<string[]> {
    const texts: string[] = [];
    while (texts.length < count) texts.push((await this.sees('line')).text ?? '');
    return texts;
  }

  say(text: string, id?: string): void {
    this.send(JSON.stringify({ type: 'line', id, text }));
  }

  look(): Promise<Room> {
    this.send(JSON.stringify({ type: 'room' }));
    return this.sees<Room>('room');
  }
}

async function enter(port: number, room: string, name: string): Promise<Person> {
  const person = new Person(port, { path: `/rooms/${room}?name=${encodeURIComponent(name)}` });
  onTestFinished(() => person.disconnect());
  await once(person.socket, 'open');
  const { id } = await person.sees('welcome');
  while ((await person.sees('joined')).id !== id);
  return person;
}

const texts = (lines: Event[]): string[] => lines.map(({ text = '' }) => text);

test('tells everybody in a room who joined, what was said and who left, and nobody elsewhere', async () => {
  const { port } = await startGateway(APP);
  const ada = await enter(port, 'one', 'Ada');
  const eve = await enter(port, 'two', 'Eve');
  const ben = await enter(port, 'one', 'Ben');
  expect(await ada.sees('joined')).toMatchObject({ name: 'Ben' });
  ada.say('Hello Ben');
  for (const person of [ada, ben]) {
    expect(await person.sees('line')).toMatchObject({ name: 'Ada', text: 'Hello Ben' });
  }
  await ben.close();
  expect(await ada.sees('left')).toMatchObject({ name: 'Ben' });
  expect(await eve.look()).toEqual({
    type: 'room',
    people: [{ id: expect.any(String), name: 'Eve' }],
    lines: [],
  });
  expect(eve.inbox).toEqual([]);
});

test('keeps the last 50 lines, in one order for all lanes', async () => {
  const { port } = await startGateway(APP);
  const people = await Promise.all([1, 2, 3, 4].map(number => enter(port, 'order', `P${number}`)));
  for (let i = 0; i < 20; i++) for (const [p, person] of people.entries()) person.say(`${p} ${i}`);
  const heard = await Promise.all(people.map(person => person.hears(80)));
  const { lines } = await (await enter(port, 'order', 'Late')).look();
  expect(lines.length).toBe(50);
  const times = lines.map(({ time = 0 }) => time);
  expect(times.every((time, i) => i === 0 || time > (times[i - 1] as number))).toBe(true);
  for (const [p] of people.entries()) {
    const own = texts(lines).filter(text => text.startsWith(`${p} `));
    expect(own).toEqual(Array.from({ length: own.length }, (_, i) => `${p} ${20 - own.length + i}`));
  }
  for (const some of heard) expect(some).toEqual(expect.arrayContaining(texts(lines)));
});

test('keeps a line that is sent twice once, with the time that it had', async () => {
  const { port } = await startGateway(APP);
  const people = await Promise.all([1, 2, 3, 4].map(number => enter(port, 'twice', `P${number}`)));
  for (const person of people) person.say('once', 'the-same-id');
  const heard: Event[] = [];
  for (let i = 0; i < 4; i++) heard.push(await (people[0] as Person).sees('line'));
  const { lines } = await (people[0] as Person).look();
  expect(lines.length).toBe(1);
  for (const line of heard) expect(line).toEqual(lines[0]);
});

test('says what is wrong with a line, a name or a room', async () => {
  const { port } = await startGateway(APP);
  const ada = await enter(port, 'wrong', 'Ada');
  for (const sent of ['', 'no JSON', 'null', '{"type":"dance"}', new Uint8Array([255])]) {
    ada.send(sent);
    expect(await ada.sees('error')).toMatchObject({ message: expect.stringContaining('JSON') });
  }
  for (const text of ['', '  ', 'x'.repeat(2001)]) {
    ada.say(text, 'line-to-refuse');
    expect(await ada.sees('error')).toMatchObject({ id: 'line-to-refuse' });
  }
  for (const path of ['/rooms/A?name=Ada', '/rooms/a?name=', '/rooms/a?name=%20', '/a?name=Ada']) {
    expect((await refused(port, { path })).status).toBe(400);
  }
});

test('forgets the rooms that were silent longest, and takes every line', async () => {
  const { port } = await startGateway(APP);
  const long = 'ä'.repeat(2000);
  // 50 lines of 4,000 bytes in each of 25 rooms are more than the 4 MiB of the map.
  const rooms = await Promise.all(Array.from({ length: 25 }, (_, i) => enter(port, `room-${i}`, 'Ada')));
  for (const person of rooms) {
    for (let i = 0; i < 50; i++) person.say(long);
    await person.hears(50);
  }
  const counts: number[] = [];
  for (const person of rooms) counts.push((await person.look()).lines.length);
  expect(counts).toEqual([...counts].sort((a, b) => a - b)); // 0 for the first ones, 50 for the others
  expect(new Set(counts)).toEqual(new Set([0, 50]));
  expect(counts.filter(count => count === 0).length).toBeLessThan(15);
});

test('loses neither people nor history when lanes die or their code is replaced', async () => {
  const gateway = await startGateway(APP);
  const lanes = threads().slice(-2);
  const ada = await enter(gateway.port, 'faults', 'Ada');
  const ben = await enter(gateway.port, 'faults', 'Ben');
  ada.say('before');
  await ben.hears(1);
  for (const lane of lanes) await lane.terminate();
  ben.say('after the deaths');
  expect(await ada.hears(2)).toEqual(['before', 'after the deaths']);
  await gateway.reload();
  ada.say('after the reload');
  expect(await ben.hears(2)).toEqual(['after the deaths', 'after the reload']);
  const { people, lines } = await ben.look();
  expect(texts(lines)).toEqual(['before', 'after the deaths', 'after the reload']);
  expect(people.map(({ name }) => name).sort()).toEqual(['Ada', 'Ben']);
});

test('a client that does not read is closed, and holds up nobody', async () => {
  const gateway = await startGateway(APP, { maxBackpressure: 64 * 1024 });
  const ada = await enter(gateway.port, 'slow', 'Ada');
  const ben = await enter(gateway.port, 'slow', 'Ben');
  const slow = await openRawWebSocket(gateway.port, '/rooms/slow?name=Slow');
  slow.pause();
  await ada.sees('joined'); // Ben
  expect(await ada.sees('joined')).toMatchObject({ name: 'Slow' });
  const closed = (): number => gateway.stats.connections.closedByCause['slow-consumer'] ?? 0;
  const AT_ONCE = 25;
  let lines = 0;
  // What the sockets' own buffers take comes first, some megabytes.
  for (; closed() === 0; lines += AT_ONCE) {
    for (let i = 0; i < AT_ONCE; i++) ada.say(`${lines + i} `.padEnd(2000, 'x'));
    for (const person of [ada, ben]) {
      const numbers = (await person.hears(AT_ONCE)).map(text => Number.parseInt(text, 10));
      expect(numbers).toEqual(numbers.map((_, i) => lines + i));
    }
  }
  expect(lines).toBeGreaterThan(32); // the 64 KiB that may wait for it, at least
  expect(gateway.stats.connections.closedByCause).toEqual({ 'slow-consumer': 1 });
  // That it left may have been told between two lines.
  await until('it has left', async () => (await ben.look()).people.length === 2);
});

test('drops who is gone without a word, and no one who answers pings', async () => {
  const gateway = await startGateway(APP, { idleTimeout: 8 }); // seconds, the shortest there is
  const ada = await enter(gateway.port, 'silent', 'Ada');
  await openRawWebSocket(gateway.port, '/rooms/silent?name=Gone'); // answers no ping
  expect(await ada.sees('left')).toMatchObject({ name: 'Gone' });
  expect(ada.pings.length).toBeGreaterThan(0);
  expect((await ada.look()).people.map(({ name }) => name)).toEqual(['Ada']);
}, 30_000);

test('ends in good order: all have seen the same lines, and are told that they are closed', async () => {
  const child = startCommand([APP, '--lanes', '2']);
  const port = await child.port();
  const people = await Promise.all([1, 2, 3, 4].map(number => enter(port, 'end', `P${number}`)));
  for (let i = 0; i < 100; i++) for (const person of people) person.say(String(i));
  await (people[0] as Person).hears(1);
  child.kill('SIGTERM');
  for (const person of people) expect(await person.closed).toMatchObject({ code: 1001 });
  expect((await child.ended).code).toBe(0);
  expect(child.log.filter(({ level }) => level > 30)).toEqual([]);
  const heard = people.map(({ inbox }) =>
    inbox.map(text => JSON.parse(String(text)) as Event).filter(({ type }) => type === 'line'),
  );
  for (const lines of heard) {
    for (const { name } of lines) {
      const numbers = texts(lines.filter(line => line.name === name)).map(Number);
      expect(numbers).toEqual(numbers.map((_, i) => (numbers[0] as number) + i)); // no gap
    }
  }
});

test('serves the page and the modules of the client, and nothing else', async () => {
  const { port } = await startGateway(APP);
  const get = (path: string): Promise<Response> => fetch(`http://127.0.0.1:${port}${path}`);
  expect(await (await get('/')).text()).toContain('<title>threadgate chat</title>');
  expect((await get('/client/index.js')).headers.get('content-type')).toContain('text/javascript');
  for (const path of [
    '/app.js',
    '/client/',
    '/client/index.d.ts',
    '/client/../index.js',
    '/client/%2e%2e/index.js',
  ]) {
    expect((await get(path)).status).toBe(404);
  }
});
