/*
 * Finding a key of a SharedMap while others come and go: src/sync/map-reader.ts, src/sync/map-table.ts.
 *
 *   entries on chains, free ones    the drawing of src/sync/map-memory.ts; an entry's key stands for its HASH and its block
 *   reader                          MapReader.get, and of `read` whether the entry is the key's: that is sure, by VERSION
 *   writer                          MapTable.remove, add and pushFree, under CHANGE: so one writer stands for all
 *
 * Two chains: of key 2, which stays, and of key 1; key 3 is on either, as it may be two keys.
 *
 * Proved: a key that stays is always found. BUG: STRUCTURE is raised before the entry is unlinked; a reader that sets out
 * in between comes to an entry whose NEXT is about to be used again, and nothing tells it.
 */
#define STAYS 2
#define NONE 0
#define ENTRIES 3

byte bucket[2];
byte next[4];
byte key[4];
/* VERSION is even. */
bool isIn[4];
byte free;
byte structure;

inline pushFree(e) {
  next[e] = free;
  free = e
}

inline raise() {
  structure++
}

inline remove(e, chain) {
  isIn[e] = false;
  link = bucket[chain];
#ifdef BUG
  raise();
#endif
  if
  :: link == e -> bucket[chain] = next[e]
  :: else ->
    do
    :: next[link] != e -> link = next[link]
    :: else -> break
    od;
    next[link] = next[e]
  fi;
#ifndef BUG
  raise();
#endif
  pushFree(e)
}

inline add(k, chain) {
  e = free;
  free = next[e];
  key[e] = k;
  next[e] = bucket[chain];
  bucket[chain] = e;
  isIn[e] = true
}

proctype writer(byte rounds) {
  byte e, link, chain;
  do
  :: rounds > 0 ->
    rounds--;
    if
    :: free != NONE -> add(1, 1)
    :: free != NONE -> add(3, 0)
    :: free != NONE -> add(3, 1)
    :: bucket[1] != NONE -> chain = 1; e = bucket[1]; remove(e, chain)
    :: bucket[0] != NONE && key[bucket[0]] != STAYS -> chain = 0; e = bucket[0]; remove(e, chain)
    :: bucket[0] != NONE && key[bucket[0]] == STAYS && next[bucket[0]] != NONE ->
      chain = 0; e = next[bucket[0]]; remove(e, chain)
    fi
  :: else -> break
  od
}

proctype reader() {
  byte before, entry, left;
again:
  before = structure;
  entry = bucket[0];
  left = ENTRIES;
  do
  :: entry == NONE || left == 0 -> break
  :: else ->
    if
    :: key[entry] == STAYS && isIn[entry] -> goto found
    :: else -> skip
    fi;
    entry = next[entry];
    left--
  od;
  assert(structure != before);
  goto again;
found:
  skip
}

init {
  atomic {
    /* Another key's entry, then that of the one which stays. */
    bucket[0] = 1; key[1] = 3; isIn[1] = true; next[1] = 2;
    key[2] = STAYS; isIn[2] = true;
    free = 3;
    run writer(5);
    run reader()
  }
}
