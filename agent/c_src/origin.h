/* Which processes and names there are, as far as the VM's tracer must know while an event happens. */
#ifndef ELIXIRSCOPE_ORIGIN_H
#define ELIXIRSCOPE_ORIGIN_H

#include <erl_nif.h>

void origin_setup(ErlNifEnv *env);
void origin_forget(void);
/* This process only serves the program (the agent, the code server), as long as the VM lives. */
void origin_serves(ERL_NIF_TERM pid);
/* Whether it does, or is one of Elixir's compiler. */
int origin_plumbing(ERL_NIF_TERM pid);
/* Learns from {M, F, Args} of a spawn: 1 when the new process is one of Elixir's compiler or the agent's. */
int origin_born(ErlNifEnv *env, ERL_NIF_TERM pid, ERL_NIF_TERM mfa);
/* That as the value of a SPAWN or SPAWNED event, made in `own`: as ElixirScope.Capture.Origin.of has it, which is to make
 * it when this returns 0. */
ERL_NIF_TERM origin_value(ErlNifEnv *env, ErlNifEnv *own, ERL_NIF_TERM mfa);
/* Who has a registered name; 0 when that is not known. */
void origin_name(ERL_NIF_TERM name, ERL_NIF_TERM pid);
ERL_NIF_TERM origin_named(ERL_NIF_TERM name);

#endif
