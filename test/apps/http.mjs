/** HTTP: the path says what. Each route is what an app might do. */
import { createHash } from 'node:crypto';

const seen = { aborted: 0, cancelled: 0, pulled: 0, waiting: 0 };
const encoder = new TextEncoder();

async function echo(request) {
  const body = await request.text();
  return Response.json({
    method: request.method,
    url: request.url,
    headers: Object.fromEntries(request.headers),
    body,
    bodyUsed: request.bodyUsed,
  });
}

/** Chunks of so many bytes, each with its number; counts how often it was asked for one. */
function stream(chunks, size) {
  let n = 0;
  return new ReadableStream(
    {
      pull(controller) {
        seen.pulled++;
        if (n === chunks) return controller.close();
        controller.enqueue(new Uint8Array(size).fill(n++ & 0xff));
      },
      cancel() {
        seen.cancelled++;
      },
    },
    { highWaterMark: 0 },
  );
}

const routes = {
  '/echo': echo,
  '/lane': (_request, gateway) => Response.json(gateway.lane),
  '/seen': () => Response.json(seen),
  '/text': () => new Response('hällo'),
  '/bytes': () => new Response(Uint8Array.of(0, 1, 2, 255)),
  '/array-buffer': () => new Response(Uint8Array.of(3, 4).buffer),
  '/empty': () => new Response(),
  '/null': () => new Response(null, { status: 201 }),
  '/blob': () => new Response(new Blob(['<p>'], { type: 'text/html' })),
  '/form': () => new Response(new URLSearchParams({ a: '1 2' })),
  '/json': () => Response.json({ a: [1] }, { status: 202, headers: { 'X-More': 'yes' } }),
  '/redirect': () => Response.redirect('http://example.org/there', 307),
  '/status': request =>
    new Response('teapot', { status: Number(new URL(request.url).searchParams.get('is')) }),
  '/204': () => new Response(null, { status: 204, headers: { 'X-Kept': 'yes' } }),
  '/304': () => new Response(null, { status: 304, headers: { ETag: '"7"' } }),
  '/headers': () =>
    new Response('x', {
      headers: { 'X-Plain': 'a b', 'Content-Type': 'text/css', 'Cache-Control': 'no-store' },
    }),
  '/latin1': () => new Response('x', { headers: { 'X-Name': 'Zo\u00eb' } }),
  '/cookies': () => {
    const headers = new Headers();
    headers.append('Set-Cookie', 'a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT');
    headers.append('Set-Cookie', 'b=2');
    return new Response('x', { headers });
  },
  '/async': async () => {
    await null;
    return new Response('later');
  },
  '/throw': () => {
    throw new Error('a secret of the server');
  },
  '/reject': async () => {
    throw new Error('a secret of the server');
  },
  '/nothing': () => {},
  '/string': () => 'not a Response',
  '/bad-header': () => new Response('x', { headers: { 'X-Bad': 'a\nb' } }),
  '/used-body': async () => {
    const response = new Response('already read');
    await response.text();
    return response;
  },
  '/locked-body': () => {
    const response = new Response(stream(1, 1));
    response.body.getReader();
    return response;
  },

  '/stream': request => {
    const { searchParams } = new URL(request.url);
    return new Response(stream(Number(searchParams.get('chunks')), Number(searchParams.get('size'))));
  },
  '/stream-length': () => new Response(stream(2, 3), { headers: { 'Content-Length': '6' } }),
  '/stream-slow': () =>
    new Response(
      new ReadableStream({
        async start(controller) {
          for (const text of ['one ', 'two ', 'three']) {
            controller.enqueue(encoder.encode(text));
            await new Promise(resolve => setTimeout(resolve, 10));
          }
          controller.close();
        },
      }),
    ),
  '/stream-fails': () => {
    let n = 0;
    return new Response(
      new ReadableStream({
        pull(controller) {
          if (n++ === 2) throw new Error('the source broke');
          controller.enqueue(encoder.encode('part '));
        },
      }),
    );
  },
  '/stream-then-die': () => {
    let n = 0;
    return new Response(
      new ReadableStream({
        async pull(controller) {
          if (n++ < 2) return controller.enqueue(encoder.encode('part '));
          await new Promise(resolve => setTimeout(resolve, 50));
          process.exit(1);
        },
      }),
    );
  },
  '/stream-wrong': () =>
    new Response(
      new ReadableStream({
        start(controller) {
          controller.enqueue('text is no bytes');
          controller.close();
        },
      }),
    ),
  '/wait': request => {
    seen.waiting++;
    return new Promise(resolve => {
      request.signal.addEventListener('abort', () => {
        seen.waiting--;
        seen.aborted++;
        resolve(new Response('nobody reads this'));
      });
    });
  },
  '/die': () => process.exit(1),

  '/hash': async request => {
    const hash = createHash('sha256');
    for await (const chunk of request.body ?? []) hash.update(chunk);
    return new Response(hash.digest('hex'));
  },
  '/form-data': async request => {
    const form = await request.formData();
    return Response.json(
      [...form].map(([name, value]) => [name, typeof value === 'string' ? value : value.name]),
    );
  },
  '/body': async request => {
    const kind = new URL(request.url).searchParams.get('as');
    const value = await request[kind]();
    if (kind === 'json') return Response.json(value);
    if (kind === 'blob') return new Response(`${value.type} ${value.size}`);
    return new Response(value);
  },
  '/read-twice': async request => {
    await request.text();
    try {
      await request.text();
    } catch (error) {
      return Response.json([error.name, request.bodyUsed]);
    }
    return new Response('no error');
  },
  '/request-clone': async request => {
    const copy = request.clone();
    return Response.json([await request.text(), await copy.text()]);
  },
  '/new-request': async request => {
    const copy = new Request(request, { headers: { 'X-New': 'yes' } });
    return Response.json({
      isRequest: copy instanceof Request && request instanceof Request,
      method: copy.method,
      url: copy.url,
      header: copy.headers.get('x-new'),
      body: await copy.text(),
    });
  },
  '/standard-request': request =>
    Response.json({
      tag: Object.prototype.toString.call(request),
      mode: request.mode,
      redirect: request.redirect,
      credentials: request.credentials,
      hasBody: request.body !== null,
      signal: request.signal instanceof AbortSignal,
    }),
  '/standard-response': async () => {
    const response = new Response('text', { status: 203, statusText: 'Hm', headers: { a: 'b' } });
    const copy = response.clone();
    const blob = new Response(new Blob(['x'], { type: 'text/html' }));
    let locked = 'no error';
    const used = new Response('x');
    await used.text();
    try {
      await used.text();
    } catch (error) {
      locked = error.name;
    }
    let nullBody = 'no error';
    try {
      new Response('x', { status: 204 });
    } catch (error) {
      nullBody = error.name;
    }
    let range = 'no error';
    try {
      new Response('x', { status: 199 });
    } catch (error) {
      range = error.name;
    }
    return Response.json({
      isResponse: [response, copy, Response.json(1), Response.error(), blob].map(r => r instanceof Response),
      tag: Object.prototype.toString.call(response),
      name: Response.name,
      ok: response.ok,
      statusText: response.statusText,
      type: response.type,
      texts: [await response.text(), await copy.text()],
      json: await Response.json({ a: 1 }).json(),
      bodyUsed: [response.bodyUsed, used.bodyUsed],
      blobType: blob.headers.get('content-type'),
      formType: new Response(new URLSearchParams('a=1')).headers.get('content-type'),
      textType: new Response('x').headers.get('content-type'),
      bytesType: new Response(new Uint8Array(1)).headers.get('content-type'),
      locked,
      nullBody,
      range,
    });
  },
  '/changed-later': () => {
    const headers = { 'X-A': 'before' };
    const response = new Response('x', { headers });
    headers['X-A'] = 'after';
    response.headers.set('X-B', 'set');
    return response;
  },
  '/subclass': () => {
    class Page extends Response {
      constructor(text) {
        super(`<p>${text}`, { headers: { 'Content-Type': 'text/html' } });
      }
    }
    return new Page('hello');
  },
  // Gives on what another server answered.
  '/proxy': request => fetch(new URL(request.url).searchParams.get('url')),
  '/proxy-request': async request => {
    const target = new URL(request.url).searchParams.get('url');
    return fetch(new Request(target, request));
  },
};

export default {
  websocket: {
    open: peer => peer.send('open'),
  },
  fetch(request, gateway) {
    const route = routes[new URL(request.url).pathname];
    return route === undefined ? new Response('no such route', { status: 404 }) : route(request, gateway);
  },
};
