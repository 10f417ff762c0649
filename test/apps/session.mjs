/** Handles guaranteed messages, each by the first word of its text, and tells of sessions. */
import { setTimeout as delay } from 'node:timers/promises';

const guaranteed = { guaranteed: true };

/** Of all connections of this lane, so that one can be told of another's. */
const peers = new Map();

const handlers = {
  echo(peer, message, rest) {
    peer.send(`${rest}${message.redelivered ? ' again' : ''}`, guaranteed);
  },
  id(peer, message) {
    peer.send(`${message.id} ${message.redelivered}`, guaranteed);
  },
  binary(peer, message) {
    peer.send(message.uint8Array(), guaranteed);
  },
  async slow(peer, message, rest) {
    const [ms, text] = rest.split(' ');
    peer.send(`began ${text}`, guaranteed);
    await delay(Number(ms));
    peer.send(`${text}${message.redelivered ? ' again' : ''}`, guaranteed);
  },
  /** Ends its lane, unless it comes again. */
  'die once'(peer, message) {
    peer.send('before', guaranteed);
    if (!message.redelivered) process.exit(1);
    peer.send('after', guaranteed);
  },
  async 'die once later'(peer, message) {
    peer.send('before', guaranteed);
    await delay(5);
    if (!message.redelivered) process.exit(1);
    peer.send('after', guaranteed);
  },
  async 'die later'(_peer, _message, ms) {
    await delay(Number(ms));
    process.exit(1);
  },
  die() {
    process.exit(1);
  },
  throw(peer) {
    peer.send('before the throw', guaranteed);
    throw new Error('thrown by a hook');
  },
  /** Says so with no guarantee, and never ends. */
  began(peer) {
    peer.send('began');
    return new Promise(() => {});
  },
  /** To the others of this lane, while it is still at work itself. */
  async tell(peer, _message, rest) {
    for (const other of peers.values()) if (other !== peer) other.send(rest, guaranteed);
    await delay(20);
  },
  session(peer) {
    peer.send(String(peer.session));
  },
  headers(peer) {
    peer.send(
      JSON.stringify([
        peer.request.headers.get('sec-websocket-protocol'),
        peer.protocol,
        peer.websocket.protocol,
      ]),
    );
  },
  try(peer) {
    try {
      peer.send('x', guaranteed);
    } catch (error) {
      peer.send(error.code);
    }
  },
  /** Sends by itself, also when the connection is closed by then. */
  later(peer, _message, rest) {
    const [ms, text] = rest.split(' ');
    setTimeout(() => peer.send(text, guaranteed), Number(ms));
  },
  many(peer, _message, rest) {
    const [count, bytes] = rest.split(' ').map(Number);
    for (let i = 0; i < count; i++) peer.send(`${i} `.padEnd(bytes, '.'), guaranteed);
  },
};

const names = Object.keys(handlers).sort((a, b) => b.length - a.length);

export default {
  websocket: {
    upgrade(request) {
      const offered = request.headers.get('sec-websocket-protocol')?.split(', ') ?? [];
      return offered.includes('chat') ? { protocol: 'chat' } : undefined;
    },
    open(peer) {
      peers.set(peer.id, peer);
      peer.send('hello');
    },
    message(peer, message) {
      const text = message.text();
      const name = names.find(known => text === known || text.startsWith(`${known} `));
      return handlers[name]?.(peer, message, text.slice(name.length + 1));
    },
    close(peer) {
      peers.delete(peer.id);
    },
    error() {},
  },
};
