/**
 * Which connection ends this thread: follows every hook through what it awaits and starts. It costs every promise of the
 * app something; see LaneTask.attribute.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Hooks, Peer } from '../src/app.js';
import type { LanePeer } from './peer.js';

type AnyHook = (this: Partial<Hooks>, peer: LanePeer, ...rest: unknown[]) => unknown;

/** @param blame is told whose hook, timer or promise ends the thread @returns hooks to run in the place of these */
export function attributed(hooks: Partial<Hooks>, blame: (peer: LanePeer) => void): Partial<Hooks> {
  const peers = new AsyncLocalStorage<LanePeer>();
  const tell = (): void => {
    const peer = peers.getStore();
    if (peer !== undefined) blame(peer);
  };
  process.on('uncaughtExceptionMonitor', tell);
  process.on('exit', tell);
  const followed: Record<string, unknown> = { ...hooks };
  for (const [name, hook] of Object.entries(hooks) as [string, AnyHook | undefined][]) {
    if (hook === undefined || name === 'upgrade') continue;
    followed[name] = (peer: Peer & LanePeer, ...rest: unknown[]): unknown =>
      peers.run(peer, () => hook.call(hooks, peer, ...rest));
  }
  return followed as Partial<Hooks>;
}
