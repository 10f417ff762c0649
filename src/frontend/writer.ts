/**
 * The writer: carries out a lane's batch, record by record, on the connections.
 *
 * All frames of one batch for one connection are gathered and sent inside one cork: one system call instead of one per
 * frame, which is where the speed is. What is seen by a client keeps the order of the batch: before anything that
 * reaches other connections' order (a publication) everything gathered is sent; before anything else for one connection
 * (a close, a ping) that connection's frames are. Guaranteed messages have an order of their own.
 */
import type { Hub } from '../hub/hub.js';
import type { Lane } from '../lanes/lane.js';
import { readNumber } from '../sessions/frames.js';
import type { Sessions } from '../sessions/sessions.js';
import type { BatchReader } from '../wire/batch.js';
import { BINARY, COMPRESS, Inbound, Outbound, SOURCE_BYTES, SUBSCRIBED } from '../wire/records.js';
import type { Backpressure } from './backpressure.js';
import type { Connection, Connections } from './connections.js';
import type { Requests } from './requests.js';

/** Cells of one gathered frame: where it stands, its length, its flags, and the connection's next frame. */
const FRAME_CELLS = 4;
const NONE = -1;

const NO_BYTES = new Uint8Array(0);

export class Writer {
  messagesOut = 0;
  bytesOut = 0;

  private frames = new Int32Array(1024 * FRAME_CELLS);
  private frameCount = 0;
  /** Connections with gathered frames; the first `touchedCount` count. */
  private readonly touched: Connection[] = [];
  private touchedCount = 0;
  private memory = new SharedArrayBuffer(0);
  private corked: Connection | undefined;

  constructor(
    private readonly connections: Connections,
    private readonly requests: Requests,
    private readonly hub: Hub,
    private readonly backpressure: Backpressure,
    private readonly sessions: Sessions<Connection>,
    /** The lane is through with a connection that is to be another's. */
    private readonly left: (slot: number, tag: number) => void,
    /** A connection's hooks have settled, and everything that they sent was carried out. */
    private readonly finished: (connection: Connection) => void,
  ) {}

  execute(lane: Lane, batch: BatchReader): void {
    this.memory = batch.memory;
    batch.open();
    try {
      while (batch.next()) {
        if (batch.type === Outbound.send) this.gather(batch);
        else this.command(lane, batch);
      }
      this.flush();
      this.sessions.flush();
    } finally {
      this.forget();
    }
  }

  /** Nothing gathered may outlive its batch: its frames would then be read from another one's memory. */
  private forget(): void {
    for (let i = 0; i < this.touchedCount; i++) (this.touched[i] as Connection).firstFrame = NONE;
    this.touchedCount = 0;
    this.frameCount = 0;
  }

  private command(lane: Lane, batch: BatchReader): void {
    switch (batch.type) {
      case Outbound.publish:
      case Outbound.publishAll:
        this.flush();
        this.publish(batch);
        break;
      case Outbound.released:
        this.connections.release(batch.target, batch.tag);
        break;
      case Outbound.guaranteed:
        this.guaranteed(batch);
        break;
      case Outbound.settled:
        this.sessions.settled(batch.target, batch.tag, readNumber(batch.bytes, batch.offset));
        break;
      case Outbound.left:
        this.flush();
        this.left(batch.target, batch.tag);
        break;
      case Outbound.accept:
      case Outbound.response:
      case Outbound.responseHead:
      case Outbound.responseChunk:
      case Outbound.responseEnd:
        this.requests.answer(lane, batch);
        break;
      default: {
        const connection = this.connections.find(batch.target, batch.tag);
        if (connection === undefined) return;
        this.flushOne(connection);
        this.controlConnection(connection, lane, batch);
      }
    }
  }

  private controlConnection(connection: Connection, lane: Lane, batch: BatchReader): void {
    const { ws } = connection;
    if (ws === undefined) return;
    switch (batch.type) {
      case Outbound.close:
        this.sessions.flush();
        connection.cause ??= 'app';
        ws.end(batch.aux, this.view(batch.offset, batch.length));
        break;
      case Outbound.terminate:
        connection.cause ??= 'app';
        ws.close();
        break;
      case Outbound.finished:
        this.sessions.flush();
        this.finished(connection);
        break;
      case Outbound.ping:
        ws.ping(this.view(batch.offset, batch.length));
        this.backpressure.check(connection);
        break;
      case Outbound.subscribe:
        if (connection.cause === undefined) ws.subscribe(this.view(batch.offset, batch.length));
        this.tellOwner(connection, lane, batch, SUBSCRIBED);
        break;
      case Outbound.unsubscribe:
        ws.unsubscribe(this.view(batch.offset, batch.length));
        this.tellOwner(connection, lane, batch, 0);
        break;
    }
  }

  /** A peer's topics are kept by the lane that owns it; it has to hear of what another lane did. */
  private tellOwner(connection: Connection, lane: Lane, batch: BatchReader, flags: number): void {
    // One that moves is told its topics when it arrives.
    if (connection.lane === lane || !connection.known || connection.moving !== undefined) return;
    connection.tell(Inbound.topic, flags, 0, this.view(batch.offset, batch.length));
  }

  private guaranteed(batch: BatchReader): void {
    const source = {
      slot: batch.bytes.readInt32LE(batch.offset),
      tag: batch.bytes.readInt32LE(batch.offset + 4),
    };
    const data = this.view(batch.offset + SOURCE_BYTES, batch.length - SOURCE_BYTES);
    this.sessions.send(batch.target, batch.tag, source, data, (batch.flags & BINARY) !== 0);
  }

  private publish(batch: BatchReader): void {
    const topicEnd = batch.offset + batch.aux;
    const data = this.view(topicEnd, batch.length - batch.aux);
    this.hub.publish({
      name: batch.bytes.toString('utf8', batch.offset, topicEnd),
      everyNamespace: batch.type === Outbound.publishAll,
      data,
      binary: (batch.flags & BINARY) !== 0,
      compress: (batch.flags & COMPRESS) !== 0,
      except: batch.tag === 0 ? undefined : this.connections.find(batch.target, batch.tag),
    });
    this.backpressure.published(data.length);
  }

  private gather(batch: BatchReader): void {
    const connection = this.connections.find(batch.target, batch.tag);
    if (connection === undefined) return;
    const frame = this.frameCount++;
    const base = frame * FRAME_CELLS;
    if (base === this.frames.length) this.growFrames();
    const { frames } = this;
    frames[base] = batch.offset;
    frames[base + 1] = batch.length;
    frames[base + 2] = batch.flags;
    frames[base + 3] = NONE;
    if (connection.firstFrame === NONE) {
      connection.firstFrame = frame;
      this.touched[this.touchedCount++] = connection;
    } else {
      frames[connection.lastFrame * FRAME_CELLS + 3] = frame;
    }
    connection.lastFrame = frame;
  }

  private growFrames(): void {
    const larger = new Int32Array(this.frames.length * 2);
    larger.set(this.frames);
    this.frames = larger;
  }

  /** Sends everything gathered. */
  private flush(): void {
    for (let i = 0; i < this.touchedCount; i++) this.flushOne(this.touched[i] as Connection);
    this.forget();
  }

  private flushOne(connection: Connection): void {
    const { firstFrame, ws } = connection;
    if (firstFrame === NONE) return;
    if (ws !== undefined && connection.cause === undefined) {
      if (firstFrame === connection.lastFrame) {
        this.sendFrame(connection, firstFrame);
      } else {
        this.corked = connection;
        ws.cork(this.sendCorked);
      }
      this.backpressure.check(connection);
    }
    connection.firstFrame = NONE;
  }

  /** Runs inside the cork of `corked`. */
  private readonly sendCorked = (): void => {
    const connection = this.corked as Connection;
    let frame = connection.firstFrame;
    while (frame !== NONE && this.sendFrame(connection, frame)) {
      frame = this.frames[frame * FRAME_CELLS + 3] as number;
    }
  };

  /** @returns false when no more may be sent to this connection */
  private sendFrame(connection: Connection, frame: number): boolean {
    const base = frame * FRAME_CELLS;
    const offset = this.frames[base] as number;
    const length = this.frames[base + 1] as number;
    const flags = this.frames[base + 2] as number;
    this.messagesOut++;
    this.bytesOut += length;
    // uWebSockets takes views of shared memory, though its types do not say so for all releases.
    const status = connection.ws?.send(
      this.view(offset, length),
      (flags & BINARY) !== 0,
      (flags & COMPRESS) !== 0,
    );
    return status === 1 || this.backpressure.check(connection);
  }

  private view(offset: number, length: number): Uint8Array {
    return length === 0 ? NO_BYTES : new Uint8Array(this.memory, offset, length);
  }
}
