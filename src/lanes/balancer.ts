/**
 * Evens out lanes: has the busiest hand some of its connections to the least busy, when it has been much busier for a
 * while. Which connections cost most is not known, so any of them go, some at a time, until it is even.
 */
import type { Lane } from './lane.js';

/** A lane is much busier that is busy for so much more of its time than another. */
const MUCH = 0.25;
/** Looks in a row at which it must have been so. */
const LOOKS = 3;
/** Share of what would even the two out that goes at a time. */
const STEP = 0.5;

export class Balancer {
  private unevenLooks = 0;

  /**
   * @param busyness share of its time since the last call that the lane's thread was busy, 0 to 1
   * @param handOver hands so many connections from the first lane to the second
   */
  constructor(
    everyMs: number,
    private readonly lanes: () => Lane[],
    private readonly busyness: (lane: Lane) => number,
    private readonly handOver: (from: Lane, to: Lane, count: number) => void,
    signal: AbortSignal,
  ) {
    const timer = setInterval(() => this.look(), everyMs).unref();
    signal.addEventListener('abort', () => clearInterval(timer), { once: true });
  }

  private look(): void {
    const lanes = this.lanes().filter(lane => lane.ready);
    const measured = lanes.map(lane => ({ lane, busy: this.busyness(lane) })).sort((a, b) => b.busy - a.busy);
    const [busiest, idlest] = [measured[0], measured.at(-1)];
    if (busiest === undefined || idlest === undefined || busiest.busy - idlest.busy < MUCH) {
      this.unevenLooks = 0;
      return;
    }
    if (++this.unevenLooks < LOOKS) return;
    this.unevenLooks = 0;
    const share = ((busiest.busy - idlest.busy) / busiest.busy / 2) * STEP;
    const count = Math.min(Math.ceil(busiest.lane.connections * share), busiest.lane.connections - 1);
    if (count > 0) this.handOver(busiest.lane, idlest.lane, count);
  }
}
