/** Sessions: guaranteed messages over connections that break and lanes that die, seen on the wire. */
import { describe, expect, test } from 'vitest';
import { connect } from '../support/client.js';
import { sharedGateway, startGateway } from '../support/gateway.js';
import { connectSession, newSecret } from '../support/session.js';
import { until } from '../support/until.js';

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

describe('a client that asks for a session', () => {
  const gateway = sharedGateway('session.mjs');

  test('gets one, and is told so before anything else', async () => {
    const client = await connectSession(gateway().port);
    expect(client.socket.protocol).toBe('threadgate.v1');
    expect(client.welcome).toEqual({
      session: expect.stringMatching(/^[0-9a-f]{32}$/),
      resumed: false,
      mark: expect.stringMatching(/^[0-9a-f]{16}$/),
      window: 262_144,
      largest: 1_048_558,
    });
    expect(await client.frame()).toEqual({ kind: 'go', number: 0 });
    expect(await client.next()).toBe('hello');
  });

  test('has the same session on all lanes, and an app sees its name and not its secret', async () => {
    const secret = newSecret();
    const client = await connectSession(gateway().port, { secret });
    await client.next();
    client.send('session');
    expect(await client.next()).toBe(client.welcome.session);
    client.send('headers');
    expect(await client.next()).toBe('[null,"",""]');
    const again = await connectSession(gateway().port, { secret });
    expect(again.welcome).toMatchObject({ session: client.welcome.session, resumed: true });
  });

  test("has the app's subprotocol beside it", async () => {
    const protocols = ['threadgate.v1', 'threadgate.v1+chat', 'other'];
    const client = await connectSession(gateway().port, { protocols });
    expect(client.socket.protocol).toBe('threadgate.v1+chat');
    await client.next();
    client.send('headers');
    expect(await client.next()).toBe('["chat, other","chat","chat"]');
  });

  test('gets the protocol of the app alone where it did not offer both', async () => {
    const protocols = ['chat', 'threadgate.v1', `session.${newSecret()}.0.0`];
    const client = await connect(gateway().port, { protocols });
    expect(client.socket.protocol).toBe('chat');
    expect(await client.next()).toBe('hello');
  });

  test('gets none without a secret, and one who did not ask cannot be guaranteed anything', async () => {
    const client = await connect(gateway().port, { protocols: [] });
    expect(await client.next()).toBe('hello');
    client.send('session');
    expect(await client.next()).toBe('undefined');
    client.send('try');
    expect(await client.next()).toBe('ERR_THREADGATE_NO_SESSION');
  });

  test('gets none where they are switched off', async () => {
    const off = await startGateway('session.mjs', { sessionTtlMs: 0 });
    const protocols = ['chat', 'threadgate.v1', 'threadgate.v1+chat', `session.${newSecret()}.0.0`];
    const client = await connect(off.port, { protocols });
    expect(client.socket.protocol).toBe('chat');
    expect(await client.next()).toBe('hello');
  });
});

describe('guaranteed messages', () => {
  const gateway = sharedGateway('session.mjs');

  test('are handled in order and acknowledged, and so are the answers', async () => {
    const client = await connectSession(gateway().port);
    for (let i = 1; i <= 100; i++) client.message(i, `echo ${i}`);
    expect(await client.texts(100)).toEqual(range(100).map(i => String(i + 1)));
    await client.acknowledged(100);
    expect(gateway().stats.sessions.waitingBytes).toBeGreaterThan(0);
    client.acknowledge(100);
    await until('nothing waits', () => gateway().stats.sessions.waitingBytes === 0);
  });

  test('are dropped when they are doubled, or not the next', async () => {
    const client = await connectSession(gateway().port);
    for (const number of [1, 1, 3, 2, 1, 2, 3]) client.message(number, `echo ${number}`);
    expect(await client.texts(3)).toEqual(['1', '2', '3']);
    await client.acknowledged(3);
    client.message(4, 'echo 4');
    expect(await client.texts(1)).toEqual(['4']);
  });

  test('may be binary, empty, or long', async () => {
    const client = await connectSession(gateway().port);
    const long = Buffer.concat([Buffer.from('binary '), Buffer.alloc(300_000, 7)]);
    client.message(1, Buffer.from('binary '));
    client.message(2, long);
    client.message(3, '');
    expect((await client.frameOf('message')).data).toEqual(Buffer.from('binary '));
    // It is longer than the window: alone it may be on the way.
    client.acknowledge(1);
    expect((await client.frameOf('message')).data).toEqual(long);
    client.acknowledge(2);
    client.message(4, 'echo behind the empty one');
    expect(await client.texts(1)).toEqual(['behind the empty one']);
  });

  test('go beside ordinary ones', async () => {
    const client = await connectSession(gateway().port);
    client.send(Buffer.from('session'));
    client.message(1, 'echo 1');
    client.send('session');
    expect(await client.take(3)).toEqual(['hello', client.welcome.session, client.welcome.session]);
    expect(await client.texts(1)).toEqual(['1']);
  });

  test('count as through when their hook throws', async () => {
    const client = await connectSession(gateway().port);
    client.message(1, 'throw');
    expect(await client.texts(1)).toEqual(['before the throw']);
    await client.acknowledged(1);
  });

  test('leave when the hook is through, while others are not held up', async () => {
    const one = await connectSession(gateway().port);
    const two = await connectSession(gateway().port);
    one.message(1, 'slow 50 x');
    two.message(1, 'echo quick');
    expect(await two.texts(1)).toEqual(['quick']);
    expect(one.frames.filter(({ kind }) => kind === 'message')).toEqual([]);
    expect(await one.texts(2)).toEqual(['began x', 'x']);
  });

  test('are no more on the way than the window, and go on with every acknowledgement', async () => {
    const small = await startGateway('session.mjs', { maxBackpressure: 64 * 1024 });
    const client = await connectSession(small.port);
    client.message(1, 'many 100 8000');
    for (const number of [1, 2, 3, 4]) expect((await client.frameOf('message')).number).toBe(number);
    await client.acknowledged(1);
    expect(client.frames).toEqual([]);
    for (let number = 5; number <= 100; number++) {
      client.acknowledge(number - 4);
      expect(await client.frameOf('message')).toMatchObject({ number });
    }
  });
});

describe('after a reconnect', () => {
  const gateway = sharedGateway('session.mjs');

  test('what was not acknowledged comes again, and only that', async () => {
    const secret = newSecret();
    const first = await connectSession(gateway().port, { secret });
    for (let i = 1; i <= 5; i++) first.message(i, `echo ${i}`);
    expect(await first.texts(5)).toEqual(['1', '2', '3', '4', '5']);
    await first.acknowledged(5);
    first.acknowledge(2);
    await first.disconnect();
    const second = await connectSession(gateway().port, { secret, received: 3, acknowledged: 5 });
    expect(second.welcome).toMatchObject({ resumed: true, mark: first.welcome.mark });
    expect(await second.texts(2)).toEqual(['4', '5']);
    expect(await second.frameOf('go')).toEqual({ kind: 'go', number: 5 });
    second.message(6, 'echo 6');
    expect(await second.texts(1)).toEqual(['6']);
  });

  test('nothing may be sent until the hooks of the connection before are through', async () => {
    const secret = newSecret();
    const first = await connectSession(gateway().port, { secret });
    first.message(1, 'slow 100 one');
    first.message(2, 'slow 100 two');
    await until('they are with a lane', () => gateway().stats.messages.in > 1);
    await first.disconnect();
    const second = await connectSession(gateway().port, { secret });
    second.message(2, 'echo doubled');
    second.message(3, 'echo too soon');
    expect(await second.texts(4)).toEqual(['began one', 'one', 'began two', 'two']);
    expect(await second.frameOf('go')).toEqual({ kind: 'go', number: 2 });
    second.message(3, 'echo three');
    expect(await second.texts(1)).toEqual(['three']);
  });

  test('a connection that is there still is closed with 4409', async () => {
    const secret = newSecret();
    const first = await connectSession(gateway().port, { secret });
    const second = await connectSession(gateway().port, { secret });
    expect(await first.closed).toEqual({
      code: 4409,
      reason: 'the session goes on over another connection',
    });
    second.message(1, 'echo here');
    expect(await second.texts(1)).toEqual(['here']);
  });

  test('what was sent to the closed connection meanwhile comes too', async () => {
    const secret = newSecret();
    const first = await connectSession(gateway().port, { secret });
    first.message(1, 'later 50 afterwards');
    await first.acknowledged(1);
    await first.disconnect();
    await until('it is sent', () => gateway().stats.sessions.waitingBytes > 0);
    const second = await connectSession(gateway().port, { secret });
    expect(await second.texts(1)).toEqual(['afterwards']);
  });

  test('a session that expired is a new one, whose numbers go on', async () => {
    const short = await startGateway('session.mjs', { sessionTtlMs: 30 });
    const secret = newSecret();
    const first = await connectSession(short.port, { secret });
    first.message(1, 'echo lost');
    await first.acknowledged(1);
    await first.disconnect();
    await until('it expired', () => 'expired' in short.stats.sessions.endedByCause);
    expect(short.stats.sessions).toMatchObject({ attached: 0, away: 0, waitingBytes: 0 });
    const second = await connectSession(short.port, { secret, received: 7, acknowledged: 1 });
    expect(second.welcome).toMatchObject({ resumed: false, session: first.welcome.session });
    second.message(2, 'echo here', { sentBefore: true });
    expect(await second.frameOf('message')).toEqual({ kind: 'message', number: 8, data: 'here again' });
  });

  test('one that said bye is over at once', async () => {
    const secret = newSecret();
    const first = await connectSession(gateway().port, { secret });
    first.raw(7);
    await first.close();
    expect((await connectSession(gateway().port, { secret })).welcome.resumed).toBe(false);
  });
});

describe('when a lane ends in the middle of a message', () => {
  test.each([
    ['synchronous', 'die once'],
    ['asynchronous', 'die once later'],
  ])('it is handled again, and what the %s hook had sent is not doubled', async (_, command) => {
    const gateway = await startGateway('session.mjs', { lanes: 1 });
    const client = await connectSession(gateway.port);
    expect(await client.frame()).toEqual({ kind: 'go', number: 0 });
    client.message(1, command);
    client.message(2, 'echo 2');
    // The client is asked for it, and for all that was behind it.
    expect(await client.frame()).toEqual({ kind: 'go', number: 0 });
    client.message(1, command);
    client.message(2, 'echo 2');
    expect(await client.texts(3)).toEqual(['before', 'after', '2']);
    await client.acknowledged(2);
    expect(gateway.stats.sessions).toMatchObject({ handled: 2, redelivered: 1 });
    expect(gateway.stats.messages.lost).toBe(0);
  });

  test('its id is the same at every attempt', async () => {
    const gateway = await startGateway('session.mjs', { lanes: 1 });
    const client = await connectSession(gateway.port);
    client.message(1, 'id');
    expect(await client.texts(1)).toEqual([`${client.welcome.session}:1 false`]);
  });

  test('what others sent to its peer meanwhile is not lost with it', async () => {
    const gateway = await startGateway('session.mjs', { lanes: 1 });
    const [one, two] = [await connectSession(gateway.port), await connectSession(gateway.port)];
    await Promise.all([one.next(), two.next()]);
    await two.frameOf('go');
    two.message(1, 'slow 200 x');
    one.message(1, 'tell news');
    // It leaves when the hook of the one who tells is through, though the other's is not.
    expect(await two.texts(1)).toEqual(['news']);
    one.message(2, 'die');
    expect(await two.frameOf('go')).toEqual({ kind: 'go', number: 0 });
    two.message(1, 'slow 1 x');
    expect(await two.texts(2)).toEqual(['began x', 'x again']);
  });

  test('a message that ends its lane three times is refused, and what is behind it goes on', async () => {
    const gateway = await startGateway('session.mjs', { lanes: 1 });
    const secret = newSecret();
    let client = await connectSession(gateway.port, { secret });
    for (let attempt = 0; attempt < 3; attempt++) {
      await client.frameOf('go');
      client.message(1, 'die');
      client.message(2, 'echo 2');
    }
    expect(await client.frameOf('refused')).toEqual({
      kind: 'refused',
      number: 1,
      reason: 'its messages ended the handler',
    });
    expect(await client.closed).toMatchObject({ code: 1011 });
    client = await connectSession(gateway.port, { secret });
    expect(await client.frameOf('go')).toEqual({ kind: 'go', number: 1 });
    client.message(2, 'echo 2');
    expect(await client.texts(1)).toEqual(['2']);
    expect(gateway.stats.sessions.refused).toBe(1);
  });
});

describe('bounds and bad input', () => {
  test('a client that acknowledges too little loses its session, with 1013', async () => {
    const gateway = await startGateway('session.mjs', { maxSessionBytes: 10_000 });
    const secret = newSecret();
    const client = await connectSession(gateway.port, { secret });
    client.message(1, 'many 20 1000');
    expect(await client.closed).toEqual({ code: 1013, reason: 'guaranteed messages outran the client' });
    expect(gateway.stats.sessions.endedByCause).toEqual({ overflow: 1 });
    expect((await connectSession(gateway.port, { secret })).welcome.resumed).toBe(false);
  });

  test('sessions without a connection are no more than connections may be', async () => {
    const gateway = await startGateway('session.mjs', { maxConnections: 2 });
    for (let i = 0; i < 5; i++) await (await connectSession(gateway.port)).disconnect();
    await until('they are away', () => gateway.stats.sessions.attached === 0);
    expect(gateway.stats.sessions).toMatchObject({ away: 2, endedByCause: { 'crowded-out': 3 } });
  });

  test.each([
    ['an unknown kind', 99, []],
    ['a message without a number', 1, [Buffer.from([0, 0])]],
    ['an acknowledgement without a number', 2, []],
  ])('%s is answered with 4400', async (_, kind, rest) => {
    const gateway = await startGateway('session.mjs');
    const client = await connectSession(gateway.port);
    client.raw(kind, ...rest);
    expect(await client.closed).toEqual({ code: 4400, reason: 'bad frame' });
  });

  test('acknowledging what was never sent does nothing', async () => {
    const gateway = await startGateway('session.mjs');
    const client = await connectSession(gateway.port);
    client.acknowledge(2 ** 53 - 1);
    client.message(1, 'echo 1');
    expect(await client.frameOf('message')).toEqual({ kind: 'message', number: 1, data: '1' });
  });

  test('a ping is answered', async () => {
    const gateway = await startGateway('session.mjs');
    const client = await connectSession(gateway.port);
    client.raw(5);
    await client.frameOf('pong');
  });
});
