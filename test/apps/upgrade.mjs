/** What `upgrade` may do: the path says what. GET /state tells what came of it. */
const state = { upgrading: 0, aborted: 0, opened: 0, contexts: 0 };
let release = () => {};

class HttpError extends Error {
  constructor(response) {
    super('an error that carries a response');
    this.response = response;
  }
}

const upgrades = {
  '/nothing': () => {},
  '/headers': () => ({ headers: { 'X-Lane': 'yes', 'Set-Cookie': 'a=1; Path=/' } }),
  '/two-cookies': () => {
    const headers = new Headers();
    headers.append('set-cookie', 'a=1');
    headers.append('set-cookie', 'b=2');
    return { headers };
  },
  '/protocol': () => ({ protocol: 'chat.v2' }),
  '/protocol-header': () => ({ headers: { 'Sec-WebSocket-Protocol': 'chat.v2' } }),
  '/protocol-not-offered': () => ({ protocol: 'never.offered' }),
  '/namespace': () => ({ namespace: '/another/place' }),
  '/context': () => ({ context: { user: 'Ada', roles: new Set(['admin']), greet: () => 'hello' } }),
  '/request-context': request => {
    request.context.user = 'Bob';
    return { context: { added: true } };
  },
  '/return-response': () =>
    new Response('no entry', { status: 401, headers: { 'WWW-Authenticate': 'Basic' } }),
  '/throw-response': () => {
    throw new Response('forbidden', { status: 403 });
  },
  '/throw-error-with-response': () => {
    throw new HttpError(new Response('teapot', { status: 418 }));
  },
  '/async-accept': async () => {
    await null;
    return { headers: { 'X-Lane': 'later' }, context: { user: 'Eve' } };
  },
  '/async-return-response': async () => new Response('gone', { status: 410 }),
  '/async-throw-response': async () => {
    throw new Response('later forbidden', { status: 403 });
  },
  '/throw': () => {
    throw new Error('a secret of the server');
  },
  '/async-throw': async () => {
    throw new Error('a secret of the server');
  },
  '/nonsense': () => 7,
  '/line-break': () => ({ namespace: 'a\nb' }),
  '/wait': async request => {
    state.upgrading++;
    request.signal.addEventListener('abort', () => state.aborted++);
    await new Promise(resolve => {
      release = resolve;
    });
    state.upgrading--;
    return { context: { waited: true } };
  },
};

export default {
  websocket: {
    upgrade: request => upgrades[new URL(request.url).pathname]?.(request),
    open(peer) {
      state.opened++;
      peer.send({
        namespace: peer.namespace,
        protocol: peer.websocket.protocol,
        context: Object.keys(peer.context),
        user: peer.context.user ?? null,
        hasAdmin: peer.context.roles?.has('admin') ?? null,
        greeting: peer.context.greet?.() ?? null,
        query: new URL(peer.request.url).search,
      });
    },
  },
  fetch(request, gateway) {
    if (new URL(request.url).pathname === '/release') release();
    return Response.json({ ...state, peers: gateway.peers.size });
  },
};
