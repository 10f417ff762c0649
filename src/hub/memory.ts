/** The broker of a single node: there is nobody else to tell. */
import type { Broker, Deliver, Publication } from './broker.js';

export class MemoryBroker implements Broker {
  constructor(private readonly deliver: Deliver) {}

  publish(publication: Publication): void {
    this.deliver(publication);
  }

  subscribe(): void {}

  unsubscribe(): void {}

  async close(): Promise<void> {}
}
