// @ts-check
/** HTTP on uWebSockets.js alone, handlers inline. */

import { burn } from '../burn.js';
import { listening, options } from './options.js';
import { uws } from './uws-module.js';

const app = uws
  .App()
  .get('/cpu', res => {
    burn(options.burn);
    res.writeHeader('content-type', 'text/plain').end('hello');
  })
  .get('/*', res => {
    res.writeHeader('content-type', 'text/plain').end('hello');
  });

app.listen(options.host, options.port, socket => {
  if (!socket) throw new Error(`cannot listen on port ${options.port}`);
  listening(uws.us_socket_local_port(socket));
});
