/** Sessions without a connection: each is kept for a time, and not more than so many. The longest away goes first. */
import type { Session } from './session.js';

export class Away {
  /** When each expires, in the order in which they left. */
  private readonly expiries = new Map<Session, number>();
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly ttlMs: number,
    private readonly most: number,
    private readonly end: (session: Session, cause: 'expired' | 'crowded-out') => void,
  ) {}

  get size(): number {
    return this.expiries.size;
  }

  add(session: Session): void {
    this.expiries.set(session, performance.now() + this.ttlMs);
    if (this.expiries.size > this.most) {
      const [oldest] = this.expiries.keys();
      this.end(oldest as Session, 'crowded-out');
    }
    this.expireLater();
  }

  /** It has a connection again, or is over. */
  delete(session: Session): void {
    this.expiries.delete(session);
  }

  private expireLater(): void {
    const [first] = this.expiries.values();
    if (first === undefined || this.timer !== undefined) return;
    this.timer = setTimeout(() => this.expire(), Math.max(1, first - performance.now())).unref();
  }

  private expire(): void {
    this.timer = undefined;
    const now = performance.now();
    for (const [session, at] of this.expiries) {
      if (at > now) break;
      this.end(session, 'expired');
    }
    this.expireLater();
  }

  stop(): void {
    clearTimeout(this.timer);
  }
}
