/** HTTP: every request that is no upgrade goes to `fetch` on a lane. */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type RequestListener, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { sharedGateway, startGateway } from '../support/gateway.js';
import { openRaw } from '../support/raw.js';
import { until } from '../support/until.js';

const gateway = sharedGateway('http.mjs', { lanes: 2 });
let base = '';
beforeAll(() => {
  base = `http://127.0.0.1:${gateway().port}`;
});

interface Echo {
  method: string;
  url: string;
  headers: Record<string, string>;
  body: string;
  bodyUsed: boolean;
}

interface Seen {
  aborted: number;
  cancelled: number;
  pulled: number;
  waiting: number;
}

async function echo(path: string, init?: RequestInit): Promise<Echo> {
  return (await (await fetch(base + path, init)).json()) as Echo;
}

/** An answer down to the wire: `fetch` hides too much. */
async function rawRequest(port: number, text: string): Promise<{ head: string; body: string }> {
  const raw = await openRaw(port);
  raw.write(text);
  const head = await raw.readUntil('\r\n\r\n');
  const body = await raw.readToEnd();
  return { head, body };
}

function get(path: string, method = 'GET'): string {
  return `${method} ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`;
}

describe('a request', () => {
  test.each(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])('brings its method: %s', async method => {
    expect((await echo('/echo', { method })).method).toBe(method);
  });

  test('brings its URL with query', async () => {
    expect((await echo('/echo?a=b%20c&a=d')).url).toBe(`${base}/echo?a=b%20c&a=d`);
  });

  test('brings its headers', async () => {
    const { headers } = await echo('/echo', {
      headers: { 'X-One': 'eins', 'X-Empty': '', Cookie: 'a=1; b=2' },
    });
    expect(headers).toMatchObject({ 'x-one': 'eins', 'x-empty': '', cookie: 'a=1; b=2' });
  });

  test('brings headers that came twice, joined', async () => {
    const { body } = await rawRequest(
      gateway().port,
      'GET /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\nX-Two: a\r\nX-Two: b\r\n\r\n',
    );
    expect((JSON.parse(body) as Echo).headers['x-two']).toBe('a, b');
  });

  test('cannot bring a header that the client did not send, by a line feed in a value', async () => {
    const raw = await openRaw(gateway().port);
    raw.write('GET /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\nX-A: b\nx-admin\nyes\r\n\r\n');
    const answer = await raw.readToEnd();
    expect(answer).not.toContain('"x-admin"');
    expect(answer).not.toContain('"yes"');
  });

  test('cannot bring a line feed in its URL', async () => {
    const raw = await openRaw(gateway().port);
    raw.write('GET /echo\nx HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n');
    expect(await raw.readToEnd()).not.toContain('HTTP/1.1 200');
  });

  test('brings its body', async () => {
    expect(await echo('/echo', { method: 'POST', body: 'hällo' })).toMatchObject({
      body: 'hällo',
      bodyUsed: true,
      headers: { 'content-length': '6' },
    });
  });

  test('without a body has an empty one', async () => {
    expect(await echo('/echo', { method: 'POST' })).toMatchObject({ body: '' });
    expect(await echo('/echo')).toMatchObject({ body: '', bodyUsed: false });
  });

  test('brings a body that came in chunks', async () => {
    const { body } = await rawRequest(
      gateway().port,
      'POST /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n' +
        '3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n',
    );
    expect((JSON.parse(body) as Echo).body).toBe('abcdefg');
  });

  test.each([1, 1000, 65_536, 300_000, 1_048_576])('brings a body of %d bytes whole', async size => {
    const body = randomBytes(size);
    const answer = await fetch(`${base}/hash`, { method: 'POST', body });
    expect(await answer.text()).toBe(createHash('sha256').update(body).digest('hex'));
  });

  test('may follow another on the same connection, also before that one is answered', async () => {
    const raw = await openRaw(gateway().port);
    const one = 'GET /async HTTP/1.1\r\nHost: h\r\n\r\n';
    const last = 'GET /text HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n';
    raw.write(one);
    expect(await raw.readUntil('later')).toContain('200 OK');
    raw.write(one);
    await raw.readUntil('later');
    raw.write(last);
    expect(await raw.readToEnd()).toContain('h\u00c3\u00a4llo');
  });

  test('goes to the lanes in turn', async () => {
    const lanes = await Promise.all(
      Array.from({ length: 20 }, async () => (await fetch(`${base}/lane`)).json() as Promise<number>),
    );
    expect(new Set(lanes)).toEqual(new Set([0, 1]));
  });
});

describe('a body over the limit', () => {
  const limited = sharedGateway('http.mjs', { lanes: 1, maxBody: 1000 });

  test('is refused with 413 by its announced length, before it is sent', async () => {
    const raw = await openRaw(limited().port);
    raw.write('POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n');
    expect(await raw.readUntil('\r\n\r\n')).toMatch(/^HTTP\/1\.1 413 /);
    await raw.closed;
  });

  test('is refused with 413 as soon as its chunks are too many', async () => {
    const raw = await openRaw(limited().port);
    raw.write('POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n');
    for (let i = 0; i < 3; i++) raw.write(`190\r\n${'x'.repeat(400)}\r\n`);
    expect(await raw.readUntil('\r\n\r\n')).toMatch(/^HTTP\/1\.1 413 /);
    await raw.closed;
  });

  test('is none when it is exactly that long', async () => {
    const answer = await fetch(`http://127.0.0.1:${limited().port}/echo`, {
      method: 'POST',
      body: 'x'.repeat(1000),
    });
    expect(answer.status).toBe(200);
  });

  test('of 0 refuses every body, and takes requests without one', async () => {
    const { port } = await startGateway('http.mjs', { lanes: 1, maxBody: 0 });
    const url = `http://127.0.0.1:${port}/echo`;
    expect((await fetch(url, { method: 'POST', body: 'x' })).status).toBe(413);
    expect((await fetch(url, { method: 'POST' })).status).toBe(200);
  });
});

describe('an answer', () => {
  test.each<[string, number, string, string | null]>([
    ['/text', 200, 'hällo', 'text/plain;charset=UTF-8'],
    ['/bytes', 200, '\u0000\u0001\u0002\ufffd', null],
    ['/array-buffer', 200, '\u0003\u0004', null],
    ['/empty', 200, '', null],
    ['/null', 201, '', null],
    ['/blob', 200, '<p>', 'text/html'],
    ['/form', 200, 'a=1+2', 'application/x-www-form-urlencoded;charset=UTF-8'],
    ['/json', 202, '{"a":[1]}', 'application/json'],
    ['/async', 200, 'later', 'text/plain;charset=UTF-8'],
    ['/subclass', 200, '<p>hello', 'text/html'],
  ])('%s has its status, body and content-type', async (path, status, body, type) => {
    const answer = await fetch(base + path);
    expect(answer.status).toBe(status);
    expect(answer.headers.get('content-type')).toBe(type);
    expect(await answer.text()).toBe(body);
  });

  test('has its headers', async () => {
    const { headers } = await fetch(`${base}/headers`);
    expect(headers.get('x-plain')).toBe('a b');
    expect(headers.get('content-type')).toBe('text/css');
    expect(headers.get('cache-control')).toBe('no-store');
  });

  test('has header values of bytes beyond ASCII as the standard says: one byte a character', async () => {
    const { head } = await rawRequest(gateway().port, get('/latin1'));
    expect(head.toLowerCase()).toContain('x-name: zo\u00eb\r\n');
  });

  test('has a Set-Cookie line for each cookie', async () => {
    expect((await fetch(`${base}/cookies`)).headers.getSetCookie()).toEqual([
      'a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT',
      'b=2',
    ]);
  });

  test('with a body at hand tells its length, and is not chunked', async () => {
    const { head, body } = await rawRequest(gateway().port, get('/text'));
    expect(head.toLowerCase().match(/^content-length: .*$/gm)).toEqual(['content-length: 6']);
    expect(head.toLowerCase()).not.toContain('transfer-encoding');
    expect(body).toBe(Buffer.from('hällo').toString('latin1'));
  });

  test.each([200, 203, 299, 404, 418, 500, 599])('has the status %d', async status => {
    expect((await fetch(`${base}/status?is=${status}`)).status).toBe(status);
  });

  test('may redirect', async () => {
    const answer = await fetch(`${base}/redirect`, { redirect: 'manual' });
    expect(answer.status).toBe(307);
    expect(answer.headers.get('location')).toBe('http://example.org/there');
  });

  test.each(['/204', '/304'])('%s has neither body nor a content-length of one', async path => {
    const { head, body } = await rawRequest(gateway().port, get(path));
    expect(head).toMatch(new RegExp(`^HTTP/1\\.1 ${path.slice(1)} `));
    expect(head.toLowerCase()).not.toMatch(/^content-length: [1-9]/m);
    expect(head.toLowerCase()).not.toContain('transfer-encoding');
    expect(head).toMatch(path === '/204' ? /^x-kept: yes/im : /^etag: "7"/im);
    expect(body).toBe('');
  });

  test('counts what was done to its headers before it was returned, and nothing done to the object that it was made of', async () => {
    const { headers } = await fetch(`${base}/changed-later`);
    expect([headers.get('x-a'), headers.get('x-b')]).toEqual(['before', 'set']);
  });
});

describe('an answer to HEAD', () => {
  test('has the headers of GET and its length, but no body', async () => {
    const { head, body } = await rawRequest(gateway().port, get('/text', 'HEAD'));
    expect(head).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(head.toLowerCase().match(/^content-length: .*$/gm)).toEqual(['content-length: 6']);
    expect(head.toLowerCase()).toContain('content-type: text/plain');
    expect(body).toBe('');
  });

  test('of a stream has no body either, and the stream is cancelled', async () => {
    const { port } = await startGateway('http.mjs', { lanes: 1 });
    const { head, body } = await rawRequest(port, get('/stream?chunks=3&size=5', 'HEAD'));
    expect(head).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(body).toBe('');
    const seen = (await (await fetch(`http://127.0.0.1:${port}/seen`)).json()) as Seen;
    expect(seen.cancelled).toBe(1);
  });

  test('leaves the connection fit for the next request', async () => {
    const raw = await openRaw(gateway().port);
    raw.write('HEAD /text HTTP/1.1\r\nHost: h\r\n\r\n');
    await raw.readUntil('\r\n\r\n');
    raw.write(get('/async'));
    expect(await raw.readToEnd()).toMatch(/^HTTP\/1\.1 200 OK(.|\s)*later$/);
  });
});

describe('a streamed answer', () => {
  test('arrives whole, in order', async () => {
    const answer = await fetch(`${base}/stream?chunks=300&size=1000`);
    const body = Buffer.from(await answer.arrayBuffer());
    expect(body.length).toBe(300_000);
    for (let n = 0; n < 300; n++) expect(body[n * 1000]).toBe(n & 0xff);
  });

  test('arrives as it is made, not at its end', async () => {
    const answer = await fetch(`${base}/stream-slow`);
    const parts: string[] = [];
    for await (const chunk of answer.body ?? []) parts.push(Buffer.from(chunk).toString());
    expect(parts.join('')).toBe('one two three');
    expect(parts.length).toBeGreaterThan(1);
  });

  test('may be empty', async () => {
    expect(await (await fetch(`${base}/stream?chunks=0&size=0`)).text()).toBe('');
  });

  test('with a content-length of its own arrives whole', async () => {
    expect((await (await fetch(`${base}/stream-length`)).arrayBuffer()).byteLength).toBe(6);
  });

  test('in chunks larger than any window arrives whole', async () => {
    const answer = await fetch(`${base}/stream?chunks=4&size=3000000`);
    expect((await answer.arrayBuffer()).byteLength).toBe(12_000_000);
  });

  test('that fails ends the connection: the client sees that it is not whole', async () => {
    const answer = await fetch(`${base}/stream-fails`);
    expect(answer.status).toBe(200);
    await expect(answer.text()).rejects.toThrow();
  });

  test('of something other than bytes fails, and does not hang', async () => {
    await expect(fetch(`${base}/stream-wrong`).then(answer => answer.text())).rejects.toThrow();
  });

  test('is made no faster than its client reads', async () => {
    const { port } = await startGateway('http.mjs', { lanes: 1 });
    const seen = async () => (await (await fetch(`http://127.0.0.1:${port}/seen`)).json()) as Seen;
    const raw = await openRaw(port);
    raw.pause();
    // 400 MB, were it read.
    raw.write(get('/stream?chunks=4000&size=100000'));
    // The kernel's buffers fill up; then nothing more is asked of the stream.
    let before = -1;
    await until('the stream rests', async () => {
      const { pulled } = await seen();
      const rests = pulled === before && pulled > 0;
      before = pulled;
      return rests;
    });
    expect(before).toBeLessThan(1000);
    raw.resume();
    await until('it goes on', async () => (await seen()).pulled > before);
    raw.destroy();
    await until('the stream hears that its client is gone', async () => (await seen()).cancelled === 1);
  });
});

describe('a client that goes away', () => {
  test('while it waits for its answer aborts request.signal', async () => {
    const { port } = await startGateway('http.mjs', { lanes: 1 });
    const seen = async () => (await (await fetch(`http://127.0.0.1:${port}/seen`)).json()) as Seen;
    const abort = new AbortController();
    const asked = fetch(`http://127.0.0.1:${port}/wait`, { signal: abort.signal }).catch(() => 'gone');
    await until('the request waits', async () => (await seen()).waiting === 1);
    abort.abort();
    expect(await asked).toBe('gone');
    await until('the handler hears of it', async () => (await seen()).aborted === 1);
  });

  test('while it sends its body leaves nothing behind', async () => {
    const { port } = await startGateway('http.mjs', { lanes: 1 });
    for (let i = 0; i < 20; i++) {
      const raw = await openRaw(port);
      raw.write(`POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5000\r\n\r\n${'x'.repeat(100)}`);
      await raw.flushed();
      raw.destroy();
    }
    const answer = await fetch(`http://127.0.0.1:${port}/echo`, { method: 'POST', body: 'y' });
    expect(await answer.json()).toMatchObject({ body: 'y' });
  });

  test('of a hundred does the others no harm', async () => {
    await Promise.all(
      Array.from({ length: 100 }, async (_, i) => {
        const raw = await openRaw(gateway().port);
        raw.write(get(i % 2 === 0 ? '/async' : '/stream?chunks=50&size=10000'));
        if (i % 4 < 2) raw.destroy();
        else expect(await raw.readToEnd()).toMatch(/^HTTP\/1\.1 200 /);
      }),
    );
    await until('no request waits', () => gateway().stats.requests.waiting === 0);
  });
});

describe('a handler that fails', () => {
  test.each(['/throw', '/reject', '/nothing', '/string', '/bad-header', '/used-body', '/locked-body'])(
    '(%s) is answered for with 500, and nothing of the cause',
    async path => {
      const answer = await fetch(base + path);
      expect(answer.status).toBe(500);
      expect(await answer.text()).not.toContain('secret');
    },
    5_000,
  );

  test('by ending its thread is answered for with 503, and the others go on', async () => {
    const { port } = await startGateway('http.mjs', { lanes: 2 });
    expect((await fetch(`http://127.0.0.1:${port}/die`)).status).toBe(503);
    expect((await fetch(`http://127.0.0.1:${port}/text`)).status).toBe(200);
  });

  test('by ending its thread in the middle of a stream does not pass half an answer for a whole one', async () => {
    const { port } = await startGateway('http.mjs', { lanes: 2 });
    const answer = await fetch(`http://127.0.0.1:${port}/stream-then-die`);
    expect(answer.status).toBe(200);
    await expect(answer.text()).rejects.toThrow();
  });
});

test('an app without fetch answers 404', async () => {
  const { port } = await startGateway('echo.mjs');
  expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(404);
});

describe('the Request that a handler is given', () => {
  test('is a standard one', async () => {
    const answer = await fetch(`${base}/standard-request`, { method: 'POST', body: 'x' });
    expect(await answer.json()).toMatchObject({
      tag: '[object Request]',
      mode: 'cors',
      redirect: 'follow',
      credentials: 'same-origin',
      hasBody: true,
      signal: true,
    });
  });

  test.each([
    ['json', '{"a":1}', '{"a":1}'],
    ['text', 'x', 'x'],
    ['arrayBuffer', 'bytes', 'bytes'],
    ['blob', 'four', 'text/plain;charset=utf-8 4'],
  ])('gives its body as %s', async (kind, body, expected) => {
    const answer = await fetch(`${base}/body?as=${kind}`, { method: 'POST', body });
    expect((await answer.text()).toLowerCase()).toBe(expected);
  });

  test('gives its body as form data', async () => {
    const form = new FormData();
    form.set('name', 'Ada');
    form.set('file', new Blob(['x']), 'a.txt');
    const answer = await fetch(`${base}/form-data`, { method: 'POST', body: form });
    expect(await answer.json()).toEqual([
      ['name', 'Ada'],
      ['file', 'a.txt'],
    ]);
  });

  test('gives its body once', async () => {
    const answer = await fetch(`${base}/read-twice`, { method: 'POST', body: 'x' });
    expect(await answer.json()).toEqual(['TypeError', true]);
  });

  test('can be cloned', async () => {
    const answer = await fetch(`${base}/request-clone`, { method: 'POST', body: 'x' });
    expect(await answer.json()).toEqual(['x', 'x']);
  });

  test('can be made into another by new Request', async () => {
    const answer = await fetch(`${base}/new-request?q`, { method: 'PUT', body: 'body' });
    expect(await answer.json()).toEqual({
      isRequest: true,
      method: 'PUT',
      url: `${base}/new-request?q`,
      header: 'yes',
      body: 'body',
    });
  });
});

test('Response is the standard one to a handler', async () => {
  expect(await (await fetch(`${base}/standard-response`)).json()).toEqual({
    isResponse: [true, true, true, true, true],
    tag: '[object Response]',
    name: 'Response',
    ok: true,
    statusText: 'Hm',
    type: 'default',
    texts: ['text', 'text'],
    json: { a: 1 },
    bodyUsed: [true, true],
    blobType: 'text/html',
    formType: 'application/x-www-form-urlencoded;charset=UTF-8',
    textType: 'text/plain;charset=UTF-8',
    bytesType: null,
    locked: 'TypeError',
    nullBody: 'TypeError',
    range: 'RangeError',
  });
});

describe("another server's answer, passed on", () => {
  async function upstream(listener: RequestListener): Promise<string> {
    const server = createServer(listener).listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  }

  function through(url: string, route = 'proxy', init?: RequestInit): Promise<Response> {
    return fetch(`${base}/${route}?url=${encodeURIComponent(url)}`, init);
  }

  test('keeps status, headers, cookies and body', async () => {
    const url = await upstream((_request, response) => {
      response.writeHead(203, { 'X-Up': 'stream', 'Set-Cookie': ['a=1', 'b=2'] }).end('from above');
    });
    const answer = await through(url);
    expect(answer.status).toBe(203);
    expect(answer.headers.get('x-up')).toBe('stream');
    expect(answer.headers.getSetCookie()).toEqual(['a=1', 'b=2']);
    expect(await answer.text()).toBe('from above');
  });

  test('keeps a large streamed body whole', async () => {
    const body = randomBytes(5_000_000);
    const url = await upstream((_request, response) => {
      for (let at = 0; at < body.length; at += 100_000) response.write(body.subarray(at, at + 100_000));
      response.end();
    });
    expect(Buffer.from(await (await through(url)).arrayBuffer()).equals(body)).toBe(true);
  });

  test('is readable also when it came compressed', async () => {
    const url = await upstream((_request, response) => {
      response.writeHead(200, { 'Content-Encoding': 'gzip' }).end(gzipSync('a long text, compressed'));
    });
    expect(await (await through(url)).text()).toBe('a long text, compressed');
  });

  test('takes the request along', async () => {
    const url = await upstream(async (incoming, response) => {
      let body = '';
      for await (const chunk of incoming) body += String(chunk);
      response.end(`${incoming.method} ${incoming.headers['x-id']} ${body}`);
    });
    const answer = await through(url, 'proxy-request', {
      method: 'GET',
      headers: { 'X-Id': '7' },
    });
    expect(await answer.text()).toBe('GET 7 ');
  });
});

test('an Upgrade header without a WebSocket key is an ordinary request', async () => {
  const answer = await new Promise<number | undefined>((resolve, reject) => {
    request(`${base}/text`, { headers: { Upgrade: 'h2c', Connection: 'Upgrade' } }, response => {
      response.resume();
      resolve(response.statusCode);
    })
      .on('error', reject)
      .end();
  });
  expect(answer).toBe(200);
});
