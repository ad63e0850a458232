/* What stands for a function: its module, name and arity, which C is not told. Elixir tells once for each. */
#ifndef ELIXIRSCOPE_FUNCTIONS_H
#define ELIXIRSCOPE_FUNCTIONS_H

#include <erl_nif.h>
#include <stdint.h>

/* Forgets them all, while nothing is recorded. */
void functions_forget(void);
/* Remembers `length` bytes for this function and all that differ only in what they have bound. 0 when there is no
 * room. From any thread. */
int functions_learn(ERL_NIF_TERM function, const uint8_t *bytes, unsigned long length);
/* NULL when it was not told. */
const uint8_t *functions_find(ERL_NIF_TERM function, unsigned long *length);

#endif
