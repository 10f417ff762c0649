/** Records that found no room in a lane's ring, in order, in the main thread's own memory. */

export interface SpilledRecord {
  type: number;
  flags: number;
  aux: number;
  target: number;
  tag: number;
  /** A copy, in memory that can be shared with the lane. */
  payload: Uint8Array<SharedArrayBuffer>;
}

/** A first-in, first-out queue whose `shift` does not move the rest. */
export class Backlog {
  private records: SpilledRecord[] = [];
  private first = 0;
  /** Bytes of payload that wait. */
  bytes = 0;

  get empty(): boolean {
    return this.first === this.records.length;
  }

  get head(): SpilledRecord | undefined {
    return this.records[this.first];
  }

  push(record: SpilledRecord): void {
    this.records.push(record);
    this.bytes += record.payload.length;
  }

  shift(): void {
    const record = this.records[this.first];
    if (record === undefined) return;
    this.bytes -= record.payload.length;
    this.first++;
    if (this.first > 1024 && this.first * 2 > this.records.length) {
      this.records = this.records.slice(this.first);
      this.first = 0;
    } else if (this.empty) {
      this.records.length = 0;
      this.first = 0;
    }
  }
}
