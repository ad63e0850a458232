/* The VM's tracer: what it tells of a process goes into the rings, from whatever thread the event happens on. */
#ifndef ELIXIRSCOPE_TRACER_H
#define ELIXIRSCOPE_TRACER_H

#include <erl_nif.h>

extern long budget_message, budget_exit, budget_supervisor;

void tracer_setup(ErlNifEnv *env);
/* The callbacks of the behaviour erl_tracer, and what is told to it. */
ERL_NIF_TERM tracer_enabled(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]);
ERL_NIF_TERM tracer_trace(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]);
ERL_NIF_TERM tracer_collector(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]);
ERL_NIF_TERM tracer_serving(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]);
ERL_NIF_TERM tracer_named(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]);

#endif
