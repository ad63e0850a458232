/* The number by which a send and its receive know each other: a hash of the message, which both see. */
#ifndef ELIXIRSCOPE_PAIRING_H
#define ELIXIRSCOPE_PAIRING_H

#include <erl_nif.h>
#include <stdint.h>

/* Of a message that fits its budget, `phash2/1`, as the portable engine and other VMs have it. */
int64_t pairing_whole(ERL_NIF_TERM message);
/* Of one that does not, or holds functions: of its beginning, whatever its size. Means something within this VM only. */
int64_t pairing_part(ErlNifEnv *env, ERL_NIF_TERM message);

#endif
