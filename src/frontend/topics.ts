/** Sends publications to this node's subscribers, through uWebSockets' own topics, and counts what goes out. */
import type { Publication } from '../hub/broker.js';
import type { Connection } from './connections.js';
import type { TemplatedApp } from './uws.js';

export class TopicSender {
  messagesOut = 0;
  bytesOut = 0;

  constructor(private readonly app: TemplatedApp) {}

  /** @param name the full name: namespace, separator, topic */
  send(name: string, { data, binary, compress, except }: Publication): void {
    const ws = (except as Connection | undefined)?.ws;
    const leftOut = ws?.isSubscribed(name) ? ws : undefined;
    const receivers = this.app.numSubscribers(name) - (leftOut === undefined ? 0 : 1);
    this.messagesOut += receivers;
    this.bytesOut += receivers * data.length;
    // A socket's own publish leaves that socket out, but works only for one that is subscribed to something.
    if (leftOut !== undefined) leftOut.publish(name, data, binary, compress);
    else this.app.publish(name, data, binary, compress);
  }
}
