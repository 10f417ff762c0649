/**
 * Which connection ends this thread: follows every hook through what it awaits and starts. It costs every promise of the
 * app something; see LaneTask.attribute.
 *
 * A thread that hangs or runs out of memory is ended without a word, so whose turn it is is told before each: a hook, and
 * whatever of it the event loop or the microtask queue goes on with.
 */
import { AsyncLocalStorage, createHook } from 'node:async_hooks';
import type { Hooks } from '../src/app.js';
import type { LanePeer } from './peer.js';

type AnyHook = (this: Partial<Hooks>, peer: LanePeer, ...rest: unknown[]) => unknown;

const FOLLOWED = ['open', 'resume', 'message', 'close', 'drain', 'ping', 'pong', 'error'] as const;

/**
 * @param blame is told whose hook, timer or promise ends the thread, if it ends now; undefined for none
 * @returns hooks to run in the place of these
 */
export function attributed(
  hooks: Partial<Hooks>,
  blame: (peer: LanePeer | undefined) => void,
): Partial<Hooks> {
  const peers = new AsyncLocalStorage<LanePeer>();
  createHook({ before: () => blame(peers.getStore()), after: () => blame(undefined) }).enable();
  const tell = (): void => {
    const peer = peers.getStore();
    if (peer !== undefined) blame(peer);
  };
  process.on('uncaughtExceptionMonitor', tell);
  process.on('exit', tell);
  // Not a copy: hooks may be methods of a class.
  const followed = Object.create(hooks) as Record<string, AnyHook>;
  for (const name of FOLLOWED) {
    const hook = hooks[name] as AnyHook | undefined;
    if (hook === undefined) continue;
    followed[name] = (peer, ...rest) => {
      blame(peer);
      try {
        return peers.run(peer, () => hook.call(hooks, peer, ...rest));
      } finally {
        blame(undefined);
      }
    };
  }
  return followed as Partial<Hooks>;
}
