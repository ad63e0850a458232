/* The functions of ElixirScope.Capture.NativeRuntime that are in C: events into rings, and rings into batches. */
#include <erl_nif.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "calls.h"
#include "fields.h"
#include "functions.h"
#include "layout.h"
#include "origin.h"
#include "secrets.h"
#include "tracer.h"
#include "writer.h"

static int used; /* whether these rings were ever open */
static long budget_argument, budget_binding, budget_reason, budget_state;
static ERL_NIF_TERM atom_ok, atom_error, atom_hard, atom_false;

static int get_site(ErlNifEnv *env, ERL_NIF_TERM term, struct what *what) {
  ErlNifSInt64 site;
  if (!layout_get_int(env, term, &site) || site < 0 || site > UINT32_MAX) return 0;
  what->site = (uint32_t)site;
  return 1;
}

static int frame_site(ErlNifEnv *env, const ERL_NIF_TERM argv[], struct what *what) {
  return layout_get_int(env, argv[0], &what->frame) && get_site(env, argv[1], what);
}

/* What leaves it to Elixir: a function to tell about before it is tried again, or the atom. */
static ERL_NIF_TERM left(const struct what *what) { return what->unknown ? what->unknown : atom_hard; }

/* enter(site, args): the name of the frame, 0 when nothing is recorded, or what leaves it to Elixir. */
static ERL_NIF_TERM enter(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
  (void)argc;
  int arity;
  const ERL_NIF_TERM *args;
  struct what what = {.kind = CALL};
  if (!writer_on()) return layout_make_int(env, 0);
  if (!get_site(env, argv[0], &what) || !layout_tuple(argv[1], &arity, &args)) return enif_make_badarg(env);
  if (calls_spent(what.site)) return layout_make_int(env, 0);
  if (redacting && arity && secrets_has_site(what.site)) return atom_hard;
  if (write_event(env, &what, arity ? &argv[1] : NULL, budget_argument, NULL) == LEAVE_TO_ELIXIR) return left(&what);
  if (what.as_calls) calls_cost(what.site, what.as_calls);
  return layout_make_int(env, what.frame);
}

static ERL_NIF_TERM plain(ErlNifEnv *env, const ERL_NIF_TERM argv[], uint8_t kind) {
  struct what what = {.kind = kind};
  if (!writer_on()) return atom_ok;
  if (!frame_site(env, argv, &what)) return enif_make_badarg(env);
  write_event(env, &what, NULL, 0, NULL);
  return atom_ok;
}

static ERL_NIF_TERM valued(ErlNifEnv *env, const ERL_NIF_TERM argv[], uint8_t kind, long budget) {
  struct what what = {.kind = kind};
  if (!writer_on()) return atom_ok;
  if (!frame_site(env, argv, &what)) return enif_make_badarg(env);
  if (redacting && secrets_has_site(what.site)) return atom_hard;
  return write_event(env, &what, &argv[2], budget, NULL) == LEAVE_TO_ELIXIR ? left(&what) : atom_ok;
}

static ERL_NIF_TERM call0(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
  (void)argc;
  struct what what = {.kind = CALL};
  if (!writer_on()) return layout_make_int(env, 0);
  if (!get_site(env, argv[0], &what)) return enif_make_badarg(env);
  if (calls_spent(what.site)) return layout_make_int(env, 0);
  write_event(env, &what, NULL, 0, NULL);
  return layout_make_int(env, what.frame);
}

static ERL_NIF_TERM leave(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
  (void)argc;
  return valued(env, argv, RETURN, budget_argument);
}

/* return0(frame, site), return0(frame, site, value): passes the value on. */
static ERL_NIF_TERM return0(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
  ERL_NIF_TERM done = plain(env, argv, RETURN);
  return argc == 3 && done == atom_ok ? argv[2] : done;
}

static ERL_NIF_TERM ended(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
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

/* changed(frame, site, before, state): where that is the same term as before it is only said to be. */
static ERL_NIF_TERM changed(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
  (void)argc;
  struct what what = {.kind = STATE, .aux = 1};
  if (!writer_on()) return atom_ok;
  if (!frame_site(env, argv, &what)) return enif_make_badarg(env);
  const ERL_NIF_TERM *term = argv[2] == argv[3] ? NULL : &argv[3]; /* not whether it is equal, which takes long */
  if (!term) what.flags = UNCHANGED;
  return write_event(env, &what, term, budget_state, NULL) == LEAVE_TO_ELIXIR ? left(&what) : atom_ok;
}

/* put(kind, flags, aux, frame, site, value): an event whose value Elixir has encoded. Returns its time. */
static ERL_NIF_TERM put_encoded(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
  (void)argc;
  int kind, flags, aux;
  struct what what = {0};
  ErlNifBinary value;
  if (!writer_on()) return enif_make_int(env, 0);
  if (!enif_get_int(env, argv[0], &kind) || !enif_get_int(env, argv[1], &flags) || !enif_get_int(env, argv[2], &aux) ||
      !frame_site(env, argv + 3, &what) || !enif_inspect_binary(env, argv[5], &value))
    return enif_make_badarg(env);
  what.kind = (uint8_t)kind;
  what.flags = (uint8_t)flags;
  what.aux = (uint16_t)aux;
  write_event(env, &what, NULL, 0, &value);
  return layout_make_int(env, what.frame);
}

/* --- setting up ------------------------------------------------------------------------------------------------ */

/* The name of a file as C has it. */
static int file_name(ErlNifEnv *env, ERL_NIF_TERM term, char *name, size_t room) {
  ErlNifBinary path;
  if (!enif_inspect_binary(env, term, &path) || path.size >= room) return 0;
  memcpy(name, path.data, path.size);
  name[path.size] = 0;
  return 1;
}

/* free_bytes(folder) */
static ERL_NIF_TERM free_bytes(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
  (void)argc;
  char name[4096];
  if (!file_name(env, argv[0], name, sizeof name)) return enif_make_badarg(env);
  return enif_make_uint64(env, ring_free(name));
}

/* create(path, size, shard, link): one more ring. ok, or {error, Errno}. */
static ERL_NIF_TERM create(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
  (void)argc;
  ErlNifUInt64 size;
  unsigned shard;
  char name[4096], link[RING_LINK];
  if (!enif_get_uint64(env, argv[1], &size) || !enif_get_uint(env, argv[2], &shard) || (size & (size - 1)) ||
      size < 2 * RING_AHEAD || writer_count == RINGS || writer_on())
    return enif_make_badarg(env);
  if (!file_name(env, argv[0], name, sizeof name) || !file_name(env, argv[3], link, sizeof link))
    return enif_make_tuple2(env, atom_error, enif_make_int(env, ENAMETOOLONG));
  struct writer *w = enif_alloc(sizeof *w);
  memset(w, 0, sizeof *w);
  w->last_ts = INT64_MIN;
  int failed = ring_create(&w->ring, name, size, shard, link);
  if (failed) {
    enif_free(w);
    return enif_make_tuple2(env, atom_error, enif_make_int(env, failed));
  }
  writers[writer_count++] = w;
  return atom_ok;
}

/* growth(bytes): so many all rings may grow by, together. */
static ERL_NIF_TERM growth(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
  (void)argc;
  ErlNifUInt64 bytes;
  if (!enif_get_uint64(env, argv[0], &bytes)) return enif_make_badarg(env);
  ring_room(bytes);
  return atom_ok;
}

/* discard(): gives up all rings. Those that were ever written to stay in memory: somebody may still be in the middle. */
static ERL_NIF_TERM discard(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
  (void)argc, (void)argv;
  if (writer_on()) return enif_make_badarg(env);
  while (writer_count) {
    struct writer *w = writers[--writer_count];
    if (used) {
      ring_abandon(&w->ring);
      continue;
    }
    ring_unmap(&w->ring);
    enif_free(w);
  }
  used = 0;
  return atom_ok;
}

/* configure({Argument, Binding, Reason, State, Message}, Words, Redacting): ok, or false for words it has no room for. */
static ERL_NIF_TERM configure(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
  (void)argc;
  int arity, redact;
  const ERL_NIF_TERM *budgets;
  ERL_NIF_TERM list = argv[1], word;
  ErlNifBinary text;
  if (!layout_tuple(argv[0], &arity, &budgets) || arity != 5 ||
      !enif_get_long(env, budgets[0], &budget_argument) || !enif_get_long(env, budgets[1], &budget_binding) ||
      !enif_get_long(env, budgets[2], &budget_reason) ||
      !enif_get_long(env, budgets[3], &budget_state) || !enif_get_long(env, budgets[4], &budget_message) ||
      !enif_get_int(env, argv[2], &redact))
    return enif_make_badarg(env);
  if (writer_on()) return enif_make_badarg(env);
  redacting = redact;
  budget_exit = budget_reason;
  budget_supervisor = budget_state;
  secrets_forget();
  origin_forget();
  functions_forget();
  fields_forget();
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

static ERL_NIF_TERM plain_struct(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
  (void)argc;
  if (!enif_is_atom(env, argv[0])) return enif_make_badarg(env);
  secrets_add_plain_struct(argv[0]);
  return atom_ok;
}

/* first_fields(module, fields): ok, or false where there is no room for them. */
static ERL_NIF_TERM first_fields(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
  (void)argc;
  if (!enif_is_atom(env, argv[0]) || !enif_is_list(env, argv[1]) || writer_on()) return enif_make_badarg(env);
  return fields_add(env, argv[0], argv[1]) ? atom_ok : atom_false;
}

/* tick(): the time, as of an event of its own; 0 when nothing is recorded. */
static ERL_NIF_TERM tick(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
  (void)argc, (void)argv;
  return layout_make_int(env, writer_on() ? writer_tick() : 0);
}

/* recording(1 | 0). */
static ERL_NIF_TERM set_recording(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
  (void)argc;
  int value;
  if (!enif_get_int(env, argv[0], &value) || (value && writer_count < 2)) return enif_make_badarg(env);
  if (value) {
    used = 1;
    atomic_store_explicit(&writer_step, 0, memory_order_relaxed);
    writers[writer_count - 1]->shared = 1;
  }
  atomic_store_explicit(&writer_recording, value, memory_order_release);
  return atom_ok;
}

/* step(n): of instrumented code everything (0), no values (1), nothing (2). */
static ERL_NIF_TERM step(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
  (void)argc;
  int value;
  if (!enif_get_int(env, argv[0], &value)) return enif_make_badarg(env);
  atomic_store_explicit(&writer_step, value, memory_order_relaxed);
  return atom_ok;
}

/* learn_function(function, bytes): what stands for it, in External Term Format. ok, or false when there is no room. */
static ERL_NIF_TERM learn_function(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
  (void)argc;
  ErlNifBinary bytes;
  if (!enif_is_fun(env, argv[0]) || !enif_inspect_binary(env, argv[1], &bytes) || bytes.size < 2)
    return enif_make_badarg(env);
  return functions_learn(argv[0], bytes.data + 1, bytes.size - 1) ? atom_ok : atom_false;
}

/* layout(term): as read from the VM's memory, of a bit string {Bytes, Bits, the first hundred or fewer bytes}, of a
 * large integer its bytes in External Term Format, or false. */
static ERL_NIF_TERM layout(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
  (void)argc;
  struct bits found;
  unsigned long bytes = layout_integer(argv[0]);
  ERL_NIF_TERM copy;
  if (bytes) return enif_make_uint64(env, bytes);
  if (!layout_bits(argv[0], &found)) return atom_false;
  bytes = found.bytes + !!found.rest;
  if (bytes > 100) bytes = 100;
  layout_copy(enif_make_new_binary(env, bytes, &copy), &found, bytes);
  return enif_make_tuple3(env, enif_make_uint64(env, found.bytes), enif_make_uint(env, found.rest), copy);
}

/* encoded(term, budget, redacting, room): for tests, what an event would carry: {Flags, Binary}; or what leaves it to
 * Elixir; or false when it does not fit into `room` bytes. */
static ERL_NIF_TERM encoded(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
  (void)argc;
  long budget;
  unsigned room;
  ERL_NIF_TERM result = atom_hard, binary;
  struct encoder e = {.env = env};
  if (!enif_get_long(env, argv[1], &budget) || !enif_get_int(env, argv[2], &e.redacting) ||
      !enif_get_uint(env, argv[3], &room) || room > VALUE_BYTES)
    return enif_make_badarg(env);
  /* Not of the VM's own allocators: those hide what goes beyond from a sanitizer. */
  e.cache = calloc(1, sizeof *e.cache);
  uint8_t *out = malloc(room);
  /* Twice: from an empty cache and from a full one. */
  for (int round = 0; e.cache && out && round < 2; round++) {
    e = (struct encoder){.env = env, .cache = e.cache, .redacting = e.redacting, .left = budget, .out = out, .end = out + room};
    enum outcome outcome = encode(&e, argv[0]);
    if (outcome == DONE) {
      size_t size = (size_t)(e.out - out);
      memcpy(enif_make_new_binary(env, size, &binary), out, size);
      result = enif_make_tuple2(env, enif_make_int(env, (e.redacted ? REDACTED : 0) | (e.cut ? TRUNCATED : 0)), binary);
    } else {
      result = outcome == NO_ROOM ? atom_false : e.unknown ? e.unknown : atom_hard;
    }
  }
  free(out);
  free(e.cache);
  return result;
}

static int load(ErlNifEnv *env, void **data, ERL_NIF_TERM info) {
  (void)data, (void)info;
  if (!layout_setup(env)) return 1;
  atom_ok = enif_make_atom(env, "ok");
  atom_error = enif_make_atom(env, "error");
  atom_hard = enif_make_atom(env, "$elixirscope_hard");
  atom_false = enif_make_atom(env, "false");
  encode_setup(env);
  origin_setup(env);
  tracer_setup(env);
  clock_setup();
  return 0;
}

static ErlNifFunc functions[] = {
    {"enter", 2, enter, 0},
    {"call0", 1, call0, 0},
    {"leave", 3, leave, 0},
    {"return0", 2, return0, 0},
    {"return0", 3, return0, 0},
    {"ended", 2, ended, 0},
    {"bound", 3, bound, 0},
    {"failed", 4, failed, 0},
    {"changed", 4, changed, 0},
    {"put_encoded", 6, put_encoded, 0},
    {"drain", 2, drain, 0},
    {"lost_by", 1, lost_by, 0},
    {"advance", 5, advance, 0},
    {"mark", 1, mark, 0},
    {"create", 4, create, ERL_NIF_DIRTY_JOB_IO_BOUND},
    {"growth", 1, growth, 0},
    {"free_bytes", 1, free_bytes, ERL_NIF_DIRTY_JOB_IO_BOUND},
    {"discard", 0, discard, 0},
    {"configure", 3, configure, 0},
    {"secret_site", 1, secret_site, 0},
    {"plain_struct", 1, plain_struct, 0},
    {"first_fields", 2, first_fields, 0},
    {"tick", 0, tick, 0},
    {"recording", 1, set_recording, 0},
    {"step", 1, step, 0},
    {"enabled", 3, tracer_enabled, 0},
    {"trace", 5, tracer_trace, 0},
    {"trace_collector", 1, tracer_collector, 0},
    {"trace_serving", 1, tracer_serving, 0},
    {"trace_named", 2, tracer_named, 0},
    {"learn_function", 2, learn_function, 0},
    {"calls_begin", 0, calls_begin, 0},
    {"calls_limit", 1, calls_limit, 0},
    {"calls_block", 2, calls_block, 0},
    {"calls_place", 1, calls_place, 0},
    {"calls_charge", 2, calls_charge, 0},
    {"calls_turn", 1, calls_turn, 0},
    {"written_ns", 0, written_ns, 0},
    {"layout", 1, layout, 0},
    {"encoded", 4, encoded, 0},
};

/* Without upgrade and unload: loaded once, it stays. */
ERL_NIF_INIT(Elixir.ElixirScope.Capture.NativeRuntime, functions, load, NULL, NULL, NULL)
