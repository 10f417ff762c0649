/**
 * In the namespace /held a message's hook waits until somebody sends `release` in another namespace, and answers then.
 * Elsewhere messages are echoed; one that is `block <file>` blocks the lane's thread until that file is there.
 */
import { existsSync } from 'node:fs';

const cell = new Int32Array(new SharedArrayBuffer(4));
let release = () => {};
let released = new Promise(resolve => {
  release = resolve;
});

export default {
  websocket: {
    message(peer, message) {
      if (peer.namespace === '/held') return released.then(() => peer.send(message.uint8Array().length));
      if (message.isBinary) return peer.send(message.uint8Array().length);
      const text = message.text();
      if (text === 'release') {
        release();
        released = new Promise(resolve => {
          release = resolve;
        });
      } else if (text.startsWith('block ')) {
        while (!existsSync(text.slice(6))) Atomics.wait(cell, 0, 0, 5);
      }
      peer.send(text);
    },
  },
};
