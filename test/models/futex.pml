/*
 * Waiting on a cell: what Atomics.wait and Atomics.waitAsync do for src/sync/waiting.ts, and Atomics.notify.
 *
 * Threads are numbered from 1 to 4. That they look again by themselves is left out unless somebody has died: without
 * deaths nothing may depend on it. Who is woken of several is anybody: more than the first in, first out of the real one.
 */
bool asleep[5];
/* What a sleeper waits for: a number for each cell that can be waited on. */
byte where[5];

/* One wait may end early; who is woken for that looks once more first, see `block` and Waiter.step. */
bool mayGiveUp = true;
bool impatient[5];
/* Somebody died: from then on sleepers look again by themselves. */
bool looksAgain;

#define sleeps(t, name) (asleep[t] && where[t] == name)

/* Sleeps while the cell is `value`. */
inline wait_on(me, name, cell, value) {
  atomic {
    if
    :: cell == value -> where[me] = name; asleep[me] = true
    :: else -> skip
    fi
  };
  if
  :: !asleep[me]
  :: looksAgain -> asleep[me] = false
  :: atomic { asleep[me] && mayGiveUp -> mayGiveUp = false; asleep[me] = false; impatient[me] = true }
  fi
}

inline notify_one(name) {
  atomic {
    if
    :: sleeps(1, name) -> asleep[1] = false
    :: sleeps(2, name) -> asleep[2] = false
    :: sleeps(3, name) -> asleep[3] = false
    :: sleeps(4, name) -> asleep[4] = false
    :: else -> skip
    fi
  }
}

inline notify_all(name, i) {
  atomic {
    i = 1;
    do
    :: i <= 4 ->
      if
      :: sleeps(i, name) -> asleep[i] = false
      :: else -> skip
      fi;
      i++
    :: else -> break
    od;
    i = 0
  }
}
