/** Builds the gateway's parts, connects them, and owns their life. The only file that knows them all. */
import { locateApp } from './app-module.js';
import { Drain, type DrainOptions } from './drain.js';
import { ClosedError } from './errors.js';
import { AdminListener } from './frontend/admin.js';
import { Backpressure } from './frontend/backpressure.js';
import { RequestBodies } from './frontend/bodies.js';
import { type Connection, Connections } from './frontend/connections.js';
import { CorkHolder } from './frontend/cork-holder.js';
import { Listener } from './frontend/listener.js';
import { Requests } from './frontend/requests.js';
import { Sockets } from './frontend/sockets.js';
import { Takeover } from './frontend/takeover.js';
import { TopicSender } from './frontend/topics.js';
import { uws } from './frontend/uws.js';
import { Writer } from './frontend/writer.js';
import { Hub } from './hub/hub.js';
import type { JobData, JobName, JobResult, JobValue, RunOptions } from './job.js';
import { type JobModule, type JobOwner, Jobs } from './jobs/jobs.js';
import { Balancer } from './lanes/balancer.js';
import type { Lane } from './lanes/lane.js';
import { Lanes } from './lanes/lanes.js';
import { createLog, type Logger } from './log.js';
import {
  type CloseOptions,
  type GatewayOptions,
  type Options,
  parseCloseOptions,
  parseOptions,
} from './options.js';
import type { RunningGateway } from './running-gateway.js';
import { Journal } from './sessions/journal.js';
import { Sessions } from './sessions/sessions.js';
import type { GatewayStats } from './stats.js';
import { context } from './sync/index.js';
import { encodeData } from './wire/data.js';
import { createDirectoryMemory } from './wire/directory.js';
import { JobCalls } from './wire/job-calls.js';
import { HookBit, hookName, Inbound, TOPIC_SEPARATOR } from './wire/records.js';
import { checkName } from './wire/topics.js';

/**
 * Milliseconds that clients have, after their close frame, to end their side, before their sockets are dropped: what is
 * left of the drain's time, within these bounds.
 */
const LINGER_LEAST_MS = 300;
const LINGER_LONGEST_MS = 1_000;

/** What is logged of a message whose hook was cut off. */
const CUT_OFF: Partial<Record<number, string>> = {
  [Inbound.message]: 'a message is lost: its lane ended while a hook was handling it',
  [Inbound.guaranteed]: 'a guaranteed message is handled again: its lane ended while a hook was handling it',
};

/** See `createGateway` in index.ts. */
export async function startGateway(options: GatewayOptions): Promise<RunningGateway> {
  const parsed = parseOptions(options);
  const gateway = new Gateway(parsed, locateApp(parsed.app), parsed.logger ?? createLog(parsed.logLevel));
  await gateway.start();
  return gateway;
}

class Gateway implements RunningGateway {
  port = 0;
  adminPort: number | undefined;

  private readonly startedAt = performance.now();
  private readonly connections: Connections;
  private readonly requests: Requests;
  private readonly sockets: Sockets;
  private readonly backpressure: Backpressure;
  private readonly topics: TopicSender;
  private readonly hub: Hub;
  private readonly writer: Writer;
  private readonly lanes: Lanes;
  private readonly takeover: Takeover;
  private readonly sessions: Sessions<Connection>;
  private readonly jobs: Jobs;
  private readonly jobCalls: JobCalls;
  private readonly listener: Listener;
  private readonly admin: AdminListener;
  private readonly drain: Drain;
  /** Ends everything that goes on by itself, on every thread. */
  private readonly ending = context();
  private closing: Promise<void> | undefined;

  constructor(
    private readonly options: Options,
    app: string,
    private readonly log: Logger,
  ) {
    const memory = createDirectoryMemory(options.maxConnections);
    const uwsApp = uws.App();
    this.connections = new Connections(memory);
    this.topics = new TopicSender(uwsApp);
    this.hub = new Hub((name, publication) => this.topics.send(name, publication));
    this.backpressure = new Backpressure(
      this.connections,
      options.maxBackpressure,
      (connection, waitingBytes) =>
        this.warn(connection, 'slow consumer: closed with 1013', { waitingBytes }),
    );
    const bodies = new RequestBodies(options.maxBody, options.maxInboundPerLane);
    this.requests = new Requests(
      bodies,
      () => this.lanes.forRequest(),
      opening => this.connections.hasRoomFor(opening),
    );
    this.sessions = this.createSessions();
    this.takeover = new Takeover(
      this.connections,
      this.requests,
      this.sessions,
      index => this.lanes.at(index),
      {
        lost: (connection, type) =>
          this.warn(connection, CUT_OFF[type] ?? 'a hook was cut off: its lane ended', {
            hook: hookName(type),
          }),
        poisoned: (connection, refused) =>
          this.warn(connection, 'its messages end lanes: closed with 1011', refused === 0 ? {} : { refused }),
      },
    );
    this.jobs = new Jobs(options);
    const owner = this.jobOwner();
    this.jobCalls = new JobCalls({
      request: request => this.jobs.request(owner, request),
      aborted: id => this.jobs.abort(owner, id),
    });
    this.writer = new Writer(
      this.connections,
      this.requests,
      this.hub,
      this.backpressure,
      this.sessions,
      (slot, tag) => this.takeover.left(slot, tag),
      connection => this.drain.finished(connection),
    );
    this.lanes = new Lanes(
      options.lanes,
      app,
      memory,
      this.connections.directory,
      { ...options, ending: this.ending.handle },
      {
        batch: (lane, batch) => this.writer.execute(lane, batch),
        batchFailed: (lane, error) =>
          this.log.error({ lane: lane.index, err: error }, 'a batch could not be carried out'),
        log: (lane, { level, message, fields }) => this.log[level]({ lane: lane.index, ...fields }, message),
        job: (lane, request) => this.jobs.request(lane, request),
        jobAborted: (lane, id) => this.jobs.abort(lane, id),
        died: ({ index, connections }, error) =>
          this.log.error(
            { lane: index, err: error, connections },
            'lane died; another takes its connections',
          ),
        hangs: lane =>
          this.log.error(
            { lane: lane.index, hangTimeoutMs: options.hangTimeoutMs },
            'lane hangs: its thread is ended',
          ),
        takeOver: (from, to) => this.takeover.carryOut(from, to),
        replaced: lane => this.log.info({ lane: lane.index }, 'lane is back'),
        restartFailed: (index, error, nextTryMs) =>
          this.log.error({ lane: index, err: error, nextTryMs }, 'lane cannot start; will try again'),
      },
    );
    this.sockets = new Sockets(
      this.connections,
      this.requests,
      this.backpressure,
      this.hub,
      this.sessions,
      options,
      {
        forConnection: () => this.lanes.forConnection(),
        at: index => this.lanes.at(index),
      },
      {
        overflowed: connection =>
          this.warn(connection, 'messages outran their handlers: closed with 1013', {}),
        takenOff: connection => this.drain.takenOff(connection),
      },
    );
    this.listener = new Listener(uwsApp, this.sockets, this.requests);
    this.drain = new Drain(
      this.connections,
      this.requests,
      this.listener,
      this.lanes,
      this.jobs,
      this.ending,
      log,
    );
    this.admin = new AdminListener(
      () => this.ready,
      () => this.stats,
    );
  }

  private createSessions(): Sessions<Connection> {
    const { sessionTtlMs, sessionDir, maxSessionBytes, maxConnections, ...others } = this.options;
    const journal =
      sessionDir === undefined || sessionTtlMs === 0
        ? undefined
        : new Journal(sessionDir, error =>
            this.log.error(
              { err: error, sessionDir },
              'sessions cannot be written: they will not outlive this process',
            ),
          );
    const bounds = { ...others, ttlMs: sessionTtlMs, maxBytes: maxSessionBytes, maxAway: maxConnections };
    const sessions = new Sessions<Connection>(bounds, journal, {
      message: (connection, binary, redelivered, payload) =>
        this.sockets.guaranteed(connection, binary, redelivered, payload),
      sent: connection => this.backpressure.check(connection),
      close: (connection, cause, code, reason) => {
        if (connection.ws === undefined || connection.cause !== undefined) return;
        connection.cause = cause;
        this.warn(connection, `closed with ${code}: ${reason}`, {});
        connection.ws.end(code, reason);
      },
      dropped: (session, count, why) =>
        this.log.warn({ session, count, why }, 'guaranteed messages are dropped: their session is over'),
    });
    this.connections.onSessionReleased = (session, connection) => sessions.released(session, connection);
    return sessions;
  }

  async start(): Promise<void> {
    await this.lanes.start();
    try {
      this.startBalancing();
      if (this.lanes.list.some(lane => lane.has(HookBit.upgrade)))
        this.requests.corkHolder = await CorkHolder.create();
      const { host, adminHost, adminPort } = this.options;
      this.port = await this.listener.listen(host, this.options.port);
      if (adminPort !== 0) this.adminPort = await this.admin.listen(adminHost, adminPort);
      const { port, adminPort: admin } = this;
      const shown = host === '0.0.0.0' || host === '::' ? 'localhost' : host;
      this.log.info({ lanes: this.options.lanes, admin }, `listening on http://${shown}:${port}`);
    } catch (error) {
      this.closing = Promise.resolve();
      this.listener.close();
      await this.lanes.stop(0);
      await this.release();
      throw error;
    }
  }

  get signal(): AbortSignal {
    return this.ending.signal;
  }

  private startBalancing(): void {
    const { balanceMs } = this.options;
    if (balanceMs === 0) return;
    const handOver = (from: Lane, to: Lane, count: number): void => {
      if (this.closing !== undefined || !to.has(HookBit.resume)) return;
      this.log.info({ from: from.index, to: to.index, connections: count }, 'lanes are evened out');
      this.takeover.handOffSome(from, to, count);
    };
    new Balancer(
      balanceMs,
      () => this.lanes.list,
      lane => this.lanes.busyness(lane),
      handOver,
      this.ending.signal,
    );
  }

  private get ready(): boolean {
    return this.closing === undefined && this.lanes.readyCount === this.options.lanes;
  }

  async publish(
    topic: string,
    data: unknown,
    options?: { namespace?: string; compress?: boolean },
  ): Promise<void> {
    if (this.closing !== undefined) throw new ClosedError();
    checkName('topic', topic);
    const namespace = options?.namespace;
    if (namespace !== undefined) checkName('namespace', namespace);
    const { bytes, binary } = encodeData(data);
    this.hub.publish({
      name: namespace === undefined ? topic : namespace + TOPIC_SEPARATOR + topic,
      everyNamespace: namespace === undefined,
      data: bytes,
      binary,
      compress: options?.compress ?? false,
      except: undefined,
    });
    this.backpressure.published(bytes.length);
  }

  run<Name extends JobName>(
    name: Name,
    data?: JobData<Name>,
    options?: RunOptions,
  ): Promise<JobResult<JobValue<Name>>> {
    return this.jobCalls.run(name, data, options) as Promise<JobResult<JobValue<Name>>>;
  }

  /** The main thread as one who asks for jobs: it has those of the app that the lanes have. */
  private jobOwner(): JobOwner {
    const newest = (): JobModule | undefined => this.lanes.list.find(lane => lane.jobs !== undefined)?.jobs;
    return {
      get jobs() {
        return newest();
      },
      // It outlives the pool, which aborts what is left when it is closed.
      ended: new Promise(() => {}),
      jobEnded: (id, failure) => this.jobCalls.ended(id, failure),
    };
  }

  private warn(connection: Connection, message: string, fields: Record<string, unknown>): void {
    const { directory } = this.connections;
    const { slot, lane } = connection;
    this.log.warn({ lane: lane.index, connection: directory.id(slot), ...fields }, message);
  }

  async reload(): Promise<void> {
    if (this.closing !== undefined) throw new ClosedError();
    const began = performance.now();
    try {
      await this.lanes.reload(this.options.drainTimeoutMs);
    } catch (error) {
      this.log.error({ err: error }, 'not reloaded: the old code goes on');
      throw error;
    }
    this.log.info({ ms: Math.round(performance.now() - began) }, 'reloaded');
  }

  close(options: CloseOptions = {}): Promise<void> {
    try {
      const { drainTimeoutMs, code, reason } = parseCloseOptions(options);
      this.closing ??= this.shutDown({
        drainDelayMs: this.options.drainDelayMs,
        drainTimeoutMs: drainTimeoutMs ?? this.options.drainTimeoutMs,
        drainCode: code ?? this.options.drainCode,
        drainReason: reason ?? (code === undefined ? this.options.drainReason : ''),
      });
      return this.closing;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  private async shutDown(options: DrainOptions): Promise<void> {
    const deadline = performance.now() + options.drainTimeoutMs;
    await this.drain.run(options);
    await this.release();
    // Clients now answer the close frame and end their side. Who does not is dropped.
    const lingerMs = Math.min(Math.max(deadline - performance.now(), LINGER_LEAST_MS), LINGER_LONGEST_MS);
    setTimeout(() => this.listener.close(), lingerMs).unref();
  }

  /** Gives back everything but the sockets of clients. */
  private async release(): Promise<void> {
    this.backpressure.stop();
    this.sessions.stop();
    await this.hub.close();
    this.admin.close();
    this.requests.corkHolder?.close();
  }

  get stats(): GatewayStats {
    const { connections, sockets, writer, topics, hub, requests, jobs, lanes } = this;
    return {
      uptimeSeconds: (performance.now() - this.startedAt) / 1000,
      ready: this.ready,
      connections: {
        open: connections.openCount,
        opened: connections.opened,
        closedByCause: Object.fromEntries(connections.closesByCause),
      },
      messages: {
        in: sockets.messagesIn,
        out: writer.messagesOut + topics.messagesOut,
        published: hub.published,
        lost: this.takeover.lost,
      },
      bytes: { in: sockets.bytesIn, out: writer.bytesOut + topics.bytesOut },
      sessions: this.sessions.stats,
      requests: { total: requests.total, waiting: requests.waiting },
      topics: hub.names,
      jobs: jobs.stats,
      lanes: lanes.list.map(lane => ({
        index: lane.index,
        ready: lane.ready,
        ...lane.stats,
        utilisation: lanes.utilisation(lane),
      })),
    };
  }
}
