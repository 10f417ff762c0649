/**
 * Runs functions of a test inside a hook, on the lane of a connection: the app test/apps/run.mjs gets their source. So
 * they can use nothing but their parameters and globals, and what they return must have a JSON form.
 */
import { once } from 'node:events';
import type { Gateway, Message, Peer } from 'threadgate';
import { onTestFinished } from 'vitest';
import { Client, type ConnectOptions, type Received } from './client.js';

/** What run.mjs marks its own frames with; everything else is the test's. */
const REPLY = '#reply ';

/** What hooks of run.mjs saw on their lane. */
export interface Seen {
  hook: string;
  peer: string;
  [detail: string]: unknown;
}

export interface Tools<A> {
  gateway: Gateway;
  message: Message;
  argument: A;
  /** The hooks that ran on this lane for other reasons than a run. */
  seen: Seen[];
  /** Kept by this lane from one run to the next. */
  kept: Map<string, unknown>;
  /** The peer with that id, among the peers of all lanes. */
  find(id: string): Peer;
}

interface Reply {
  result?: unknown;
  error?: { name: string; message: string; code?: string };
}

export class Runner extends Client {
  private readonly replies: ((reply: Reply) => void)[] = [];

  protected override receive(message: Received): void {
    if (typeof message !== 'string' || !message.startsWith(REPLY)) super.receive(message);
    else this.replies.shift()?.(JSON.parse(message.slice(REPLY.length)) as Reply);
  }

  /** Runs `body` in this connection's message hook. @throws what it threw, with name and code */
  run<T>(body: (peer: Peer, tools: Tools<undefined>) => T): Promise<Awaited<T>>;
  run<T, A>(body: (peer: Peer, tools: Tools<A>) => T, argument: A): Promise<Awaited<T>>;
  async run(body: (...args: never[]) => unknown, argument?: unknown): Promise<unknown> {
    const reply = new Promise<Reply>((resolve, reject) => {
      this.replies.push(resolve);
      this.closed.then(({ code, reason }) => reject(new Error(`closed with ${code} '${reason}'`)));
    });
    this.send(JSON.stringify({ source: String(body), argument }));
    const { result, error } = await reply;
    if (error !== undefined) throw Object.assign(new Error(error.message), error);
    return result;
  }
}

export async function connectRunner(port: number, options?: ConnectOptions): Promise<Runner> {
  const runner = new Runner(port, options);
  onTestFinished(() => runner.disconnect());
  await once(runner.socket, 'open');
  return runner;
}

/** Two connections on two lanes of a gateway that has two and nobody else on them. */
export async function connectOnTwoLanes(port: number, options?: ConnectOptions): Promise<[Runner, Runner]> {
  const first = await connectRunner(port, options);
  const second = await connectRunner(port, options);
  const lanes = await Promise.all([first, second].map(runner => runner.run(peer => peer.gateway.lane)));
  if (lanes[0] === lanes[1]) throw new Error('both connections are on one lane');
  return [first, second];
}
