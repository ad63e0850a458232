/* Which fields of a struct are kept first when it does not fit its budget: the plan says so. */
#ifndef ELIXIRSCOPE_FIELDS_H
#define ELIXIRSCOPE_FIELDS_H

#include <erl_nif.h>

#define FIELDS_FIRST 16       /* so many of a struct */
#define FIELDS_OF_STRUCT 128u /* a struct of more is cut as any map is */

struct fields {
  ERL_NIF_TERM module; /* 0: none */
  unsigned count;
  ERL_NIF_TERM keys[FIELDS_FIRST];
};

/* Forgets them all, while nothing is recorded. */
void fields_forget(void);
/* The fields of structs of this module, a list of atoms, while nothing is recorded. 0 when there is no room. */
int fields_add(ErlNifEnv *env, ERL_NIF_TERM module, ERL_NIF_TERM keys);
/* NULL when nothing was said about it. */
const struct fields *fields_first(ERL_NIF_TERM module);
/* How many of them a map has. */
unsigned fields_of(ErlNifEnv *env, ERL_NIF_TERM map, const struct fields *fields);

static inline int fields_has(const struct fields *fields, ERL_NIF_TERM key) {
  for (unsigned i = 0; i < fields->count; i++)
    if (fields->keys[i] == key) return 1;
  return 0;
}

#endif
