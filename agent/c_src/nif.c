/* The functions of ElixirScope.Capture.NativeRuntime that are in C: events into rings, and rings into batches. */
#include <erl_nif.h>
#include <sched.h>
#include <string.h>

#include "clock.h"
#include "encode.h"
#include "ring.h"
#include "secrets.h"

#define EVENT_BYTES 48
#define VALUE_BYTES 65536u /* of one value at most; what is larger takes the way through Elixir */
#define RINGS 1025
#define KNOWN 2048 /* a power of two */
#define NO_PEER 0xFFFFFFFFu

enum { CALL = 1, RETURN = 2, TAIL = 3, BIND = 4, STATE = 10 };
enum { REDACTED = 2 };

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
  struct cache cache;
};

static struct writer *writers[RINGS]; /* one per scheduler, the last for whoever else may come */
static unsigned writer_count;
static _Atomic unsigned threads;
static _Atomic int recording;
static atomic_flag shared = ATOMIC_FLAG_INIT;
static _Thread_local unsigned my_number; /* from 1; 0: not given yet */

static int used; /* whether these rings were ever open */
static int redacting;
static long budget_argument, budget_binding, budget_reason, budget_state;
static ERL_NIF_TERM atom_ok, atom_error, atom_hard, atom_none, atom_empty, atom_false;

/* --- writing --------------------------------------------------------------------------------------------------- */

static struct writer *mine(void) {
  if (!my_number) my_number = atomic_fetch_add(&threads, 1) + 1;
  if (my_number < writer_count) return writers[my_number - 1];
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

/* The number of the calling process in this ring; NO_PEER when there is no room to introduce it. A process may be
 * introduced twice: what is remembered is bounded, numbers are not. */
static uint32_t process(ErlNifEnv *env, struct writer *w) {
  ErlNifPid self;
  uint64_t free;
  if (!enif_self(env, &self)) return NO_PEER;
  unsigned at = (unsigned)(self.pid * 0x9E3779B97F4A7C15ull >> 40) & (KNOWN - 1);
  if (w->known[at].pid == self.pid) return w->known[at].index;
  uint8_t *record = ring_space(&w->ring, &free);
  if (free < 512) return NO_PEER;
  struct encoder e = {.env = env, .cache = &w->cache, .out = record + RECORD_HEAD + 8, .end = record + free};
  if (encode_pid(&e, self.pid) != DONE) return NO_PEER;
  uint32_t body[2] = {w->next_process, (uint32_t)(e.out - record - RECORD_HEAD - 8)};
  memcpy(record + RECORD_HEAD, body, 8);
  uint64_t bytes = padded((uint64_t)(e.out - record));
  head(record, bytes, RECORD_PROCESS);
  ring_commit(&w->ring, bytes);
  w->known[at].pid = self.pid;
  w->known[at].index = w->next_process;
  return w->next_process++;
}

/* Later than anything else in this ring, so that times alone order the events of a process. */
static int64_t now(struct writer *w) {
  int64_t ts = clock_ns(&w->clock);
  if (ts <= w->last_ts) ts = w->last_ts + 1;
  return w->last_ts = ts;
}

/* What an event is, apart from its value. */
struct what {
  uint8_t kind, flags;
  uint16_t aux;
  uint32_t site;
  ErlNifSInt64 frame; /* for CALL: set to its own time */
};

/* Writes one event. `term` is encoded within `budget`; or `bytes` is the value as it stands; or there is none. */
static enum outcome write_event(ErlNifEnv *env, struct what *what, const ERL_NIF_TERM *term, long budget,
                                const ErlNifBinary *bytes) {
  struct writer *w = mine();
  enum outcome outcome = NO_ROOM;
  uint32_t index = process(env, w);
  uint64_t free;
  uint8_t *record = ring_space(&w->ring, &free);
  uint8_t *value = record + RECORD_HEAD + EVENT_BYTES;
  /* The time is taken first: what follows is ours, not the program's. */
  int64_t ts = now(w);
  if (what->kind == CALL) what->frame = ts;
  if (index != NO_PEER && free >= RECORD_HEAD + EVENT_BYTES + 8) {
    uint64_t room = free - RECORD_HEAD - EVENT_BYTES - 8;
    int whole = room >= VALUE_BYTES;
    struct encoder e = {.env = env,
                        .cache = &w->cache,
                        .out = value,
                        .end = value + (whole ? VALUE_BYTES : room),
                        .left = budget,
                        .redacting = redacting};
    if (term) {
      outcome = encode(&e, *term);
      if (outcome == NO_ROOM && whole) outcome = LEAVE_TO_ELIXIR; /* too long a value, not too small a ring */
    } else if (!bytes) {
      outcome = DONE;
    } else if (bytes->size <= room) {
      memcpy(value, bytes->data, bytes->size);
      e.out += bytes->size;
      outcome = DONE;
    }
    if (outcome == DONE) {
      uint64_t length = padded((uint64_t)(e.out - record));
      struct event event = {.ts = ts,
                            .frame = what->frame,
                            .pid = index,
                            .peer = NO_PEER,
                            .site = what->site,
                            .kind = what->kind,
                            .flags = what->flags | (e.redacted ? REDACTED : 0),
                            .aux = what->aux,
                            .value_length = (uint32_t)(e.out - value)};
      head(record, length, RECORD_EVENT);
      memcpy(record + RECORD_HEAD, &event, EVENT_BYTES);
      ring_commit(&w->ring, length);
    }
  }
  if (outcome == NO_ROOM) ring_lose(&w->ring);
  done(w);
  return outcome;
}

static int on(void) { return atomic_load_explicit(&recording, memory_order_acquire); }

static int frame_site(ErlNifEnv *env, const ERL_NIF_TERM argv[], struct what *what) {
  unsigned site;
  if (!enif_get_int64(env, argv[0], &what->frame) || !enif_get_uint(env, argv[1], &site)) return 0;
  what->site = site;
  return 1;
}

/* enter(site, args): the name of the frame, 0 when nothing is recorded, or the atom that leaves it to Elixir. */
static ERL_NIF_TERM enter(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
  (void)argc;
  int arity;
  const ERL_NIF_TERM *args;
  struct what what = {.kind = CALL};
  unsigned site;
  if (!on()) return enif_make_int(env, 0);
  if (!enif_get_uint(env, argv[0], &site) || !enif_get_tuple(env, argv[1], &arity, &args)) return enif_make_badarg(env);
  what.site = site;
  if (redacting && arity && secrets_has_site(site)) return atom_hard;
  if (write_event(env, &what, arity ? &argv[1] : NULL, budget_argument, NULL) == LEAVE_TO_ELIXIR) return atom_hard;
  return enif_make_int64(env, what.frame);
}

static ERL_NIF_TERM plain(ErlNifEnv *env, const ERL_NIF_TERM argv[], uint8_t kind) {
  struct what what = {.kind = kind};
  if (!on()) return atom_ok;
  if (!frame_site(env, argv, &what)) return enif_make_badarg(env);
  write_event(env, &what, NULL, 0, NULL);
  return atom_ok;
}

static ERL_NIF_TERM valued(ErlNifEnv *env, const ERL_NIF_TERM argv[], uint8_t kind, long budget) {
  struct what what = {.kind = kind};
  if (!on()) return atom_ok;
  if (!frame_site(env, argv, &what)) return enif_make_badarg(env);
  if (redacting && secrets_has_site(what.site)) return atom_hard;
  return write_event(env, &what, &argv[2], budget, NULL) == LEAVE_TO_ELIXIR ? atom_hard : atom_ok;
}

static ERL_NIF_TERM enter0(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
  (void)argc;
  struct what what = {.kind = CALL};
  unsigned site;
  if (!on()) return enif_make_int(env, 0);
  if (!enif_get_uint(env, argv[0], &site)) return enif_make_badarg(env);
  what.site = site;
  write_event(env, &what, NULL, 0, NULL);
  return enif_make_int64(env, what.frame);
}

static ERL_NIF_TERM leave(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
  (void)argc;
  return valued(env, argv, RETURN, budget_argument);
}

static ERL_NIF_TERM leave0(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
  (void)argc;
  return plain(env, argv, RETURN);
}

static ERL_NIF_TERM tail(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
  (void)argc;
  return plain(env, argv, TAIL);
}

static ERL_NIF_TERM bound(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
  (void)argc;
  return valued(env, argv, BIND, budget_binding);
}

/* failed(frame, site, value, kind): CAUGHT or RAISE. */
static ERL_NIF_TERM failed(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
  (void)argc;
  int kind;
  if (!enif_get_int(env, argv[3], &kind)) return enif_make_badarg(env);
  return valued(env, argv, (uint8_t)kind, budget_reason);
}

/* changed(frame, site, state, flags): the state is the atom for none when it is as before. */
static ERL_NIF_TERM changed(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
  (void)argc;
  int flags;
  struct what what = {.kind = STATE, .aux = 1};
  if (!on()) return atom_ok;
  if (!frame_site(env, argv, &what) || !enif_get_int(env, argv[3], &flags))
    return enif_make_badarg(env);
  what.flags = (uint8_t)flags;
  const ERL_NIF_TERM *term = enif_is_identical(argv[2], atom_none) ? NULL : &argv[2];
  return write_event(env, &what, term, budget_state, NULL) == LEAVE_TO_ELIXIR ? atom_hard : atom_ok;
}

/* put(kind, flags, aux, frame, site, value): an event whose value Elixir has encoded. Returns its time. */
static ERL_NIF_TERM put_encoded(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
  (void)argc;
  int kind, flags, aux;
  struct what what = {0};
  ErlNifBinary value;
  if (!on()) return enif_make_int(env, 0);
  if (!enif_get_int(env, argv[0], &kind) || !enif_get_int(env, argv[1], &flags) || !enif_get_int(env, argv[2], &aux) ||
      !frame_site(env, argv + 3, &what) || !enif_inspect_binary(env, argv[5], &value))
    return enif_make_badarg(env);
  what.kind = (uint8_t)kind;
  what.flags = (uint8_t)flags;
  what.aux = (uint16_t)aux;
  write_event(env, &what, NULL, 0, &value);
  return enif_make_int64(env, what.frame);
}

/* --- reading --------------------------------------------------------------------------------------------------- */

static struct writer *reader(ErlNifEnv *env, ERL_NIF_TERM number) {
  unsigned n;
  return enif_get_uint(env, number, &n) && n < writer_count ? writers[n] : NULL;
}

/* drain(ring, limit): {Tail, Lost, [{Index, Pid}], Events, Values, Count, First, Last} or {empty, Lost}. The records
 * stay until `advance`. */
static ERL_NIF_TERM drain(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
  (void)argc;
  struct writer *w = reader(env, argv[0]);
  unsigned long limit;
  if (!w || !enif_get_ulong(env, argv[1], &limit)) return enif_make_badarg(env);
  struct ring *ring = &w->ring;
  uint64_t to = atomic_load_explicit(&ring->file->head, memory_order_acquire);
  uint64_t from = atomic_load_explicit(&ring->tail, memory_order_relaxed);
  ERL_NIF_TERM lost = enif_make_uint64(env, atomic_load_explicit(&ring->file->lost, memory_order_relaxed));
  if (to == from) return enif_make_tuple2(env, atom_empty, lost);
  uint64_t at, values_size = 0;
  unsigned count = 0;
  struct event event;
  uint32_t head[2], body[2];
  for (at = from; at < to && at - from < limit; at += head[0]) {
    const uint8_t *record = ring->data + (at & (ring->size - 1));
    memcpy(head, record, 8);
    if (head[1] != RECORD_EVENT) continue;
    memcpy(&event, record + RECORD_HEAD, EVENT_BYTES);
    values_size += event.value_length;
    count++;
  }
  to = at;
  ERL_NIF_TERM events, values, processes = enif_make_list(env, 0);
  uint8_t *e = enif_make_new_binary(env, (size_t)count * EVENT_BYTES, &events);
  uint8_t *v = enif_make_new_binary(env, values_size, &values);
  uint32_t offset = 0;
  int64_t first = 0, last = 0;
  for (at = from; at < to; at += head[0]) {
    const uint8_t *record = ring->data + (at & (ring->size - 1));
    memcpy(head, record, 8);
    if (head[1] == RECORD_PROCESS) {
      ERL_NIF_TERM encoded;
      memcpy(body, record + RECORD_HEAD, 8);
      uint8_t *pid = enif_make_new_binary(env, 1 + body[1], &encoded);
      pid[0] = 131;
      memcpy(pid + 1, record + RECORD_HEAD + 8, body[1]);
      processes = enif_make_list_cell(env, enif_make_tuple2(env, enif_make_uint(env, body[0]), encoded), processes);
      continue;
    }
    memcpy(&event, record + RECORD_HEAD, EVENT_BYTES);
    memcpy(v + offset, record + RECORD_HEAD + EVENT_BYTES, event.value_length);
    event.value_offset = offset;
    offset += event.value_length;
    if (!last) first = event.ts;
    last = event.ts;
    memcpy(e, &event, EVENT_BYTES);
    e += EVENT_BYTES;
  }
  return enif_make_tuple8(env, enif_make_uint64(env, to), lost, processes, events, values, enif_make_uint(env, count),
                          enif_make_int64(env, first), enif_make_int64(env, last));
}

/* advance(ring, tail, file_bytes, lost_told, events): what was drained is safe. */
static ERL_NIF_TERM advance(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
  (void)argc;
  struct writer *w = reader(env, argv[0]);
  ErlNifUInt64 tail, bytes, lost, events;
  if (!w || !enif_get_uint64(env, argv[1], &tail) || !enif_get_uint64(env, argv[2], &bytes) ||
      !enif_get_uint64(env, argv[3], &lost) || !enif_get_uint64(env, argv[4], &events))
    return enif_make_badarg(env);
  ring_advance(&w->ring, (struct mark){tail, bytes, lost, events});
  return atom_ok;
}

/* mark(ring): {Tail, FileBytes, LostTold, Events}. */
static ERL_NIF_TERM mark(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
  (void)argc;
  struct writer *w = reader(env, argv[0]);
  if (!w) return enif_make_badarg(env);
  struct mark m = ring_mark(&w->ring);
  return enif_make_tuple4(env, enif_make_uint64(env, m.tail), enif_make_uint64(env, m.file_bytes),
                          enif_make_uint64(env, m.lost_told), enif_make_uint64(env, m.events));
}

/* --- setting up ------------------------------------------------------------------------------------------------ */

/* create(path, size, shard): one more ring. ok, or {error, Errno}. */
static ERL_NIF_TERM create(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
  (void)argc;
  ErlNifBinary path;
  ErlNifUInt64 size;
  unsigned shard;
  char name[4096];
  if (!enif_inspect_binary(env, argv[0], &path) || path.size >= sizeof name || !enif_get_uint64(env, argv[1], &size) ||
      !enif_get_uint(env, argv[2], &shard) || (size & (size - 1)) || size < 2 * VALUE_BYTES || writer_count == RINGS ||
      on())
    return enif_make_badarg(env);
  memcpy(name, path.data, path.size);
  name[path.size] = 0;
  struct writer *w = enif_alloc(sizeof *w);
  memset(w, 0, sizeof *w);
  w->last_ts = INT64_MIN;
  int failed = ring_create(&w->ring, name, size, shard);
  if (failed) {
    enif_free(w);
    return enif_make_tuple2(env, atom_error, enif_make_int(env, failed));
  }
  writers[writer_count++] = w;
  return atom_ok;
}

/* discard(): gives up all rings. Those that were ever written to stay mapped: somebody may still be in the middle. */
static ERL_NIF_TERM discard(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
  (void)argc, (void)argv;
  if (on()) return enif_make_badarg(env);
  while (writer_count) {
    struct writer *w = writers[--writer_count];
    if (used) continue;
    ring_unmap(&w->ring);
    enif_free(w);
  }
  used = 0;
  return atom_ok;
}

/* configure({Argument, Binding, Reason, State}, Words, StructsMayBeSecret): ok, or false for words it has no room for. */
static ERL_NIF_TERM configure(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
  (void)argc;
  int arity, structs;
  const ERL_NIF_TERM *budgets;
  ERL_NIF_TERM list = argv[1], word;
  ErlNifBinary text;
  if (!enif_get_tuple(env, argv[0], &arity, &budgets) || arity != 4 ||
      !enif_get_long(env, budgets[0], &budget_argument) || !enif_get_long(env, budgets[1], &budget_binding) ||
      !enif_get_long(env, budgets[2], &budget_reason) ||
      !enif_get_long(env, budgets[3], &budget_state) || !enif_get_int(env, argv[2], &structs))
    return enif_make_badarg(env);
  if (on()) return enif_make_badarg(env);
  redacting = structs || !enif_is_empty_list(env, list);
  secrets_forget();
  encode_setup(env, structs);
  while (enif_get_list_cell(env, list, &word, &list)) {
    if (!enif_inspect_binary(env, word, &text) || !secrets_word(text.data, (unsigned)text.size))
      return atom_false;
  }
  return atom_ok;
}

static ERL_NIF_TERM secret_site(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
  (void)argc;
  unsigned site;
  if (!enif_get_uint(env, argv[0], &site)) return enif_make_badarg(env);
  secrets_site(site);
  return atom_ok;
}

/* recording(1 | 0). */
static ERL_NIF_TERM set_recording(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
  (void)argc;
  int value;
  if (!enif_get_int(env, argv[0], &value) || (value && writer_count < 2)) return enif_make_badarg(env);
  if (value) {
    used = 1;
    writers[writer_count - 1]->shared = 1;
  }
  atomic_store_explicit(&recording, value, memory_order_release);
  return atom_ok;
}

/* layout(term): {Size, Aligned} as read from the VM's memory, or false. */
static ERL_NIF_TERM layout(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
  (void)argc;
  struct layout found;
  if (!binary_layout(argv[0], &found)) return atom_false;
  return enif_make_tuple2(env, enif_make_uint64(env, found.size), enif_make_int(env, found.aligned));
}

/* encoded(term, budget, redacting): for tests, what an event would carry: {Redacted, Binary}, or the atom. */
static ERL_NIF_TERM encoded(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
  (void)argc;
  ErlNifBinary out;
  ERL_NIF_TERM result = atom_hard;
  struct encoder e = {.env = env};
  if (!enif_get_long(env, argv[1], &e.left) || !enif_get_int(env, argv[2], &e.redacting))
    return enif_make_badarg(env);
  e.cache = enif_alloc(sizeof *e.cache);
  memset(e.cache, 0, sizeof *e.cache);
  enif_alloc_binary(VALUE_BYTES, &out);
  e.out = out.data;
  e.end = out.data + out.size;
  /* Twice: from an empty cache and from a full one. */
  enum outcome outcome = encode(&e, argv[0]);
  if (outcome == DONE) {
    size_t size = (size_t)(e.out - out.data);
    enif_get_long(env, argv[1], &e.left);
    e.out = out.data;
    if (encode(&e, argv[0]) == DONE && size == (size_t)(e.out - out.data)) {
      enif_realloc_binary(&out, size);
      result = enif_make_tuple2(env, enif_make_int(env, e.redacted), enif_make_binary(env, &out));
    }
  }
  if (enif_is_identical(result, atom_hard)) enif_release_binary(&out);
  enif_free(e.cache);
  return result;
}

static int load(ErlNifEnv *env, void **data, ERL_NIF_TERM info) {
  (void)data, (void)info;
  atom_ok = enif_make_atom(env, "ok");
  atom_error = enif_make_atom(env, "error");
  atom_hard = enif_make_atom(env, "$elixirscope_hard");
  atom_none = enif_make_atom(env, "$elixirscope_none");
  atom_empty = enif_make_atom(env, "empty");
  atom_false = enif_make_atom(env, "false");
  clock_setup();
  return 0;
}

static ErlNifFunc functions[] = {
    {"enter", 2, enter, 0},
    {"enter0", 1, enter0, 0},
    {"leave", 3, leave, 0},
    {"leave0", 2, leave0, 0},
    {"tail", 2, tail, 0},
    {"bound", 3, bound, 0},
    {"failed", 4, failed, 0},
    {"changed", 4, changed, 0},
    {"put_encoded", 6, put_encoded, 0},
    {"drain", 2, drain, 0},
    {"advance", 5, advance, 0},
    {"mark", 1, mark, 0},
    {"create", 3, create, ERL_NIF_DIRTY_JOB_IO_BOUND},
    {"discard", 0, discard, 0},
    {"configure", 3, configure, 0},
    {"secret_site", 1, secret_site, 0},
    {"recording", 1, set_recording, 0},
    {"layout", 1, layout, 0},
    {"encoded", 3, encoded, 0},
};

/* Without upgrade and unload: loaded once, it stays. */
ERL_NIF_INIT(Elixir.ElixirScope.Capture.NativeRuntime, functions, load, NULL, NULL, NULL)
