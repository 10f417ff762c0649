/** `peer.websocket`: a peer as a WebSocket of the platform would look. */
import type { PeerWebSocket } from '../src/app.js';
import type { LanePeer } from './peer.js';

export class LaneWebSocket implements PeerWebSocket {
  binaryType?: NonNullable<PeerWebSocket['binaryType']>;

  constructor(private readonly peer: LanePeer) {}

  get readyState(): number {
    return this.peer.readyState;
  }

  get protocol(): string {
    return this.peer.protocol;
  }

  get extensions(): string {
    return this.peer.extensions;
  }

  get url(): string {
    return this.peer.request.url.replace(/^http/, 'ws');
  }

  get bufferedAmount(): number {
    return this.peer.bufferedAmount;
  }

  send(data: unknown): void {
    this.peer.send(data);
  }

  close(code?: number, reason?: string): void {
    this.peer.close(code, reason);
  }
}
