// @ts-check
/** `ws` in one process. */

import { endWithRunner, listening, options } from './options.js';
import { createWsServer, deliver } from './ws.js';

const server = createWsServer(deliver);
server.listen(0, options.host, () => {
  endWithRunner();
  listening(/** @type {import('node:net').AddressInfo} */ (server.address()).port);
});
