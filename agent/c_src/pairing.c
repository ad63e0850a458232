#include "pairing.h"

#include "layout.h"

#define TERMS 64 /* are looked at */
#define BYTES 64 /* of each binary */
#define RANGE 0x7FFFFFF /* of phash2/1 */

struct walk {
  ErlNifEnv *env;
  uint64_t hash;
  int left;
};

static void mix(struct walk *w, uint64_t value) {
  w->hash = (w->hash ^ value) * 0x9E3779B97F4A7C15ull;
  w->hash ^= w->hash >> 29;
}

static void walk(struct walk *w, ERL_NIF_TERM term) {
  ERL_NIF_TERM head, value;
  const ERL_NIF_TERM *elements;
  ErlNifMapIterator iterator;
  ErlNifSInt64 number;
  uint8_t first[BYTES];
  struct bits bits;
  size_t size;
  int arity;
  if (w->left-- <= 0) return;
  switch (layout_type(w->env, term)) {
  case ERL_NIF_TERM_TYPE_INTEGER:
    mix(w, layout_get_int(w->env, term, &number) ? (uint64_t)number : layout_integer(term));
    break;
  case ERL_NIF_TERM_TYPE_BITSTRING:
    if (!layout_bits(term, &bits)) break;
    mix(w, bits.bytes * 8 + bits.rest);
    if (bits.bytes > BYTES) bits.bytes = BYTES;
    layout_copy(first, &bits, bits.bytes);
    for (unsigned long i = 0; i < bits.bytes; i++) mix(w, first[i]);
    break;
  case ERL_NIF_TERM_TYPE_LIST:
    while (w->left > 0 && enif_get_list_cell(w->env, term, &head, &term)) walk(w, head);
    if (!enif_is_list(w->env, term)) walk(w, term);
    break;
  case ERL_NIF_TERM_TYPE_TUPLE:
    if (!layout_tuple(term, &arity, &elements)) break;
    mix(w, (uint64_t)arity);
    for (int i = 0; i < arity && w->left > 0; i++) walk(w, elements[i]);
    break;
  case ERL_NIF_TERM_TYPE_MAP:
    if (!enif_get_map_size(w->env, term, &size)) break;
    mix(w, size);
    if (!enif_map_iterator_create(w->env, term, &iterator, ERL_NIF_MAP_ITERATOR_FIRST)) break;
    while (w->left > 0 && enif_map_iterator_get_pair(w->env, &iterator, &head, &value)) {
      walk(w, head);
      walk(w, value);
      enif_map_iterator_next(w->env, &iterator);
    }
    enif_map_iterator_destroy(w->env, &iterator);
    break;
  case ERL_NIF_TERM_TYPE_FUN: /* what it has bound may be as large as anything */
    mix(w, 1);
    break;
  default:
    mix(w, (uint64_t)enif_hash(ERL_NIF_PHASH2, term, 0));
  }
}

int64_t pairing_whole(ERL_NIF_TERM message) { return (int64_t)enif_hash(ERL_NIF_PHASH2, message, 0); }

int64_t pairing_part(ErlNifEnv *env, ERL_NIF_TERM message) {
  struct walk w = {env, 0, TERMS};
  walk(&w, message);
  return (int64_t)(w.hash & RANGE);
}
