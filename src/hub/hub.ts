/**
 * Topics. uWebSockets keeps who is subscribed and sends to them; the hub knows which names have subscribers here, so
 * that a publication for every namespace finds its namespaces, and a broker asks other nodes only for what is wanted.
 */
import { topicOf } from '../wire/topics.js';
import type { Broker, Deliver, Publication } from './broker.js';
import { MemoryBroker } from './memory.js';

/** Sends to this node's subscribers of one full name. */
export type SendToTopic = (name: string, publication: Publication) => void;

export class Hub {
  /** Topic to the full names (with namespaces) that have subscribers here. */
  private readonly namesByTopic = new Map<string, Set<string>>();
  private readonly broker: Broker;
  /** Publications so far. */
  published = 0;

  constructor(
    private readonly send: SendToTopic,
    createBroker: (deliver: Deliver) => Broker = deliver => new MemoryBroker(deliver),
  ) {
    this.broker = createBroker(publication => this.deliver(publication));
  }

  publish(publication: Publication): void {
    this.published++;
    this.broker.publish(publication);
  }

  private deliver(publication: Publication): void {
    if (!publication.everyNamespace) {
      this.send(publication.name, publication);
      return;
    }
    for (const name of this.namesByTopic.get(publication.name) ?? []) this.send(name, publication);
  }

  /** The number of subscribers of a full name changed. */
  subscribersChanged(name: string, now: number, before: number): void {
    if (before === 0 && now > 0) {
      const topic = topicOf(name);
      const names = this.namesByTopic.get(topic);
      if (names === undefined) this.namesByTopic.set(topic, new Set([name]));
      else names.add(name);
      this.broker.subscribe(name);
    } else if (now === 0 && before > 0) {
      const topic = topicOf(name);
      const names = this.namesByTopic.get(topic);
      names?.delete(name);
      if (names?.size === 0) this.namesByTopic.delete(topic);
      this.broker.unsubscribe(name);
    }
  }

  /** Names that have subscribers here. */
  get names(): number {
    let count = 0;
    for (const names of this.namesByTopic.values()) count += names.size;
    return count;
  }

  close(): Promise<void> {
    return this.broker.close();
  }
}
