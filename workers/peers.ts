/** This lane's peers by slot, and the sets of peers that apps look at: views of the directory, over all lanes. */
import type { Peer } from '../src/app.js';
import type { Directory } from '../src/wire/directory.js';
import { LanePeer, type PeerHost } from './peer.js';

export class Peers {
  /** This lane's own connections, until their close hook is through. */
  private readonly own: (LanePeer | undefined)[] = [];
  /** Other lanes' connections, as long as the app holds on to their peers. */
  private readonly others: (WeakRef<LanePeer> | undefined)[] = [];

  constructor(private readonly host: PeerHost) {}

  /** The one peer object of this lane for a connection that it owns. */
  at(slot: number, tag: number): LanePeer {
    const known = this.own[slot];
    if (known !== undefined && known.tag === tag) return known;
    const peer = new LanePeer(this.host, slot, tag);
    this.own[slot] = peer;
    return peer;
  }

  /** The one peer object of this lane for any open connection. */
  ofAnyLane(slot: number, tag: number): LanePeer {
    if (this.host.directory.lane(slot) === this.host.gateway.lane) return this.at(slot, tag);
    const known = this.others[slot]?.deref();
    if (known !== undefined && known.tag === tag) return known;
    const peer = new LanePeer(this.host, slot, tag);
    this.others[slot] = new WeakRef(peer);
    return peer;
  }

  /** This lane's own, as far as it has heard of them. */
  *all(): Generator<LanePeer> {
    for (const peer of this.own) if (peer !== undefined) yield peer;
  }

  forget(peer: LanePeer): void {
    if (this.own[peer.slot] === peer) this.own[peer.slot] = undefined;
  }
}

/** All open connections, or those of one namespace. Looks afresh at every use; cannot be changed. */
export class PeerSet extends Set<Peer> {
  constructor(
    private readonly directory: Directory,
    private readonly peersAt: Peers,
    private readonly namespace: number | undefined,
  ) {
    super();
  }

  private *each(): Generator<LanePeer, undefined> {
    const { directory, namespace } = this;
    const end = directory.highWater;
    for (let slot = 0; slot < end; slot++) {
      const tag = directory.tag(slot);
      if ((tag & 1) === 0) continue;
      if (namespace !== undefined && directory.namespace(slot) !== namespace) continue;
      yield this.peersAt.ofAnyLane(slot, tag);
    }
  }

  override get size(): number {
    if (this.namespace === undefined) return this.directory.openCount;
    let count = 0;
    for (const _ of this.each()) count++;
    return count;
  }

  override has(peer: Peer): boolean {
    return (
      peer instanceof LanePeer &&
      peer.open &&
      (this.namespace === undefined || this.directory.namespace(peer.slot) === this.namespace)
    );
  }

  override forEach(callback: (value: Peer, key: Peer, set: Set<Peer>) => void, thisArg?: unknown): void {
    for (const peer of this.each()) callback.call(thisArg, peer, peer, this);
  }

  override values(): SetIterator<Peer> {
    return this.each() as unknown as SetIterator<Peer>;
  }

  override keys(): SetIterator<Peer> {
    return this.values();
  }

  override *entries(): SetIterator<[Peer, Peer]> {
    for (const peer of this.each()) yield [peer, peer];
  }

  override [Symbol.iterator](): SetIterator<Peer> {
    return this.values();
  }

  override add(): this {
    throw new TypeError('the set of peers cannot be changed');
  }

  override delete(): boolean {
    throw new TypeError('the set of peers cannot be changed');
  }

  override clear(): void {
    throw new TypeError('the set of peers cannot be changed');
  }
}

// Newer Nodes' set algebra (union, isSubsetOf, ...) would look at the set's own, empty, contents.
for (const name of Object.getOwnPropertyNames(Set.prototype)) {
  if (Object.hasOwn(PeerSet.prototype, name)) continue;
  Object.defineProperty(PeerSet.prototype, name, {
    configurable: true,
    writable: true,
    value(this: PeerSet, ...args: unknown[]): unknown {
      const snapshot = new Set(this) as unknown as Record<string, (...args: unknown[]) => unknown>;
      return snapshot[name]?.(...args);
    },
  });
}
