/*
 * The lane's ring with its sleep flag: src/wire/ring-writer.ts and ring-reader.ts, src/lanes/lane.ts, workers/dispatcher.ts.
 *
 *   main       Lane.post, refill with starve and moveBacklog, publish at the end of a turn; RingWriter.begin, publish
 *   lane       Dispatcher.drain with offerRoom; RingReader.next, sleep, takeStarved
 *   wakes      WAKE messages on the lane's port            rooms   ROOM messages on the main thread's
 *
 * A record is one unit of the ring, and carries its number. Proved: the lane gets every record, in order, and neither side
 * waits for ever for the other. BUG: the lane looks at TAIL before it says that it sleeps.
 */
#define CAPACITY 2
#define RECORDS 4

byte tail, head;
bool sleeping, starved;
byte ring[CAPACITY];
chan wakes = [8] of { bit };
chan rooms = [8] of { bit };
byte taken;

proctype main_thread() {
  byte posted, backlog, written, published;
  bool wasSleeping;

turn:
  /* Some records come in, each behind those that wait already. */
  do
  :: posted < RECORDS ->
    posted++;
    backlog++;
    goto refill;
posted_one:
    skip
  :: true -> break
  od;
  goto end_turn;

refill:
  do
  :: backlog > 0 && written - head < CAPACITY ->
    ring[written % CAPACITY] = posted - backlog;
    written++;
    backlog--
  :: else -> break
  od;
  if
  :: backlog > 0 ->
    starved = true;
    /* Once more: room made before that is announced to nobody. */
    do
    :: backlog > 0 && written - head < CAPACITY ->
      ring[written % CAPACITY] = posted - backlog;
      written++;
      backlog--
    :: else -> break
    od
  :: else -> skip
  fi;
  if
  :: posted < RECORDS -> goto posted_one
  :: else -> skip
  fi;

end_turn:
  if
  :: published != written ->
    published = written;
    tail = written;
    if
    :: sleeping ->
      atomic { wasSleeping = sleeping; sleeping = false };
      if
      :: wasSleeping -> wakes!1
      :: else -> skip
      fi
    :: else -> skip
    fi
  :: else -> skip
  fi;
  if
  :: posted < RECORDS -> goto turn
  :: posted == RECORDS && backlog > 0 -> rooms?1; goto refill
  :: posted == RECORDS && backlog == 0 -> skip
  fi;
  /* Rooms that are told later find nothing to do. */
end_idle:
  do
  :: rooms?1
  od
}

proctype lane() {
  byte position, seenTail;
  bool wasStarved;

drain:
  do
  :: true ->
    seenTail = tail;
    do
    :: position != seenTail ->
      assert(ring[position % CAPACITY] == position);
      position++;
      taken++;
      head = position
    :: else ->
      seenTail = tail;
      if
      :: position == seenTail -> break
      :: else -> skip
      fi
    od;
    /* offerRoom */
    if
    :: starved ->
      atomic { wasStarved = starved; starved = false };
      if
      :: wasStarved -> rooms!1
      :: else -> skip
      fi
    :: else -> skip
    fi;
    /* sleep */
#ifdef BUG
    if
    :: tail == position -> sleeping = true; break
    :: else -> skip
    fi
#else
    sleeping = true;
    if
    :: tail == position -> break
    :: else -> sleeping = false
    fi
#endif
  od;
  if
  :: taken == RECORDS -> skip
  :: wakes?1 -> goto drain
  fi
}

init {
  atomic { run main_thread(); run lane() }
}
