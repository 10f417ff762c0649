/** Has no `upgrade`. The message is a path: blocks the lane's thread until a file stands there. */
import { existsSync } from 'node:fs';

const cell = new Int32Array(new SharedArrayBuffer(4));

export default {
  websocket: {
    message(peer, message) {
      const path = message.text();
      while (!existsSync(path)) Atomics.wait(cell, 0, 0, 5);
      peer.send('unblocked');
    },
  },
};
