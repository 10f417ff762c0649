/** Hooks that fail: the path says which. With an `error` hook, unless the name of the file is errors-logged.mjs. */
function failing(peer, hook) {
  const [, where, how] = peer.namespace.split('/');
  if (where !== hook) return undefined;
  if (how === 'reject') return Promise.reject(new Error(`${hook} rejects`));
  if (how === 'string') throw 'a string';
  if (how === 'undefined') throw undefined;
  throw Object.assign(new TypeError(`${hook} throws`), { code: 'E_OWN' });
}

export const hooks = {
  open: peer => failing(peer, 'open'),
  message(peer, message) {
    if (message.text() === 'ping') return void peer.send('pong');
    return failing(peer, 'message');
  },
  close: peer => failing(peer, 'close'),
  ping: peer => failing(peer, 'ping'),
};

export default {
  websocket: {
    ...hooks,
    error(peer, error) {
      if (peer.namespace.endsWith('/again')) throw new Error('the error hook fails too');
      peer.gateway.publish('errors', {
        name: error.name,
        code: error.code,
        message: error.message,
        cause:
          error.cause instanceof Error
            ? { name: error.cause.name, code: error.cause.code }
            : String(error.cause),
      });
      peer.send('error hook');
    },
    message(peer, message) {
      if (message.text() === 'listen') return void (peer.subscribe('errors') && peer.send('listening'));
      return hooks.message(peer, message);
    },
  },
};
