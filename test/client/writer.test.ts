/** The writer, between sources of messages and a WebSocket that is full at times. */
import { expect, test } from 'vitest';
import { type Source, Writer } from '../../dist/src/client/writer.js';
import { until } from '../support/until.js';

/** What the writer needs of a WebSocket. */
class Socket {
  readyState = 1;
  bufferedAmount = 0;
  readonly sent: unknown[] = [];
  send(message: string): void {
    this.sent.push(message);
    this.bufferedAmount += message.length;
  }
}

function sourceOf(...messages: string[]): Source {
  return {
    get isWaiting() {
      return messages.length > 0;
    },
    next: () => messages.shift(),
  };
}

test('a writer takes one message of each source in turn, while there is room, and goes on when there is again', async () => {
  const writer = new Writer(4);
  writer.add(sourceOf('a1', 'a2', 'a3', 'a4'));
  writer.add(sourceOf('b1'));
  writer.add(sourceOf('c1', 'c2'));
  writer.wake();
  const socket = new Socket();
  writer.attach(socket as never);
  expect(socket.sent).toEqual(['a1', 'b1']);
  writer.wake();
  expect(socket.sent).toEqual(['a1', 'b1']);
  for (let count = 4; count <= 8; count += 2) {
    socket.bufferedAmount = 0;
    await until('it goes on by itself', () => socket.sent.length >= Math.min(count, 7));
  }
  expect(socket.sent).toEqual(['a1', 'b1', 'c1', 'a2', 'c2', 'a3', 'a4']);
  writer.detach();
});
