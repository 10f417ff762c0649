/** What the admin listener's /stats shows. Counters grow from the start of the gateway. */
export interface GatewayStats {
  uptimeSeconds: number;
  ready: boolean;
  connections: { open: number; opened: number; closedByCause: Record<string, number> };
  /**
   * WebSocket messages; one published to a thousand subscribers counts a thousand in `out`, and one in `published`.
   * `lost`: those that a hook was handling when its lane ended.
   */
  messages: { in: number; out: number; published: number; lost: number };
  /** Bytes of those messages. */
  bytes: { in: number; out: number };
  sessions: SessionStats;
  requests: { total: number; waiting: number };
  topics: number;
  jobs: JobStats;
  lanes: LaneStats[];
}

/** Sessions of clients that asked for guaranteed delivery; see docs/protocol.md. */
export interface SessionStats {
  /** Sessions with a connection, and without one. */
  attached: number;
  away: number;
  /** Bytes that wait for their clients' acknowledgements. */
  waitingBytes: number;
  /** Guaranteed messages that hooks handled to their end, and that were sent to clients. */
  handled: number;
  sent: number;
  /** Messages that came again after a hook for them had begun, or may have. */
  redelivered: number;
  /** Messages given up because they ended their lane too often. */
  refused: number;
  endedByCause: Record<string, number>;
}

export interface JobStats {
  /** Threads that there are at the moment. */
  threads: number;
  running: number;
  waiting: number;
  /** Jobs that brought a value. */
  completed: number;
  /** All others, by the code of their error. */
  failedByCode: Record<string, number>;
}

export interface LaneStats {
  index: number;
  ready: boolean;
  connections: number;
  /** Requests and upgrades that wait for this lane. */
  requests: number;
  /** Share of the ring that holds records not yet read, 0 to 1. */
  ringFill: number;
  /** Bytes that found no room in the ring. */
  backlogBytes: number;
  /** Bytes taken in whose hooks have not settled. */
  waitingBytes: number;
  /** Share of its time that the lane's thread was busy, 0 to 1, since its start. */
  utilisation: number;
}
