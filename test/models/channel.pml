/*
 * Channel: src/sync/channel.ts. Its locks SEND and RECEIVE are taken for granted: mutex.pml proves them.
 *
 *   sender     sendSteps with put; in `announce`: announce, wake
 *   receiver   receiveSteps with get
 *   closer     close, which may come at any moment
 *
 * The value at a position is that position, so that every value is received once and in order when the one received at
 * HEAD is HEAD. Proved: that; a value sent before the close is received, one after it is refused; nobody sleeps for ever.
 * BUG: who waits for room waits for HEAD to change, which a close does not.
 */
#define CAPACITY 1
#include "futex.pml"

#define VALUE 1
#define ROOM 2
#define HEAD 3

bool sendLocked, receiveLocked;
byte tail, head;
/* Stands in the same cell as TAIL: it is read and changed together with it. */
bool closed;
bool valueWanted, roomWanted;
byte valueEvent, roomEvent;
byte slot[CAPACITY];
byte received;

inline announce_value() {
  if
  :: valueWanted -> valueWanted = false; valueEvent++; notify_all(VALUE, i)
  :: else -> skip
  fi
}

inline announce_room() {
  if
  :: roomWanted -> roomWanted = false; roomEvent++;
    notify_all(ROOM, i);
    notify_one(HEAD)
  :: else -> skip
  fi
}

/* put: `outcome` is 0 full, 1 sent, 2 closed. */
inline put() {
  d_step { seenTail = tail; outcome = (closed -> 2 : 1) };
  if
  :: outcome == 2 -> skip
  :: else ->
    if
    :: seenTail - head >= CAPACITY -> outcome = 0
    :: else ->
      slot[seenTail % CAPACITY] = seenTail;
      /* The compare-and-exchange of TAIL. */
      d_step {
        if
        :: closed -> outcome = 2
        :: else -> tail++
        fi
      };
      if
      :: outcome == 1 -> announce_value()
      :: else -> skip
      fi
    fi
  fi
}

/* get: `outcome` is 0 nothing, 1 received, 2 the end. */
inline get() {
  d_step { seenTail = tail; seenClosed = closed };
  if
  :: head == seenTail -> outcome = (seenClosed -> 2 : 0)
  :: else ->
    assert(slot[head % CAPACITY] == head);
    head++;
    received++;
    outcome = 1;
    announce_room()
  fi
}

proctype sender(byte me; byte values) {
  byte seenTail, outcome, event, i;

  do
  :: values > 0 ->
    atomic { !sendLocked -> sendLocked = true };
again:
    put();
    if
    :: outcome != 0 -> goto put_done
    :: else -> skip
    fi;
#ifdef BUG
    event = head;
#else
    event = roomEvent;
#endif
    roomWanted = true;
    put();
    if
    :: outcome != 0 -> goto put_done
    :: else -> skip
    fi;
#ifdef BUG
    wait_on(me, HEAD, head, event);
#else
    wait_on(me, ROOM, roomEvent, event);
#endif
    goto again;
put_done:
    sendLocked = false;
    if
    :: outcome == 2 -> break
    :: else -> values--
    fi
  :: else -> break
  od
}

proctype receiver(byte me) {
  byte seenTail, outcome, event, i;
  bool seenClosed;

  do
  :: atomic { !receiveLocked -> receiveLocked = true };
again:
    get();
    if
    :: outcome != 0 -> goto got
    :: else -> skip
    fi;
    event = valueEvent;
    valueWanted = true;
    get();
    if
    :: outcome != 0 -> goto got
    :: else -> skip
    fi;
    wait_on(me, VALUE, valueEvent, event);
    goto again;
got:
    receiveLocked = false;
    if
    :: outcome == 2 -> assert(head == tail && received == tail); break
    :: else -> skip
    fi
  od
}

proctype closer() {
  byte i;
  closed = true;
  valueWanted = false; valueEvent++; notify_all(VALUE, i);
  roomWanted = false; roomEvent++; notify_all(ROOM, i)
}

init {
  mayGiveUp = false;
  atomic { run sender(1, 1); run sender(2, 1); run receiver(3); run receiver(4); run closer() }
}
