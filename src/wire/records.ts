/**
 * The kinds of records. A record's header is drawn in layout.ts; what `target`, `tag`, `aux` and the payload mean
 * stands beside each kind.
 */

/** Main thread to lane, through the ring. `target` is a slot with its tag, or a request's token. */
export const Inbound = {
  /** Fills the end of the ring where a record did not fit. Never seen by a reader's user. */
  pad: 0,
  /** A connection was opened. aux: 1 when a context waits under the token in the payload (u32). */
  open: 1,
  /** A message. flags: BINARY. payload: its bytes. */
  message: 2,
  /** A connection is closed. aux: the close code. payload: the reason. */
  close: 3,
  /** What waited for the client has gone out. */
  drain: 4,
  /** payload: the ping's data. */
  ping: 5,
  /** payload: the pong's data. */
  pong: 6,
  /** May this client be upgraded? target: token. payload: request head. */
  upgrade: 7,
  /** An HTTP request. target: token. tag: bytes of the head. payload: request head, then body. */
  request: 8,
  /** The client of a request or an upgrade is gone. target: token. */
  abort: 9,
  /** More of a streamed response may be sent. target: token. tag: bytes that left the main thread. */
  writable: 10,
  /** Another lane changed this peer's topics. flags: SUBSCRIBED. payload: topic. */
  topic: 11,
  /** The connection was another lane's, which has ended. Its topics came before, as `topic` records. */
  resume: 12,
  /** The connection is to be another lane's: `left` is the answer, once all before this is done. */
  leave: 13,
  /** No message of this connection comes after this: `finished` is the answer. */
  finish: 14,
  /** A message of a session, whose end is to be told by `settled`. flags: BINARY, REDELIVERED. payload: number (u64), its bytes. */
  guaranteed: 15,
} as const;

/** Records that one of the app's hooks is run for. */
export const HOOK_RECORDS: ReadonlySet<number> = new Set([
  Inbound.open,
  Inbound.resume,
  Inbound.message,
  Inbound.guaranteed,
  Inbound.close,
  Inbound.drain,
  Inbound.ping,
  Inbound.pong,
]);

/** The name of the hook that a record is for. */
export function hookName(type: number): string {
  if (type === Inbound.guaranteed) return 'message';
  return Object.entries(Inbound).find(([, value]) => value === type)?.[0] ?? String(type);
}

/** Lane to main thread, through a batch. */
export const Outbound = {
  /** A frame for one connection. flags: BINARY, COMPRESS. */
  send: 1,
  /** A frame for a topic. target and tag: the peer to leave out, tag 0 for none. aux: bytes of the topic. payload: topic, data. */
  publish: 2,
  /** A frame for a topic in every namespace. aux: bytes of the topic, without a namespace. payload: topic, data. */
  publishAll: 3,
  /** aux: code. payload: reason. */
  close: 4,
  terminate: 5,
  ping: 6,
  /** payload: topic. */
  subscribe: 7,
  unsubscribe: 8,
  /** The lane is through with a closed connection: its slot may be used again. */
  released: 9,
  /** target: token. tag: bytes of the JSON. payload: JSON of what to accept, then the serialized context. */
  accept: 10,
  /** A response in one piece. target: token. tag: bytes of the head. aux: status. payload: head, body. */
  response: 11,
  /** The head of a streamed response. target: token. aux: status. payload: head. */
  responseHead: 12,
  /** target: token. payload: part of the body. */
  responseChunk: 13,
  /** target: token. flags: ABORTED when the body could not be finished. */
  responseEnd: 14,
  /** The lane has nothing more to do with this connection, which is another's from here on. */
  left: 15,
  /** The connection's hooks have settled, up to its `finish`. What they sent stands before. */
  finished: 16,
  /**
   * A message for the session of this peer. flags: BINARY. payload: slot and tag (i32 each) of the connection whose
   * guaranteed message was being handled meanwhile, tag 0 for none; data.
   */
  guaranteed: 17,
  /** The hook for a guaranteed message is through. payload: the message's number (u64). */
  settled: 18,
} as const;

/** What stands before the data of an outbound `guaranteed`. */
export const SOURCE_BYTES = 8;

/** flags of a record */
export const BINARY = 1;
export const COMPRESS = 2;
/** The payload is too large for the ring and came through the payload port. */
export const EXTERNAL = 4;
/** Of a guaranteed message: a hook may have handled it before. */
export const REDELIVERED = 8;
export const SUBSCRIBED = 1;
export const ABORTED = 1;

/** Bits of the hooks that an app has: what is not asked for is not sent to the lane. */
export const HookBit = {
  upgrade: 1,
  open: 2,
  message: 4,
  close: 8,
  drain: 16,
  ping: 32,
  pong: 64,
  fetch: 128,
  websocket: 256,
  resume: 512,
} as const;

/** Separates the namespace from the topic in the name that uWebSockets knows a topic by. */
export const TOPIC_SEPARATOR = '\0';

/** What a message or request is charged beside its payload while it waits: even empty ones are not free. */
export const RECORD_COST_BYTES = 32;
