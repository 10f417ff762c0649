/*
 * RWMutex: src/sync/rw-mutex.ts. The lock WRITE is taken for granted: mutex.pml proves it.
 *
 *   reader   enter, then readSteps; a wait may be given up: its catch
 *   writer   writeSteps with announce, isDrained and beginWriting; withdraw; unlock with letReadersIn and nextPhase
 *   leave    leave, tellDrained
 *
 * Proved: a writer is alone, nobody sleeps for ever. BUG: a reader that finds a writer goes back from reading to waiting
 * without telling the writer, which may have seen it and sleeps.
 */
#define READERS 2
#define READS 1
#define WRITES 2
#include "futex.pml"

#define PHASE 1
#define DRAINED 2

mtype = { free, wants, reads };
mtype cell[READERS + 1] = free;
bool writeLocked;
/* WRITER is not 0: somebody waits to write, or writes. */
bool writer;
byte phase;
byte drained;
byte reading;
byte writing;

inline tell_drained() {
  if
  :: writer -> drained = (drained + 1) % 4; notify_one(DRAINED)
  :: else -> skip
  fi
}

inline next_phase() {
  phase = (phase + 1) % 4;
  notify_all(PHASE, i)
}

proctype reader(byte me) {
  byte seenPhase, i;
  byte rounds = 0;

  do
  :: rounds < READS ->
    rounds++;
    /* enter */
    if
    :: !writer ->
      cell[me] = reads;
      if
      :: !writer -> goto reads_now
      :: else -> cell[me] = free; tell_drained()
      fi
    :: else -> skip
    fi;
    cell[me] = wants;
again:
    seenPhase = phase;
    if
    :: cell[me] == reads -> goto reads_now
    :: else -> skip
    fi;
    if
    :: !writer ->
      atomic {
        if
        :: cell[me] == reads -> goto reads_now
        :: else -> cell[me] = reads
        fi
      };
      if
      :: !writer -> goto reads_now
      :: else -> skip
      fi;
      cell[me] = wants;
#ifndef BUG
      tell_drained();
#endif
      goto again
    :: else -> skip
    fi;
    if
    :: impatient[me] -> impatient[me] = false; goto leaves
    :: else -> skip
    fi;
    wait_on(me, PHASE, phase, seenPhase);
    goto again;

reads_now:
    impatient[me] = false;
    atomic { reading++; assert(writing == 0) };
    reading--;
leaves:
    cell[me] = free;
    tell_drained()
  :: else -> break
  od
}

proctype writes(byte me) {
  byte seenDrained, i;
  byte rounds = 0;

  do
  :: rounds < WRITES ->
    rounds++;
    atomic { !writeLocked -> writeLocked = true };
    writer = true;
again:
    seenDrained = drained;
    i = 1;
    do
    :: i <= READERS && cell[i] != reads -> i++
    :: i <= READERS && cell[i] == reads -> i = 0; goto wait
    :: i > READERS -> i = 0; goto alone
    od;
wait:
    if
    :: impatient[me] ->
      impatient[me] = false;
      writer = false;
      next_phase();
      writeLocked = false;
      goto next_round
    :: else -> skip
    fi;
    wait_on(me, DRAINED, drained, seenDrained);
    goto again;
alone:
    impatient[me] = false;
    atomic { writing++; assert(writing == 1 && reading == 0) };
    writing--;
    i = 1;
    do
    :: i <= READERS ->
      atomic {
        if
        :: cell[i] == wants -> cell[i] = reads
        :: else -> skip
        fi;
        i++
      }
    :: else -> i = 0; break
    od;
    writer = false;
    next_phase();
    writeLocked = false;
next_round:
    skip
  :: else -> break
  od
}

init {
  atomic { run reader(1); run reader(2); run writes(3) }
}
