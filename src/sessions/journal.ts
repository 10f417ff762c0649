/**
 * Sessions on disk, so that they outlive the process: an append-only file of what changed, one write at a time. Main
 * thread, and synchronous on purpose: what is written here must be with the kernel before a client sees any of it. The
 * kernel keeps it when this process is killed; it is not synced to the disk.
 *
 *     file    := group*
 *     group   := length (u32) · CRC-32 of the entries (u32) · entries        one for each write: whole, or not there
 *     entry   := kind (u8) · name (16 bytes) · by kind:
 *       began    mark (8) · handled (u64) · last number sent (u64)
 *       handled  number (u64)
 *       sent     length (u32) · frame
 *       received number (u64)
 *       ended
 *       rested   no message of it is half handled; the last of all, where the process ended in good order
 *
 * When most of the file is of the past it is written anew, beside itself, and takes its own place by a rename.
 */
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { MARK_BYTES, NUMBER_AT, readNumber, writeNumber } from './frames.js';
import { NAME_BYTES } from './offer.js';
import type { SessionState } from './session.js';

const Entry = { began: 1, handled: 2, sent: 3, received: 4, ended: 5, rested: 6 } as const;

const GROUP_HEADER_BYTES = 8;
const ENTRY_HEADER_BYTES = 1 + NAME_BYTES;
const FILE = 'sessions.log';

/** The file is written anew once it has so many bytes more than after the last time, and so many times as many. */
const COMPACT_BYTES = 16 * 1024 * 1024;
const COMPACT_FACTOR = 4;

export class Journal {
  private readonly path: string;
  private file = 0;
  /** Undefined once it has failed: nothing more is written. */
  private entries: Buffer[] | undefined = [];
  /** Whether an entry waits that must be written before anything is sent. */
  private urgent = false;
  private written = 0;
  private writtenAnew = 0;
  private snapshot: () => SessionState[] = () => [];

  /** @param failed the file can be written no more: sessions live on in memory only */
  constructor(
    directory: string,
    private readonly failed: (error: unknown) => void,
  ) {
    mkdirSync(directory, { recursive: true });
    this.path = join(directory, FILE);
  }

  /** What an earlier process left. To be called first. */
  load(): SessionState[] {
    const states = existsSync(this.path) ? replay(readFileSync(this.path)) : [];
    this.writeAnew(states);
    return states;
  }

  /** @param snapshot gives the state of all sessions, when the file is written anew */
  keep(snapshot: () => SessionState[]): void {
    this.snapshot = snapshot;
  }

  began(state: SessionState): void {
    this.add(beganEntry(state), true);
  }

  handled(name: Buffer, number: number): void {
    this.add(numberEntry(Entry.handled, name, number), true);
  }

  sent(name: Buffer, { bytes }: { bytes: Buffer }): void {
    this.add(sentEntry(name, bytes), true);
  }

  /** Only saves room: a client says by itself what it has when it comes back. */
  received(name: Buffer, number: number): void {
    this.add(numberEntry(Entry.received, name, number), false);
  }

  ended(name: Buffer): void {
    this.add(header(Entry.ended, name, 0), false);
  }

  rested(name: Buffer): void {
    this.add(header(Entry.rested, name, 0), false);
  }

  private add(entry: Buffer, urgent: boolean): void {
    this.entries?.push(entry);
    this.urgent ||= urgent;
  }

  /** All that was added is with the kernel when this returns, in one piece; nothing happens when nothing must be. */
  write(): void {
    if (!this.urgent || this.entries === undefined) return;
    try {
      this.writeGroup(this.entries);
      this.entries = [];
      this.urgent = false;
      if (this.written > Math.max(this.writtenAnew * COMPACT_FACTOR, this.writtenAnew + COMPACT_BYTES))
        this.writeAnew(this.snapshot());
    } catch (error) {
      this.giveUp(error);
    }
  }

  /** A file that lacks the newest would tell the next process wrong. */
  private giveUp(error: unknown): void {
    this.entries = undefined;
    this.failed(error);
    closeSync(this.file);
    rmSync(this.path, { force: true });
  }

  private writeGroup(entries: Buffer[]): void {
    const length = entries.reduce((sum, entry) => sum + entry.length, 0);
    const group = Buffer.allocUnsafe(GROUP_HEADER_BYTES + length);
    let at = GROUP_HEADER_BYTES;
    for (const entry of entries) {
      group.set(entry, at);
      at += entry.length;
    }
    group.writeUInt32LE(length, 0);
    group.writeUInt32LE(crc32(group.subarray(GROUP_HEADER_BYTES)), 4);
    for (let done = 0; done < group.length; ) done += writeSync(this.file, group, done);
    this.written += group.length;
  }

  private writeAnew(states: SessionState[]): void {
    const path = `${this.path}.new`;
    const before = this.file;
    this.file = openSync(path, 'w');
    this.written = 0;
    for (const state of states)
      this.writeGroup([beganEntry(state), ...state.frames.map(({ bytes }) => sentEntry(state.name, bytes))]);
    this.writtenAnew = this.written;
    renameSync(path, this.path);
    if (before !== 0) closeSync(before);
  }

  close(): void {
    if (this.entries === undefined) return;
    this.urgent ||= this.entries.length > 0;
    this.write();
    closeSync(this.file);
    this.entries = undefined;
  }
}

function header(kind: number, name: Buffer, length: number): Buffer {
  const entry = Buffer.alloc(ENTRY_HEADER_BYTES + length);
  entry[0] = kind;
  entry.set(name, 1);
  return entry;
}

function numberEntry(kind: number, name: Buffer, number: number): Buffer {
  const entry = header(kind, name, 8);
  writeNumber(entry, number, ENTRY_HEADER_BYTES);
  return entry;
}

function beganEntry({ name, mark, handled, lastNumber, frames }: SessionState): Buffer {
  const entry = header(Entry.began, name, MARK_BYTES + 16);
  entry.set(mark, ENTRY_HEADER_BYTES);
  writeNumber(entry, handled, ENTRY_HEADER_BYTES + MARK_BYTES);
  // What is still to come is told frame by frame.
  writeNumber(entry, lastNumber - frames.length, ENTRY_HEADER_BYTES + MARK_BYTES + 8);
  return entry;
}

function sentEntry(name: Buffer, frame: Buffer): Buffer {
  const entry = header(Entry.sent, name, 4 + frame.length);
  entry.writeUInt32LE(frame.length, ENTRY_HEADER_BYTES);
  entry.set(frame, ENTRY_HEADER_BYTES + 4);
  return entry;
}

/** @returns the sessions as they stood at the end of the last whole group */
function replay(file: Buffer): SessionState[] {
  const states = new Map<string, SessionState>();
  for (let at = 0; at + GROUP_HEADER_BYTES <= file.length; ) {
    const end = at + GROUP_HEADER_BYTES + file.readUInt32LE(at);
    if (end > file.length) break; // the process was killed in the middle of this write
    const entries = file.subarray(at + GROUP_HEADER_BYTES, end);
    if (crc32(entries) !== file.readUInt32LE(at + 4)) break;
    replayGroup(entries, states);
    at = end;
  }
  return [...states.values()];
}

function replayGroup(entries: Buffer, states: Map<string, SessionState>): void {
  for (let at = 0; at < entries.length; ) {
    const kind = entries[at] as number;
    const name = Buffer.from(entries.subarray(at + 1, at + ENTRY_HEADER_BYTES));
    const id = name.toString('hex');
    const state = states.get(id);
    const body = at + ENTRY_HEADER_BYTES;
    switch (kind) {
      case Entry.began:
        states.set(id, {
          name,
          mark: Buffer.from(entries.subarray(body, body + MARK_BYTES)),
          handled: readNumber(entries, body + MARK_BYTES),
          lastNumber: readNumber(entries, body + MARK_BYTES + 8),
          frames: [],
          atRest: false,
        });
        at = body + MARK_BYTES + 16;
        break;
      case Entry.handled:
        if (state !== undefined) state.handled = readNumber(entries, body);
        at = body + 8;
        break;
      case Entry.sent: {
        const end = body + 4 + entries.readUInt32LE(body);
        const bytes = Buffer.from(entries.subarray(body + 4, end));
        const number = readNumber(bytes, NUMBER_AT);
        state?.frames.push({ number, bytes });
        if (state !== undefined) state.lastNumber = number;
        at = end;
        break;
      }
      case Entry.received: {
        const number = readNumber(entries, body);
        if (state !== undefined) state.frames = state.frames.filter(frame => frame.number > number);
        at = body + 8;
        break;
      }
      case Entry.rested:
        if (state !== undefined) state.atRest = true;
        at = body;
        break;
      case Entry.ended:
        states.delete(id);
        at = body;
        break;
      default:
        throw new Error(`an entry of unknown kind ${kind}`);
    }
  }
}
