/*
 * The lock: src/sync/lock.ts.
 *
 *   the word, its bits and states    the drawing at the top of lock.ts
 *   fast path                        Mutex.lock (src/sync/mutex.ts), take
 *   take_from                        takeFrom
 *   the loop around it               lockSteps; the spinning before is left out
 *   kept, or overdue                 isKept: how much time has passed is left open, so a lock that was handed over may be
 *                                    either; the time itself is left out of the word
 *   giving up                        the catch of lockSteps, stopStarving
 *   unlock                           release, releaseContended
 *   dying                            ownerDied (src/sync/threads.ts)
 *
 * Proved: never two inside, nobody sleeps for ever. BUG: who has slept takes the lock without WAITERS, as if it were alone;
 * those who sleep on are then never woken.
 */
#include "futex.pml"

#define WORD 1
#define OWNER(w) ((w) & 7)
#define WAITERS 8
#define STARVING 16

byte word;
bool dead[4];
/* One thread may die: inside, or with a wake-up in its hands. */
bool mayDie = true;
byte inside;

proctype thread(byte me; byte rounds) {
  byte seen, next, marked;
  bool slept, starving, overdue;

  do
  :: rounds > 0 ->
    rounds--;
    slept = false;
    starving = false;
    impatient[me] = false;
    atomic {
      if
      :: word == 0 -> word = me; goto locked
      :: else -> skip
      fi
    };

again:
    seen = word;
take_from:
    overdue = false;
    if
    :: OWNER(seen) == 0 && seen == STARVING && !slept -> goto not_taken
    :: OWNER(seen) == 0 && seen == STARVING && !slept -> overdue = true
    :: OWNER(seen) != 0 && !dead[OWNER(seen)] -> goto not_taken
    :: else -> skip
    fi;
    atomic {
      next = me | (seen & (WAITERS | STARVING));
#ifndef BUG
      if
      :: slept || overdue -> next = next | WAITERS
      :: else -> skip
      fi;
#endif
      if
      :: starving || overdue -> next = next & ~STARVING
      :: else -> skip
      fi;
      if
      :: word == seen -> word = next; goto locked
      :: else -> seen = word
      fi
    };
    goto take_from;

not_taken:
    seen = word;
    if
    :: OWNER(seen) == 0 && (slept || seen != STARVING) -> goto again
    :: OWNER(seen) == 0 && !slept && seen == STARVING -> goto again
    :: OWNER(seen) == 0 && !slept && seen == STARVING -> skip
    :: else -> skip
    fi;
    /* A millisecond may have passed, or not. */
    if
    :: slept && !starving -> starving = true
    :: true
    fi;
    marked = seen;
    if
    :: OWNER(seen) != 0 ->
      marked = seen | WAITERS;
      if
      :: starving -> marked = marked | STARVING
      :: else -> skip
      fi;
      atomic {
        if
        :: word == seen -> word = marked
        :: else -> goto again
        fi
      }
    :: else -> skip
    fi;
    if
    :: impatient[me] -> goto give_up
    :: atomic { !impatient[me] && mayGiveUp -> mayGiveUp = false }; goto give_up
    :: true
    fi;
    wait_on(me, WORD, word, marked);
    if
    :: atomic { mayDie -> mayDie = false };
      dead[me] = true;
      looksAgain = true;
      goto end
    :: true
    fi;
    slept = true;
    goto again;

give_up:
    impatient[me] = false;
    if
    :: starving ->
      atomic { seen = word; word = word & ~STARVING };
      if
      :: OWNER(seen) == 0 -> notify_one(WORD)
      :: else -> skip
      fi
    :: else -> skip
    fi;
    goto next_round;

locked:
    atomic { inside++; assert(inside == 1) };
    if
    :: atomic { mayDie -> mayDie = false };
      inside--;
      dead[me] = true;
      looksAgain = true;
      goto end
    :: true
    fi;
    inside--;
    atomic {
      if
      :: word == me -> word = 0; goto next_round
      :: else -> skip
      fi
    };
    /* Only waiters change the word of a held lock, and only by adding to it: one step does for the loop. */
    atomic { assert(OWNER(word) == me); word = word & STARVING };
    notify_one(WORD);
next_round:
    skip
  :: else -> break
  od;
end:
  skip
}

init {
  atomic { run thread(1, 1); run thread(2, 1); run thread(3, 1) }
}
