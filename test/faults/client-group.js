// @ts-check
/**
 * Clients in a process of their own, so that it can be stopped as a whole. Each sends numbered messages, one at a time,
 * and is subscribed to a feed. Told `{ report: true }` it answers with the latencies since it was told last.
 */
import WebSocket from 'ws';

const { port, count } = JSON.parse(process.argv[2] ?? '{}');
/** @type {number[]} */
let latencies = [];
let open = 0;
let closed = 0;

for (let i = 0; i < count; i++) {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/feed`, { perMessageDeflate: false });
  let sentAt = 0;
  const send = () => {
    sentAt = performance.now();
    socket.send('ping');
  };
  socket.on('open', () => {
    send();
    if (++open === count) process.send?.({ open });
  });
  socket.on('message', (_data, isBinary) => {
    if (isBinary) return;
    latencies.push(performance.now() - sentAt);
    setTimeout(send, 10);
  });
  socket.on('close', () => closed++);
  socket.on('error', () => {});
}

process.on('message', () => {
  const sorted = latencies.sort((a, b) => a - b);
  latencies = [];
  const at = (/** @type {number} */ share) => sorted[Math.floor(share * (sorted.length - 1))];
  process.send?.({ messages: sorted.length, p50: at(0.5), p99: at(0.99), closed });
});
process.on('disconnect', () => process.exit());
