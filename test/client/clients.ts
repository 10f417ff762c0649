/** The client as it is built, ended when its test is over. */
import { onTestFinished } from 'vitest';
import {
  type Client,
  type ClientOptions,
  createClient,
  type Status,
  type Url,
} from '../../dist/src/client/index.js';

/** Comes back within milliseconds. */
export const FAST = { minDelay: 1, maxDelay: 20 };

export function startClient(url: Url, options?: ClientOptions): Client {
  const client = createClient(url, options);
  onTestFinished(() => client.close());
  return client;
}

type State = Status['state'];

/** Resolves with the next status of that state that the client takes on, or with the one that it has. */
export function becomes<S extends State>(client: Client, state: S): Promise<Extract<Status, { state: S }>> {
  const is = (status: Status): status is Extract<Status, { state: S }> => status.state === state;
  if (is(client.status)) return Promise.resolve(client.status);
  return next(client, state);
}

/** The same, and not the one that it has. */
export function next<S extends State>(client: Client, state: S): Promise<Extract<Status, { state: S }>> {
  return new Promise(resolve => {
    const look = (status: Status): void => {
      if (status.state !== state) return;
      client.off('status', look);
      resolve(status as Extract<Status, { state: S }>);
    };
    client.on('status', look);
  });
}

/** The states that the client takes on from now on. */
export function statesOf(client: Client): State[] {
  const states: State[] = [];
  client.on('status', status => states.push(status.state));
  return states;
}

/** Resolves with that many messages. */
export function take(client: Client, count: number): Promise<(string | ArrayBuffer)[]> {
  return new Promise(resolve => {
    const messages: (string | ArrayBuffer)[] = [];
    const hear = (data: string | ArrayBuffer): void => {
      messages.push(data);
      if (messages.length < count) return;
      client.off('message', hear);
      resolve(messages);
    };
    client.on('message', hear);
  });
}

/** What a promise that is to reject rejects with. */
export async function failure(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('it was to reject, and did not');
}
