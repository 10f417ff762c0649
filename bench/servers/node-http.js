// @ts-check
/** Node's own HTTP server, handlers inline; keep-alive is its default. */

import { createServer } from 'node:http';
import { burn } from '../burn.js';
import { listening, options } from './options.js';

const server = createServer((request, response) => {
  if (request.url === '/cpu') burn(options.burn);
  response.writeHead(200, { 'content-type': 'text/plain' }).end('hello');
});

server.listen(options.port, options.host, () => {
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  listening(port);
});
