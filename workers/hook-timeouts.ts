/** Gives up hooks whose promise does not settle in time: their connection is closed, and only its close hook still runs. */
import type { Log } from '../src/app.js';
import { hookName } from '../src/wire/records.js';
import type { LanePeer } from './peer.js';

const TIMED_OUT_CODE = 1011;
const TIMED_OUT_REASON = 'a hook did not settle in time';

/** A hook whose promise has not settled. */
interface Wait {
  type: number;
  since: number;
  settled: () => void;
}

export class HookTimeouts {
  private readonly waits = new Map<LanePeer, Wait>();
  private readonly timer: NodeJS.Timeout;

  constructor(
    private readonly timeoutMs: number,
    private readonly log: Log,
  ) {
    this.timer = setInterval(() => this.look(), Math.max(1, timeoutMs / 4)).unref();
  }

  /** @returns what to call when the hook has settled; it calls `settled` unless the hook was given up before */
  watch(peer: LanePeer, type: number, settled: () => void): () => void {
    const wait = { type, since: performance.now(), settled };
    this.waits.set(peer, wait);
    return () => {
      if (this.waits.get(peer) !== wait) return;
      this.waits.delete(peer);
      settled();
    };
  }

  private look(): void {
    const latest = performance.now() - this.timeoutMs;
    for (const [peer, { type, since, settled }] of this.waits) {
      if (since > latest) continue;
      this.waits.delete(peer);
      const hook = hookName(type);
      this.log.error(`the ${hook} hook did not settle within ${this.timeoutMs} ms`, {
        connection: peer.id,
        hook,
      });
      peer.givenUp = true;
      peer.close(TIMED_OUT_CODE, TIMED_OUT_REASON);
      settled();
    }
  }

  stop(): void {
    clearInterval(this.timer);
  }
}
