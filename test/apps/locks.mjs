/**
 * Peers that any lane sends to. `write <id> <times>`: sends so many sequences of three frames to that peer, with awaits in
 * between, under its lock; `careless <id> <times>` the same without. `hold`: takes the own lock and ends the thread.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { mutex } from 'threadgate/sync';

function peerOf(gateway, id) {
  for (const peer of gateway.peers) if (peer.id === id) return peer;
  return undefined;
}

async function sequence(peer, lane, number) {
  peer.send(`${lane} ${number} a`);
  await delay(Math.random() * 2);
  peer.send(`${lane} ${number} b`);
  if (number % 3 === 0) await undefined;
  peer.send(`${lane} ${number} c`);
}

export default {
  websocket: {
    async message(peer, message) {
      const [word, id, times] = message.text().split(' ');
      const { gateway } = peer;
      const target = peerOf(gateway, id);
      if (word === 'who') peer.send(`${peer.id} ${gateway.lane}`);
      if (word === 'hold') {
        await peer.lock();
        process.exit(1);
      }
      if (word === 'lock') {
        const hold = await target.lock();
        peer.send(`owner died: ${hold.ownerDied !== undefined}`);
        await hold.unlock();
      }
      if (word === 'take') {
        mutex('orders').lock();
        process.exit(1);
      }
      if (word === 'next') {
        const hold = await mutex('orders').lockAsync({ timeout: 5000 });
        peer.send(`${hold.ownerDied?.code}`);
        hold.unlock();
      }
      if (word === 'gone') {
        peer.terminate();
        await delay(100);
        const error = await target.lock().catch(thrown => thrown);
        gateway.publish('results', error.code);
      }
      if (word === 'subscribe') peer.subscribe('results');
      if (word === 'write') {
        for (let i = 0; i < Number(times); i++) {
          const hold = await target.lock();
          await sequence(target, gateway.lane, i);
          await hold.unlock();
        }
        peer.send('done');
      }
      if (word === 'careless') {
        for (let i = 0; i < Number(times); i++) await sequence(target, gateway.lane, i);
        peer.send('done');
      }
    },
  },
};
