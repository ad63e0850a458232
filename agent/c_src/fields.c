#include "fields.h"

#include <string.h>

#define KNOWN 1024u /* a power of two */

static struct fields known[KNOWN];
static unsigned count;

void fields_forget(void) {
  memset(known, 0, sizeof known);
  count = 0;
}

static struct fields *look(ERL_NIF_TERM module) {
  unsigned at = module * 0x9E3779B97F4A7C15ull >> 40 & (KNOWN - 1);
  while (known[at].module && known[at].module != module) at = (at + 1) & (KNOWN - 1);
  return &known[at];
}

int fields_add(ErlNifEnv *env, ERL_NIF_TERM module, ERL_NIF_TERM keys) {
  struct fields *fields = look(module);
  ERL_NIF_TERM key;
  if (!fields->module && count == KNOWN / 2) return 0;
  count += !fields->module;
  fields->module = module;
  fields->count = 0;
  while (enif_get_list_cell(env, keys, &key, &keys)) {
    if (fields->count == FIELDS_FIRST || !enif_is_atom(env, key)) return 0;
    fields->keys[fields->count++] = key;
  }
  return 1;
}

const struct fields *fields_first(ERL_NIF_TERM module) {
  const struct fields *fields = look(module);
  return fields->module ? fields : NULL;
}

unsigned fields_of(ErlNifEnv *env, ERL_NIF_TERM map, const struct fields *fields) {
  ERL_NIF_TERM value;
  unsigned of = 0;
  for (unsigned i = 0; i < fields->count; i++) of += (unsigned)enif_get_map_value(env, map, fields->keys[i], &value);
  return of;
}
