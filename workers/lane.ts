/**
 * A lane: one long task on one of Piscina's threads. Imports the app, then reads its ring until it is asked to stop.
 */
import { existsSync } from 'node:fs';
import { threadId } from 'node:worker_threads';
import type { App } from '../src/app.js';
import { open, useArena } from '../src/sync/index.js';
import { Directory } from '../src/wire/directory.js';
import { JobCalls } from '../src/wire/job-calls.js';
import {
  type LaneCommand,
  type LaneMessage,
  type LaneTask,
  toWireError,
  WAKE,
} from '../src/wire/messages.js';
import { HookBit } from '../src/wire/records.js';
import { RingReader } from '../src/wire/ring-reader.js';
import { attributed } from './attribution.js';
import { Dispatcher } from './dispatcher.js';
import { LaneGateway } from './gateway.js';
import { HookRunner } from './hooks.js';
import { HttpHandler } from './http.js';
import { LaneLog } from './log.js';
import { Outbox } from './outbox.js';
import { installRequest } from './request.js';
import { installResponse } from './response.js';

export async function lane(task: LaneTask): Promise<void> {
  const post = (message: LaneMessage): void => task.port.postMessage(message);
  useArena(task.arena);
  installRequest();
  installResponse();
  const ring = new RingReader(task.ring);
  // From before the import on: that may hang as well.
  ring.beat();
  const heartbeat = task.heartbeatMs === 0 ? undefined : setInterval(() => ring.beat(), task.heartbeatMs);
  let app: App;
  try {
    app = await importApp(task.app);
  } catch (error) {
    const reason = error instanceof UnusableExports ? 'exports' : 'import';
    post({ type: 'failed', reason, error: toWireError(error) });
    clearInterval(heartbeat);
    task.port.close();
    task.payloads.close();
    return;
  }
  await serve(task, app, ring, post);
  clearInterval(heartbeat);
}

/** Has the app start, and then runs until the main thread says so and what was under way has settled, or its time is up. */
function serve(
  task: LaneTask,
  app: App,
  ring: RingReader,
  post: (message: LaneMessage) => void,
): Promise<void> {
  return new Promise(resolve => {
    const { port, payloads } = task;
    const directory = new Directory(task.directory);
    const outbox = new Outbox(port);
    const log = new LaneLog(port);
    const jobs = new JobCalls({
      request: request => port.postMessage({ type: 'job', request } satisfies LaneMessage, [request.port]),
      aborted: id => post({ type: 'jobAborted', id }),
    });
    const ending = open(task.ending);
    const gateway = new LaneGateway(task.lane, directory, outbox, log, jobs, ending, task.data);
    /** What to do once nothing is under way, or time is up. */
    let whenSettled: { unsettled(): number; then(): void; deadline: NodeJS.Timeout } | undefined;

    const progressed = (): void => {
      if (whenSettled?.unsettled() === 0) settled();
    };
    const settled = (): void => {
      const { then, deadline } = whenSettled as NonNullable<typeof whenSettled>;
      whenSettled = undefined;
      clearTimeout(deadline);
      then();
    };
    const settleWithin = (withinMs: number, unsettled: () => number, then: () => void): void => {
      clearTimeout(whenSettled?.deadline);
      whenSettled = { unsettled, then, deadline: setTimeout(settled, withinMs) };
    };

    const http = new HttpHandler(app, gateway, ring, outbox, log, progressed);
    const hooks = new HookRunner(
      task.attribute
        ? attributed(app.websocket ?? {}, peer => ring.blame(peer?.slot ?? 0, peer?.tag ?? 0))
        : (app.websocket ?? {}),
      http,
      log,
    );
    gateway.hooks = hooks;
    const dispatcher = new Dispatcher(
      ring,
      port,
      payloads,
      directory,
      outbox,
      gateway.byConnection,
      hooks,
      http,
      log,
      task.hookTimeoutMs,
      progressed,
    );

    const end = (): void => {
      dispatcher.end();
      outbox.endDrain();
      post({ type: 'stopped', unsettled: dispatcher.unsettled + http.unsettled });
      port.close();
      payloads.close();
      resolve();
    };
    const obey = (command: LaneCommand): void => {
      switch (command.type) {
        case 'stop':
          // The end of the gateway's signal comes by another way than this message, and may not be here yet. Who listens
          // to it has its turn first.
          ending.look();
          setImmediate(async () => {
            await started;
            settleWithin(command.withinMs, () => dispatcher.unfinished + http.unsettled, end);
            // What main published before it said stop is in the ring.
            dispatcher.wake();
          });
          break;
        case 'handOver':
          dispatcher.stop();
          outbox.endDrain();
          post({ type: 'handedOver', running: dispatcher.runningSlots });
          break;
        case 'retire':
          settleWithin(command.withinMs, () => dispatcher.unsettled + http.unsettled, end);
          dispatcher.goOnFrom(command.from);
          break;
        case 'jobEnded':
          jobs.ended(command.id, command.failure);
          break;
      }
    };
    port.on('message', (message: typeof WAKE | LaneCommand) => {
      if (message === WAKE) dispatcher.wake();
      else obey(message);
    });
    const start = async (): Promise<void> => {
      try {
        await app.start?.(gateway);
      } catch (error) {
        post({ type: 'failed', reason: 'start', error: toWireError(error) });
        end();
        return;
      }
      post({ type: 'ready', hooks: hooksOf(app), threadId, jobs: jobsModule(app, task.app) });
      // The ring may have been filled before: nobody wakes a lane that is not asleep.
      dispatcher.wake();
    };
    const started = start();
  });
}

class UnusableExports extends Error {}

async function importApp(url: string): Promise<App> {
  const module = (await import(url)) as { default?: unknown };
  const app = module.default as App | undefined;
  const path = new URL(url).pathname;
  if (typeof app !== 'object' || app === null) {
    throw new UnusableExports(
      `the app '${path}' has no default export with 'websocket' hooks or a 'fetch' function`,
    );
  }
  if (app.websocket === undefined && app.fetch === undefined) {
    throw new UnusableExports(
      `the default export of the app '${path}' has neither 'websocket' hooks nor 'fetch'`,
    );
  }
  if (app.websocket !== undefined && (typeof app.websocket !== 'object' || app.websocket === null)) {
    throw new UnusableExports(`'websocket' of the app '${path}' is no object of hooks`);
  }
  for (const [name, hook] of Object.entries(app.websocket ?? {})) {
    if (hook !== undefined && typeof hook !== 'function') {
      throw new UnusableExports(`the hook '${name}' of the app '${path}' is no function`);
    }
  }
  if (app.fetch !== undefined && typeof app.fetch !== 'function') {
    throw new UnusableExports(`'fetch' of the app '${path}' is no function`);
  }
  if (app.start !== undefined && typeof app.start !== 'function') {
    throw new UnusableExports(`'start' of the app '${path}' is no function`);
  }
  checkJobs(app, url);
  return app;
}

function checkJobs(app: App, url: string): void {
  const { jobs } = app;
  if (jobs === undefined) return;
  const path = new URL(url).pathname;
  if (typeof jobs !== 'string' && !(jobs instanceof URL))
    throw new UnusableExports(`'jobs' of the app '${path}' is neither a string nor a URL`);
  const module = jobsModule(app, url) as string;
  if (!module.startsWith('file:') || !existsSync(new URL(module)))
    throw new UnusableExports(`'jobs' of the app '${path}' names '${module}', which is no file`);
}

/** The module of the app's jobs as a URL. */
function jobsModule({ jobs }: App, url: string): string | undefined {
  return jobs === undefined ? undefined : new URL(jobs, url).href;
}

function hooksOf({ websocket, fetch }: App): number {
  let bits = 0;
  if (fetch !== undefined) bits |= HookBit.fetch;
  if (websocket === undefined) return bits;
  bits |= HookBit.websocket;
  for (const name of ['upgrade', 'open', 'message', 'close', 'drain', 'ping', 'pong', 'resume'] as const) {
    if (websocket[name] !== undefined) bits |= HookBit[name];
  }
  return bits;
}
