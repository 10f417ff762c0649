/** Handlers that do what no handler should, and ones that look at what hostile clients send. */
const accept = {
  '/large-headers': () => ({ headers: { 'x-a': 'a'.repeat(70_000) } }),
  '/large-context': () => ({ context: { text: 'x'.repeat(200_000) } }),
  '/slow': async () => {
    await new Promise(resolve => setTimeout(resolve, 300));
    return {};
  },
};

export default {
  websocket: {
    upgrade: request => accept[new URL(request.url).pathname]?.(),
    message(peer, message) {
      switch (message.text()) {
        case 'throw a symbol':
          throw Symbol('what');
        case 'throw an object without a prototype':
          throw Object.create(null);
        case 'throw a circle': {
          const error = new Error('round');
          error.cause = error;
          throw error;
        }
        case 'context':
          peer.send(String(peer.context.text?.length));
          break;
        default:
          peer.send('here');
      }
    },
  },
  fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname === '/no-prototype') return Object.create(null);
    if (pathname === '/error') return Response.error();
    if (pathname === '/length') return request.text().then(text => new Response(String(text.length)));
    return Response.json({ pathname, x: request.headers.get('x') });
  },
};
