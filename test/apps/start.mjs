/** Starts with something of its own: waits for it, and tells what it had before the first request. */
import { setTimeout as delay } from 'node:timers/promises';

let started;

export default {
  async start(gateway) {
    const { fails, ms = 0, publishes } = gateway.data ?? {};
    await delay(ms);
    if (fails) throw new TypeError('no database');
    started = { lane: gateway.lane, times: (started?.times ?? 0) + 1 };
    if (publishes) {
      const ticks = setInterval(() => gateway.publish('ticks', String(gateway.lane)), 5);
      gateway.signal.addEventListener('abort', () => {
        clearInterval(ticks);
        gateway.log.info('ticks ended');
      });
    }
  },
  websocket: { open: peer => void peer.subscribe('ticks') },
  fetch: () => Response.json(started ?? null),
};
