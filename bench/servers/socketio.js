// @ts-check
/** Socket.IO on `ws`, WebSocket transport only. Bytes would take two frames each way, so messages are text. */

import { createServer } from 'node:http';
import { burn } from '../work/burn.js';
import { checkedChat } from '../work/chat.js';
import { endWithRunner, limits, listening, options } from './options.js';

// Not by a literal name: the types of this package are there only where bench/package.json has been installed.
const { Server } = await import(/** @type {string} */ ('socket.io'));

/** @typedef {(socket: any, data: any, topic: string) => void} OnMessage */

const server = createServer();
const io = new Server(server, {
  transports: ['websocket'],
  serveClient: false,
  maxHttpBufferSize: limits.maxPayload,
  // Nobody else pings during a measurement either.
  pingInterval: 3_600_000,
});

/** @type {Record<string, OnMessage>} */
const works = {
  echo(socket, data) {
    burn(options.burn);
    socket.emit('message', data);
  },
  fanout: (_socket, data, topic) => io.to(topic).emit('message', data),
  chat(_socket, data) {
    const chat = checkedChat(data);
    if (chat) io.to(chat.room).emit('message', chat);
  },
};
const onMessage = /** @type {OnMessage} */ (works[options.work]);

io.on('connection', (/** @type {any} */ socket) => {
  const { topic, role } = socket.handshake.query;
  // Not kept, as its documentation advises where memory counts.
  socket.conn.request = null;
  if (topic && role !== 'publisher') socket.join(topic);
  socket.on('message', (/** @type {any} */ data) => onMessage(socket, data, String(topic)));
});

server.listen(0, options.host, () => {
  endWithRunner();
  listening(/** @type {import('node:net').AddressInfo} */ (server.address()).port);
});
