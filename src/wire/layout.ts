/**
 * Every offset in shared memory, in one place. Cells that different threads write stand on different cache lines:
 * two counters on one line cost up to eight times as much.
 *
 * `…_CELL` counts 32-bit cells (an index into an Int32Array), `…_BYTES` counts bytes.
 */

export const CACHE_LINE_BYTES = 64;

// ── Record: what stands in a ring and in a batch. Aligned to 8 bytes. ──────────────────────────────────────────────
//
//   0         4                        8              12             16
//   ┌─────────┬──────┬───────┬─────────┬──────────────┬──────────────┬───────────────┄
//   │ length  │ type │ flags │ aux     │ target       │ tag          │ payload
//   └─────────┴──────┴───────┴─────────┴──────────────┴──────────────┴───────────────┄
//    u32       u8     u8      u16       slot or token  the slot's tag
//
// `length` counts the header and the payload, not the padding up to the next multiple of 8.

export const RECORD_ALIGN_BYTES = 8;
export const RECORD_HEADER_BYTES = 16;

// ── Ring: main writes, one lane reads ──────────────────────────────────────────────────────────────────────────────

/** Written by the producer: where the next record will begin, ever growing, modulo 2³². */
export const RING_TAIL_CELL = 0;
/**
 * Written by the consumer: every record before it has been begun or parked, and will not be handled again; its room is
 * free.
 */
export const RING_HEAD_CELL = 16;
/** Written by the consumer: inbound bytes whose hooks have settled, ever growing, modulo 2³². */
export const RING_SETTLED_CELL = 17;
/** Written by the consumer before HEAD: the connection whose record is begun, and its type; tag 0 where it is no connection's. */
export const RING_CURRENT_SLOT_CELL = 18;
export const RING_CURRENT_TAG_CELL = 19;
export const RING_CURRENT_TYPE_CELL = 25;
/** Written by the consumer: grows while its event loop turns. */
export const RING_HEARTBEAT_CELL = 20;
/** Written by the consumer: HEAD + 1 as it will be once a record is parked, 0 when it is; see park.ts. */
export const RING_PARKING_CELL = 21;
/** Written by the consumer as it ends: the connection whose hook, timer or promise ends it, tag 0 where it is unknown. */
export const RING_BLAMED_SLOT_CELL = 23;
export const RING_BLAMED_TAG_CELL = 24;
/** Written by the consumer before PARKING: what the last park block will be filled. */
export const RING_PARKING_FILLED_CELL = 22;
/** 1: the consumer has gone to sleep and wants to be woken. Set by the consumer, cleared by who wakes it. */
export const RING_SLEEPING_CELL = 32;
/** 1: the producer waits for room. Set by the producer, cleared by the consumer, which then tells it. */
export const RING_STARVED_CELL = 48;
export const RING_HEADER_BYTES = 4 * CACHE_LINE_BYTES;

// ── Batch: one lane writes, main reads ─────────────────────────────────────────────────────────────────────────────

/**
 * Written by the lane. Low half: finished records, in units of 8 bytes, or BATCH_LARGE. High half: the done mark, bits 3
 * to 18 of the ring position up to which the lane is done. So one store makes a hook's output and its being done visible
 * together, wherever the thread may be stopped.
 */
export const BATCH_COMMIT_CELL = 0;
/** Written by the lane: the how-manieth batch of its lane this is, so that order survives the lane. */
export const BATCH_SEQUENCE_CELL = 1;
/** BATCH_FREE or BATCH_TAKEN. The lane takes, main frees. */
export const BATCH_STATE_CELL = 16;
/** Written by the lane before COMMIT says BATCH_LARGE: bytes of finished records. */
export const BATCH_LARGE_CELL = 2;
export const BATCH_HEADER_BYTES = 2 * CACHE_LINE_BYTES;

export const BATCH_FREE = 0;
export const BATCH_TAKEN = 1;

/** In COMMIT's low half: more than its units can tell; LARGE does. Such a batch is committed once. */
export const BATCH_LARGE = 0xffff;

// ── Park: one lane writes, main reads once that lane has ended ─────────────────────────────────────────────────────

/** Written by the lane: bytes of records. */
export const PARK_FILLED_CELL = 0;
/** Written by the lane: the how-manieth use of a block of its lane this is. */
export const PARK_SEQUENCE_CELL = 1;
export const PARK_HEADER_BYTES = CACHE_LINE_BYTES;

// ── Directory: one slot per connection ─────────────────────────────────────────────────────────────────────────────

/** Slots used so far: none at or above it was ever open. Written by main. */
export const DIRECTORY_HIGH_WATER_CELL = 0;
/** Connections now open. Written by main. */
export const DIRECTORY_OPEN_CELL = 1;
export const DIRECTORY_HEADER_BYTES = CACHE_LINE_BYTES;

export const SLOT_BYTES = 3 * CACHE_LINE_BYTES;
export const SLOT_CELLS = SLOT_BYTES / 4;
// First line, written by main:
/** generation × 2 + (1 while open). Whoever holds another tag holds a stale handle. */
export const SLOT_TAG_CELL = 0;
export const SLOT_LANE_CELL = 1;
/** A small number that stands for the namespace while any connection is in it. */
export const SLOT_NAMESPACE_CELL = 2;
/** Bytes that wait on the main thread or in the socket's buffer. */
export const SLOT_BUFFERED_CELL = 3;
/** Where the connection's head (its upgrade request) stands in the heads' memory. */
export const SLOT_HEAD_OFFSET_CELL = 4;
export const SLOT_HEAD_LENGTH_CELL = 5;
/** Where the context that `upgrade` returned stands, serialized; length 0 for none. */
export const SLOT_CONTEXT_OFFSET_CELL = 6;
export const SLOT_CONTEXT_LENGTH_CELL = 7;
/** 128 random bits: the UUID without its fixed bits. */
export const SLOT_ID_CELL = 8;
/** The 16 bytes of the session's name; all zero for none. */
export const SLOT_SESSION_CELL = 12;
// Second line, written by the owning lane:
/** Inbound bytes of this connection whose hooks have settled, ever growing, modulo 2³². */
export const SLOT_SETTLED_CELL = 16;
/** While a hook's promise has not settled the type of its record, else 0. */
export const SLOT_RUNNING_CELL = 17;
// A third line, written by any lane:
/** The connection's mutex; see sync/lock.ts. */
export const SLOT_LOCK_CELL = 32;
