/** The gateway as an app on this lane sees it. */
import type { Gateway, Log, Peer, PublishOptions } from '../src/app.js';
import type { JobName, JobResult, JobValue, RunOptions } from '../src/job.js';
import type { Context } from '../src/sync/index.js';
import type { Directory } from '../src/wire/directory.js';
import type { JobCalls } from '../src/wire/job-calls.js';
import type { HookRunner } from './hooks.js';
import type { Outbox } from './outbox.js';
import { type LanePeer, type PeerHost, publish } from './peer.js';
import { PeerSet, Peers } from './peers.js';

export class LaneGateway implements Gateway, PeerHost {
  readonly byConnection: Peers;
  readonly peers: Set<Peer>;
  readonly gateway = this;
  /** Set once the parts that need each other exist. */
  hooks: HookRunner | undefined;

  constructor(
    readonly lane: number,
    readonly directory: Directory,
    readonly outbox: Outbox,
    readonly log: Log,
    private readonly jobs: JobCalls,
    private readonly ending: Context,
    readonly data: unknown,
  ) {
    this.byConnection = new Peers(this);
    this.peers = new PeerSet(directory, this.byConnection, undefined);
  }

  get signal(): AbortSignal {
    return this.ending.signal;
  }

  publish(topic: string, data: unknown, options?: PublishOptions): void {
    publish(this.outbox, topic, data, options, options?.namespace);
  }

  run<Name extends JobName>(
    name: Name,
    data?: unknown,
    options?: RunOptions,
  ): Promise<JobResult<JobValue<Name>>> {
    return this.jobs.run(name, data, options) as Promise<JobResult<JobValue<Name>>>;
  }

  peersOf(namespace: number): Set<Peer> {
    return new PeerSet(this.directory, this.byConnection, namespace);
  }

  fail(peer: LanePeer, hook: string, error: unknown): void {
    this.hooks?.failed(peer, hook, error);
  }
}
