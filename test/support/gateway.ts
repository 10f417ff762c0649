/** Gateways under test: started on a free port of the loopback, and closed when their test or file is over. */
import { resolve } from 'node:path';
import { createGateway, type GatewayOptions, type RunningGateway } from 'threadgate';
import { afterAll, beforeAll, onTestFinished } from 'vitest';

/** The path of an app in test/apps; an absolute path stays as it is. */
export function appFile(name: string): string {
  return resolve(import.meta.dirname, '../apps', name);
}

type TestOptions = Omit<GatewayOptions, 'app'>;

function start(app: string, options: TestOptions): Promise<RunningGateway> {
  return createGateway({
    app: appFile(app),
    port: 0,
    host: '127.0.0.1',
    lanes: 2,
    logLevel: 'silent',
    drainTimeoutMs: 1_000,
    ...options,
  });
}

/** A gateway for the running test. */
export async function startGateway(app: string, options: TestOptions = {}): Promise<RunningGateway> {
  const gateway = await start(app, options);
  onTestFinished(() => gateway.close());
  return gateway;
}

/** A gateway for all tests of a describe block or file; to be called from `gateway()` within tests only. */
export function sharedGateway(app: string, options: TestOptions = {}): () => RunningGateway {
  let gateway: RunningGateway | undefined;
  beforeAll(async () => {
    gateway = await start(app, options);
  });
  afterAll(() => gateway?.close());
  return () => {
    if (gateway === undefined) throw new Error('the shared gateway has not started');
    return gateway;
  };
}
