/* Events into rings: each scheduler thread has a writer of its own, whoever else may come shares the last one. */
#ifndef ELIXIRSCOPE_WRITER_H
#define ELIXIRSCOPE_WRITER_H

#include <erl_nif.h>
#include <stdint.h>

#include "clock.h"
#include "encode.h"
#include "ring.h"

#define EVENT_BYTES 48
#define VALUE_BYTES 65536u /* of one value at most; what is larger takes the way through Elixir */
#define RINGS 1025
#define KNOWN 2048 /* a power of two */
#define LOSERS 256 /* a power of two */
#define NO_PEER 0xFFFFFFFFu
#define LONG_BYTES 256 /* from here on a value's time is taken, which for a shorter one would be a good part of it */
#define SAMPLED 64     /* of the others, it is taken of one in so many */
#define INTERRUPTED_NS 100000 /* no short value takes that long */

enum kind { CALL = 1, RETURN = 2, TAIL = 3, BIND = 4, STATE = 10, SPAWN = 20, SPAWNED = 21, EXIT = 22, LINK = 23, REGISTER = 27, UNREGISTER = 28,
            SEND = 29, RECEIVE = 30, SCHEDULED_IN = 36, SCHEDULED_OUT = 37 };
enum { TRUNCATED = 1, REDACTED = 2, UNCHANGED = 8, NO_RECEIVER = 16 };

/* As in docs/format.md; little endian as all machines we build for. */
struct event {
  int64_t ts, frame, ref;
  uint32_t pid, peer, site;
  uint8_t kind, flags;
  uint16_t aux;
  uint32_t value_offset, value_length;
};
_Static_assert(sizeof(struct event) == EVENT_BYTES, "an event has 48 bytes");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "events are little endian");

struct writer {
  struct ring ring;
  struct clock clock;
  int64_t last_ts;
  uint32_t next_process;
  int shared;
  struct {
    ERL_NIF_TERM pid;
    uint32_t index;
  } known[KNOWN];
  /* Whose events were dropped since the reader looked, as far as there are places. Each is counted in the ring first:
   * what is counted here is never more than that. */
  struct {
    _Atomic uint64_t pid;
    _Atomic uint64_t count;
  } losers[LOSERS];
  _Atomic int64_t written_ns; /* what writing events has taken until now */
  struct cache cache;
};

extern struct writer *writers[RINGS];
extern unsigned writer_count; /* changes only while nothing is recorded */
extern int redacting;         /* whether there are secrets to look for */
extern _Atomic int writer_step; /* of instrumented code: 0 everything, 1 no values, 2 nothing */
extern _Atomic int writer_recording;
static inline int writer_on(void) { return atomic_load_explicit(&writer_recording, memory_order_acquire); }

/* What an event is, apart from its value. Processes are local ones; 0: the calling process, no peer. */
struct what {
  uint8_t kind, flags;
  uint16_t aux;
  uint32_t site;
  ErlNifSInt64 frame; /* for CALL: set to its own time */
  ERL_NIF_TERM pid, peer;
  uint32_t as_calls;    /* set: how many small calls a long value costs as much as */
  ERL_NIF_TERM unknown; /* set with LEAVE_TO_ELIXIR: a function that it is to tell about, or 0 */
};

/* Writes one event. `term` is encoded within `budget`; or `bytes` is the value as it stands; or
 * there is none. NO_ROOM: it is dropped and counted. LEAVE_TO_ELIXIR: nothing was written. */
enum outcome write_event(ErlNifEnv *env, struct what *what, const ERL_NIF_TERM *term, long budget,
                         const ErlNifBinary *bytes);

/* The number of this thread, from 1: of a scheduler its own, one for all others. */
unsigned writer_thread(void);
/* written_ns(): what writing events has taken until now, of all writers. */
ERL_NIF_TERM written_ns(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]);
/* A time like that of an event, for one that goes another way. */
int64_t writer_tick(void);
/* Counts an event of this process that went another way and did not arrive. */
void writer_lose(ERL_NIF_TERM pid);

/* The functions in drain.c, for whoever reads. */
ERL_NIF_TERM drain(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]);
ERL_NIF_TERM lost_by(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]);
ERL_NIF_TERM advance(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]);
ERL_NIF_TERM mark(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]);

#endif
