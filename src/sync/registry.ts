/**
 * From names to primitives, and from handles. The table of names is open addressing: from a name's hash on, the first free
 * cell or the one whose block has the name.
 *
 *   a name's cell   0 free  ·  1 −owner: that thread makes the block  ·  2 the block
 *
 *   0 → 1 → 2 whoever needs it first · 1 → 0 there is no room for it · 1 with a dead owner → 1 with the next
 *
 * Whoever comes while a block is made looks on for the microseconds that it takes: if each made one, all but one of them
 * would be lost for ever. Nobody passes by such a cell, for it may be about to have their name. A thread that dies leaves
 * at most a block that nobody knows; if nobody says that it died, others go on after MAKING_MS.
 */
import { arena, MOST_NAMES, NAMES_CELL, NEXT_CELL } from './arena.js';
import { FullError, NameError } from './errors.js';
import {
  FIRST_CELL,
  HEADER_CELLS,
  KIND_CELL,
  Kind,
  type KindName,
  NAME_AT_CELL,
  NAME_BYTES_CELL,
  SECOND_CELL,
} from './primitive.js';
import { isAlive, self } from './threads.js';

const LONGEST_NAME_BYTES = 512;
const LINE_CELLS = 16;
/** More than the largest block takes to be made, some milliseconds. */
const MAKING_MS = 250;

/** What a primitive is made of, before it is. */
export interface Blueprint {
  kind: KindName;
  /** Cells of its body. */
  cells: number;
  first?: number;
  second?: number;
  /** Whether parameters that were given must be those of a block that exists. */
  checked?: boolean;
  format?: (cells: Int32Array, at: number) => void;
}

export interface Block {
  cells: Int32Array;
  at: number;
}

/** A block in memory of its own. */
export function anonymous(blueprint: Blueprint): Block {
  const bytes = blockCells(blueprint, 0) * 4;
  const cells = new Int32Array(new SharedArrayBuffer(bytes));
  fill(cells, 0, blueprint, new Uint8Array(0));
  return { cells, at: 0 };
}

function blockCells(blueprint: Blueprint, nameBytes: number): number {
  return HEADER_CELLS + roundUp(blueprint.cells) + roundUp((nameBytes + 3) >> 2);
}

/** Whole cache lines. */
function roundUp(cells: number): number {
  return (cells + LINE_CELLS - 1) & -LINE_CELLS;
}

function fill(cells: Int32Array, at: number, blueprint: Blueprint, name: Uint8Array): void {
  cells[at + KIND_CELL] = Kind[blueprint.kind];
  cells[at + FIRST_CELL] = blueprint.first ?? 0;
  cells[at + SECOND_CELL] = blueprint.second ?? 0;
  cells[at + NAME_BYTES_CELL] = name.length;
  const nameAt = (at + HEADER_CELLS + roundUp(blueprint.cells)) * 4;
  cells[at + NAME_AT_CELL] = nameAt;
  new Uint8Array(cells.buffer).set(name, nameAt);
  blueprint.format?.(cells, at);
}

/**
 * The block of a name; made if there is none.
 *
 * @throws {NameError} when the name is in use for another kind, or was made with other parameters
 * @throws {FullError} when the arena is
 */
export function named(name: string, blueprint: Blueprint): Block {
  const cells = arena();
  const bytes = checkName(name);
  const make = () => allocate(cells, blueprint, bytes);
  for (let i = 0; i < MOST_NAMES; i++) {
    const cell = NAMES_CELL + ((hashOf(bytes) + i) & (MOST_NAMES - 1));
    const at = blockIn(cells, cell, make);
    if (!hasName(cells, at, bytes)) continue;
    checkSame(name, cells, at, blueprint);
    return { cells, at };
  }
  throw new FullError(`${MOST_NAMES} names are the most`);
}

/** The block of a name's cell; what `make` returns, if there is none. */
function blockIn(cells: Int32Array, cell: number, make: () => number): number {
  const began = performance.now();
  for (;;) {
    const at = Atomics.load(cells, cell);
    if (at > 0) return at;
    if (at < 0 && isAlive(-at) && performance.now() - began < MAKING_MS) continue;
    if (Atomics.compareExchange(cells, cell, at, -self) !== at) continue;
    let made = 0;
    try {
      made = make();
    } finally {
      // Nothing was made: it is free again. Somebody else has it by now only after MAKING_MS.
      Atomics.compareExchange(cells, cell, -self, made);
    }
  }
}

function checkName(name: string): Uint8Array {
  if (typeof name !== 'string' || name === '') {
    throw new NameError(`a name must be a string that is not empty, not ${JSON.stringify(name)}`);
  }
  const bytes = Buffer.from(name);
  if (bytes.length > LONGEST_NAME_BYTES) {
    throw new NameError(`a name can have at most ${LONGEST_NAME_BYTES} bytes, not ${bytes.length}`);
  }
  return bytes;
}

function allocate(cells: Int32Array, blueprint: Blueprint, name: Uint8Array): number {
  const size = blockCells(blueprint, name.length);
  // One that does not fit must not use up what a smaller one could have.
  for (;;) {
    const at = Atomics.load(cells, NEXT_CELL);
    if (at + size > cells.length) {
      throw new FullError(
        `the arena has no ${size * 4} bytes left for ${blueprint.kind} '${Buffer.from(name)}': make it ` +
          'without a name and hand it over, or start with a larger THREADGATE_SYNC_BYTES',
      );
    }
    if (Atomics.compareExchange(cells, NEXT_CELL, at, at + size) !== at) continue;
    fill(cells, at, blueprint, name);
    return at;
  }
}

function hasName(cells: Int32Array, at: number, name: Uint8Array): boolean {
  if (cells[at + NAME_BYTES_CELL] !== name.length) return false;
  const from = cells[at + NAME_AT_CELL] as number;
  const bytes = new Uint8Array(cells.buffer, from, name.length);
  return name.every((byte, i) => byte === bytes[i]);
}

function checkSame(name: string, cells: Int32Array, at: number, blueprint: Blueprint): void {
  const kind = cells[at + KIND_CELL];
  if (kind !== Kind[blueprint.kind]) {
    const known = Object.entries(Kind).find(([, code]) => code === kind)?.[0];
    throw new NameError(`'${name}' is a ${known} already and cannot be a ${blueprint.kind}`);
  }
  if (!blueprint.checked) return;
  const parameters = [cells[at + FIRST_CELL], cells[at + SECOND_CELL]];
  if (parameters[0] === (blueprint.first ?? 0) && parameters[1] === (blueprint.second ?? 0)) return;
  throw new NameError(`${blueprint.kind} '${name}' was made with other options: ${parameters.join(', ')}`);
}

function hashOf(bytes: Uint8Array): number {
  let hash = 0x811c9dc5 | 0;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash ^ (hash >>> 15);
}
