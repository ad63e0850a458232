/* How many calls of each function are recorded in a second: see ElixirScope.Capture.CallBudget, which gives out places. */
#ifndef ELIXIRSCOPE_CALLS_H
#define ELIXIRSCOPE_CALLS_H

#include <erl_nif.h>

/* Counts a call of this site; whether it is one of those that are not recorded. */
int calls_spent(unsigned site);
/* One call of this site costs as much as so many. */
void calls_cost(unsigned site, int64_t calls);

ERL_NIF_TERM calls_begin(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]);
ERL_NIF_TERM calls_limit(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]);
ERL_NIF_TERM calls_block(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]);
ERL_NIF_TERM calls_place(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]);
ERL_NIF_TERM calls_charge(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]);
ERL_NIF_TERM calls_turn(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]);

#endif
