#include "writer.h"

#include "pairing.h"

#include <sched.h>
#include <string.h>

struct writer *writers[RINGS];
unsigned writer_count;
int redacting;
_Atomic int writer_step;
_Atomic int writer_recording;

#define FULL 512 /* a ring with less room: for an event, and who it is of */

static _Atomic unsigned threads;
static atomic_flag shared = ATOMIC_FLAG_INIT;
#ifdef __GLIBC__ /* which has places for this where no function needs to be asked; others refuse to load it */
__attribute__((tls_model("initial-exec")))
#endif
static _Thread_local unsigned my_number; /* from 1; 0: not given yet */

unsigned writer_thread(void) {
  if (!my_number) {
    int scheduler = enif_thread_type() == ERL_NIF_THR_NORMAL_SCHEDULER;
    my_number = scheduler ? atomic_fetch_add(&threads, 1) + 1 : RINGS;
  }
  return my_number;
}

static struct writer *mine(void) {
  unsigned number = writer_thread();
  if (number < writer_count) return writers[number - 1];
  while (atomic_flag_test_and_set_explicit(&shared, memory_order_acquire)) sched_yield();
  return writers[writer_count - 1];
}

static void done(struct writer *w) {
  if (w->shared) atomic_flag_clear_explicit(&shared, memory_order_release);
}

static uint64_t padded(uint64_t bytes) { return (bytes + 7) & ~(uint64_t)7; }

static void head(uint8_t *record, uint64_t bytes, uint32_t kind) {
  uint32_t length = (uint32_t)bytes;
  memcpy(record, &length, 4);
  memcpy(record + 4, &kind, 4);
}

/* The number of a local process in this ring; NO_PEER when there is no room to introduce it. A process may be
 * introduced twice: what is remembered is bounded, numbers are not. */
static uint32_t process(ErlNifEnv *env, struct writer *w, ERL_NIF_TERM pid) {
  uint64_t free;
  unsigned at = (unsigned)(pid * 0x9E3779B97F4A7C15ull >> 40) & (KNOWN - 1);
  if (w->known[at].pid == pid) return w->known[at].index;
  uint8_t *record = ring_space(&w->ring, &free);
  if (free < FULL) return NO_PEER;
  struct encoder e = {.env = env, .cache = &w->cache, .out = record + RECORD_HEAD + 8, .end = record + free};
  if (encode_pid(&e, pid) != DONE) return NO_PEER;
  uint32_t body[2] = {w->next_process, (uint32_t)(e.out - record - RECORD_HEAD - 8)};
  memcpy(record + RECORD_HEAD, body, 8);
  uint64_t bytes = padded((uint64_t)(e.out - record));
  head(record, bytes, RECORD_PROCESS);
  ring_commit(&w->ring, bytes);
  w->known[at].pid = pid;
  w->known[at].index = w->next_process;
  return w->next_process++;
}

/* Later than anything else in this ring, so that times alone order the events of a process. */
static int64_t now(struct writer *w) {
  int64_t ts = clock_ns(&w->clock);
  if (ts <= w->last_ts) ts = w->last_ts + 1;
  return w->last_ts = ts;
}

int64_t writer_tick(void) {
  struct writer *w = mine();
  int64_t ts = now(w);
  done(w);
  return ts;
}

static int64_t since(struct writer *w, int64_t ts) {
  int64_t now = clock_ns(&w->clock);
  return now > ts ? now - ts : 0;
}

/* Whether the event of this time is one of SAMPLED, whatever steps the clock takes. */
static int sampled(int64_t ts) { return !((uint64_t)ts * 0x9E3779B97F4A7C15ull >> 32 & (SAMPLED - 1)); }

/* The place of another process is taken when the reader has taken what was counted there. */
static void lose(struct writer *w, ERL_NIF_TERM pid) {
  unsigned at = (unsigned)(pid * 0x9E3779B97F4A7C15ull >> 40) & (LOSERS - 1);
  ring_lose(&w->ring);
  if (atomic_load_explicit(&w->losers[at].pid, memory_order_relaxed) != pid) {
    if (!pid || atomic_load_explicit(&w->losers[at].count, memory_order_acquire)) return;
    atomic_store_explicit(&w->losers[at].pid, pid, memory_order_relaxed);
  }
  atomic_fetch_add_explicit(&w->losers[at].count, 1, memory_order_release);
}

ERL_NIF_TERM written_ns(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
  (void)argc, (void)argv;
  int64_t all = 0;
  for (unsigned n = 0; n < writer_count; n++) all += atomic_load_explicit(&writers[n]->written_ns, memory_order_relaxed);
  return enif_make_int64(env, all);
}

void writer_lose(ERL_NIF_TERM pid) {
  struct writer *w = mine();
  lose(w, pid);
  done(w);
}

enum outcome write_event(ErlNifEnv *env, struct what *what, const ERL_NIF_TERM *term, long budget,
                         const ErlNifBinary *bytes) {
  if (what->kind <= STATE) {
    int step = atomic_load_explicit(&writer_step, memory_order_relaxed);
    /* Of a frame that began when nothing was recorded, 0, nothing is. */
    if (step > 1 || (what->frame == 0 && what->kind != CALL && what->kind != STATE)) return DONE;
    if (step) term = NULL, bytes = NULL;
  }
  struct writer *w = mine();
  enum outcome outcome = NO_ROOM;
  ErlNifPid self;
  uint64_t free;
  if (!what->pid && enif_self(env, &self)) what->pid = self.pid;
  ring_space(&w->ring, &free);
  if (free < FULL) { /* a program that is not recorded must not pay for it: only a frame needs its name */
    if (what->kind == CALL) what->frame = now(w);
    lose(w, what->pid);
    done(w);
    return NO_ROOM;
  }
  uint32_t index = what->pid ? process(env, w, what->pid) : NO_PEER;
  uint32_t peer = what->peer && index != NO_PEER ? process(env, w, what->peer) : NO_PEER;
  if (what->peer && peer == NO_PEER) index = NO_PEER;
  uint8_t *record = ring_space(&w->ring, &free);
  uint8_t *value = record + RECORD_HEAD + EVENT_BYTES;
  /* The time is taken first: what follows is ours, not the program's. */
  int64_t ts = now(w);
  if (what->kind == CALL) what->frame = ts;
  if (index != NO_PEER && free >= RECORD_HEAD + EVENT_BYTES + 8) {
    uint64_t room = free - RECORD_HEAD - EVENT_BYTES - 8;
    uint8_t *end = value;
    /* Where it is to be, field by field: a copy of it as a whole would wait for all that was just written. */
    struct event *event = (struct event *)(void *)(record + RECORD_HEAD);
    event->ts = ts;
    event->frame = what->frame;
    event->ref = 0;
    event->pid = index;
    event->peer = peer;
    event->site = what->site;
    event->kind = what->kind;
    event->flags = what->flags;
    event->aux = what->aux;
    event->value_offset = 0;
    outcome = DONE;
    if (term) {
      int whole = room >= VALUE_BYTES;
      struct encoder e = {.env = env,
                          .cache = &w->cache,
                          .out = value,
                          .end = value + (whole ? VALUE_BYTES : room),
                          .left = budget,
                          .redacting = redacting};
      outcome = encode(&e, *term);
      what->unknown = e.unknown;
      if (outcome == NO_ROOM && whole) outcome = LEAVE_TO_ELIXIR; /* too long a value, not too small a ring */
      event->flags |= (e.redacted ? REDACTED : 0) | (e.cut ? TRUNCATED : 0);
      if (outcome == DONE && (what->kind == SEND || what->kind == RECEIVE))
        event->ref = e.whole ? pairing_whole(*term) : pairing_part(env, *term);
      end = e.out;
    } else if (bytes && bytes->size <= room) {
      memcpy(value, bytes->data, bytes->size);
      end += bytes->size;
    } else if (bytes) {
      outcome = NO_ROOM;
    }
    if (outcome == DONE) {
      uint64_t length = padded((uint64_t)(end - record));
      event->value_length = (uint32_t)(end - value);
      head(record, length, RECORD_EVENT);
      ring_commit(&w->ring, length);
      if (event->value_length >= LONG_BYTES) {
        /* A small call with its return takes as long as copying 256 bytes, or cutting to 32. Not by the clock: a function
         * whose process was interrupted here would be left out for it. */
        what->as_calls = event->value_length >> (event->flags & TRUNCATED ? 5 : 8);
        atomic_fetch_add_explicit(&w->written_ns, since(w, ts), memory_order_relaxed);
      } else if (sampled(ts)) {
        int64_t took = since(w, ts);
        if (took < INTERRUPTED_NS) atomic_fetch_add_explicit(&w->written_ns, SAMPLED * took, memory_order_relaxed);
      }
    }
  }
  if (outcome == NO_ROOM) lose(w, what->pid);
  done(w);
  return outcome;
}
