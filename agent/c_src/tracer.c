#include "tracer.h"

#include "encode.h"
#include "layout.h"
#include "origin.h"
#include "pairing.h"
#include "writer.h"

#define LEAST_ORIGIN 512

long budget_message, budget_exit, budget_supervisor;

static ERL_NIF_TERM tag_send, tag_nobody, tag_receive, tag_spawn, tag_spawned, tag_exit, tag_call, tag_status,
    tag_in, tag_out, tag_register, tag_unregister, tag_return;
static ERL_NIF_TERM atom_reply, atom_noreply, atom_stop;
static ERL_NIF_TERM linking[4];
static ERL_NIF_TERM key_extra, key_matched, atom_numbered, atom_trace, atom_discard, atom_trace_ts, atom_ok;
static _Atomic uint64_t collector; /* the process that makes events of what is not common; 0: none */

void tracer_setup(ErlNifEnv *env) {
  tag_send = enif_make_atom(env, "send");
  tag_nobody = enif_make_atom(env, "send_to_non_existing_process");
  tag_receive = enif_make_atom(env, "receive");
  tag_spawn = enif_make_atom(env, "spawn");
  tag_spawned = enif_make_atom(env, "spawned");
  tag_exit = enif_make_atom(env, "exit");
  linking[0] = enif_make_atom(env, "link");
  linking[1] = enif_make_atom(env, "unlink");
  linking[2] = enif_make_atom(env, "getting_linked");
  linking[3] = enif_make_atom(env, "getting_unlinked");
  tag_register = enif_make_atom(env, "register");
  tag_unregister = enif_make_atom(env, "unregister");
  tag_in = enif_make_atom(env, "in");
  tag_out = enif_make_atom(env, "out");
  tag_call = enif_make_atom(env, "call");
  tag_return = enif_make_atom(env, "return_from");
  tag_status = enif_make_atom(env, "trace_status");
  key_extra = enif_make_atom(env, "extra");
  key_matched = enif_make_atom(env, "match_spec_result");
  atom_trace = enif_make_atom(env, "trace");
  atom_numbered = enif_make_atom(env, "$elixirscope_numbered");
  atom_discard = enif_make_atom(env, "discard");
  atom_trace_ts = enif_make_atom(env, "trace_ts");
  atom_ok = enif_make_atom(env, "ok");
  atom_reply = enif_make_atom(env, "reply");
  atom_noreply = enif_make_atom(env, "noreply");
  atom_stop = enif_make_atom(env, "stop");
}

/* enabled(tag, state, tracee) */
ERL_NIF_TERM tracer_enabled(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
  (void)env, (void)argc;
  if (argv[0] == tag_status) return atom_trace;
  return writer_on() && !origin_plumbing(argv[2]) ? atom_trace : atom_discard;
}

/* What is not common takes the way of the portable engine, as the trace message it would have been. It is made in a
 * place of its own: the heap of the traced process is the program's, and so is the time of its next collection. */
static void tell(ErlNifEnv *env, const ERL_NIF_TERM argv[], ERL_NIF_TERM extra, int numbered) {
  ErlNifPid to = {.pid = atomic_load_explicit(&collector, memory_order_acquire)};
  ErlNifEnv *own = enif_alloc_env();
  ERL_NIF_TERM ts = enif_make_int64(own, writer_tick()), term = enif_make_copy(own, argv[3]);
  /* A message both of whose ends are told or written here: the collector would number it by what is left of it. */
  if (numbered && !fits(env, argv[3], budget_message))
    term = enif_make_tuple3(own, atom_numbered, enif_make_int64(own, pairing_part(env, argv[3])), term);
  ERL_NIF_TERM message =
      extra ? enif_make_tuple6(own, atom_trace_ts, argv[2], argv[0], term, enif_make_copy(own, extra), ts)
            : enif_make_tuple5(own, atom_trace_ts, argv[2], argv[0], term, ts);
  /* Copied once more: handing over the environment would count as a step of the program's seq_trace. */
  if (!to.pid || !enif_send(env, &to, NULL, message)) writer_lose(argv[2]);
  enif_free_env(own);
}

static void sent(ErlNifEnv *env, const ERL_NIF_TERM argv[], ERL_NIF_TERM to) {
  struct what what = {.kind = SEND, .flags = argv[0] == tag_nobody ? NO_RECEIVER : 0, .pid = argv[2]};
  if (layout_type(env, to) == ERL_NIF_TERM_TYPE_ATOM) {
    ERL_NIF_TERM pid = origin_named(to);
    if (!pid || what.flags) return tell(env, argv, to, 1);
    to = pid;
  }
  if (layout_local_pid(to)) {
    if (origin_plumbing(to)) return;
    what.peer = to;
  } else if (!enif_is_ref(env, to)) { /* a port, or something at another node */
    return tell(env, argv, to, 0);
  }
  if (write_event(env, &what, &argv[3], budget_message, NULL) == LEAVE_TO_ELIXIR) tell(env, argv, to, 1);
}

static void received(ErlNifEnv *env, const ERL_NIF_TERM argv[], ERL_NIF_TERM from) {
  struct what what = {.kind = RECEIVE, .pid = argv[2]};
  if (layout_local_pid(from)) {
    if (origin_plumbing(from)) return;
    what.peer = from;
  } else if (enif_is_pid(env, from)) {
    return tell(env, argv, from, 0);
  }
  if (write_event(env, &what, &argv[3], budget_message, NULL) == LEAVE_TO_ELIXIR) tell(env, argv, from, 1);
}

static void linked(ErlNifEnv *env, const ERL_NIF_TERM argv[], uint8_t kind) {
  struct what what = {.kind = kind, .pid = argv[2], .peer = argv[3]};
  /* A port at the other end has no life of its own in the film. */
  if (!enif_is_pid(env, argv[3]) || origin_plumbing(argv[3])) return;
  if (!layout_local_pid(argv[3])) return tell(env, argv, 0, 0);
  write_event(env, &what, NULL, 0, NULL);
}

static void plain(ErlNifEnv *env, const ERL_NIF_TERM argv[], uint8_t kind, int valued, long budget) {
  struct what what = {.kind = kind, .pid = argv[2]};
  if (write_event(env, &what, valued ? &argv[3] : NULL, budget, NULL) == LEAVE_TO_ELIXIR) tell(env, argv, 0, 0);
}

static void born(ErlNifEnv *env, const ERL_NIF_TERM argv[], ERL_NIF_TERM mfa) {
  struct what what = {.kind = argv[0] == tag_spawn ? SPAWN : SPAWNED, .pid = argv[2], .peer = argv[3]};
  ErlNifEnv *own = enif_alloc_env();
  ERL_NIF_TERM value = mfa && layout_local_pid(argv[3]) ? origin_value(env, own, mfa) : 0;
  long budget = budget_message > LEAST_ORIGIN ? budget_message : LEAST_ORIGIN;
  enum outcome outcome = value ? write_event(own, &what, &value, budget, NULL) : LEAVE_TO_ELIXIR;
  enif_free_env(own);
  if (outcome == LEAVE_TO_ELIXIR) tell(env, argv, mfa, 0);
}

/* The state in what a callback of a supervisor returns, as ElixirScope.Capture.States finds it; 0: none. */
static ERL_NIF_TERM state_in(ERL_NIF_TERM result) {
  const ERL_NIF_TERM *parts;
  int arity;
  if (!layout_tuple(result, &arity, &parts)) return 0;
  if ((parts[0] == atom_ok || parts[0] == atom_noreply) && (arity == 2 || arity == 3)) return parts[1];
  if (parts[0] == atom_reply && (arity == 3 || arity == 4)) return parts[2];
  return parts[0] == atom_stop && (arity == 3 || arity == 4) ? parts[arity - 1] : 0;
}

static void returned(ErlNifEnv *env, const ERL_NIF_TERM argv[], ERL_NIF_TERM result) {
  struct what what = {.kind = STATE, .aux = 1, .pid = argv[2]};
  ERL_NIF_TERM state = state_in(result);
  if (state && write_event(env, &what, &state, budget_supervisor, NULL) == LEAVE_TO_ELIXIR) tell(env, argv, result, 0);
}

/* trace(tag, state, tracee, term, options) */
ERL_NIF_TERM tracer_trace(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
  (void)argc;
  ERL_NIF_TERM tag = argv[0], extra = 0, from = 0;
  if (!writer_on() || tag == tag_call || !layout_local_pid(argv[2])) return atom_ok;
  if (tag == tag_receive) {
    if (enif_get_map_value(env, argv[4], key_matched, &from)) received(env, argv, from);
    return atom_ok;
  }
  enif_get_map_value(env, argv[4], key_extra, &extra);
  if (tag == tag_send || tag == tag_nobody) {
    sent(env, argv, extra);
  } else if (tag == tag_in || tag == tag_out) {
    plain(env, argv, tag == tag_in ? SCHEDULED_IN : SCHEDULED_OUT, 0, 0);
  } else if (tag == tag_spawn || tag == tag_spawned) {
    if (!origin_born(env, tag == tag_spawn ? argv[3] : argv[2], extra)) born(env, argv, extra);
  } else if (tag == tag_exit) {
    plain(env, argv, EXIT, 1, budget_exit);
  } else if (tag == tag_register || tag == tag_unregister) {
    if (tag == tag_register) origin_name(argv[3], argv[2]);
    plain(env, argv, tag == tag_register ? REGISTER : UNREGISTER, 1, budget_message);
  } else if (tag == tag_return) {
    returned(env, argv, extra);
  } else {
    for (uint8_t i = 0; i < 4; i++)
      if (tag == linking[i]) linked(env, argv, LINK + i);
  }
  return atom_ok;
}

/* tracer_collector(pid): who makes events of what is not common. */
ERL_NIF_TERM tracer_collector(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
  (void)argc;
  if (!layout_local_pid(argv[0])) return enif_make_badarg(env);
  atomic_store_explicit(&collector, argv[0], memory_order_release);
  return atom_ok;
}

ERL_NIF_TERM tracer_serving(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
  (void)argc;
  if (!layout_local_pid(argv[0])) return enif_make_badarg(env);
  origin_serves(argv[0]);
  return atom_ok;
}

ERL_NIF_TERM tracer_named(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
  (void)argc;
  if (!enif_is_atom(env, argv[0]) || !layout_local_pid(argv[1])) return enif_make_badarg(env);
  origin_name(argv[0], argv[1]);
  return atom_ok;
}
