/* Terms that do not fit their budget, cut exactly as ElixirScope.Capture.Value cuts them: see there for why it is so. */
#include <string.h>

#include "encode.h"
#include "fields.h"
#include "functions.h"
#include "layout.h"

#define ITEM 24
#define SHOWN 24 /* characters of a list that was cut, each of which takes seven of the budget: from so many on they tell */
#define NEVER (-1000000000000L) /* fits, whatever the budget */

/* What a container has left for its items, and how many of them did not fit what they were looked at with. */
struct purse {
  long left;
  unsigned failed;
};

static long larger(long a, long b) { return a > b ? a : b; }

static long integer_bytes(struct encoder *e, ERL_NIF_TERM term) {
  ErlNifSInt64 value;
  if (!layout_get_int(e->env, term, &value)) {
    long bytes = (long)layout_integer(term);
    if (!bytes) e->deep = 1;
    return bytes;
  }
  return value < SMALL_LIMIT && value > -SMALL_LIMIT ? 5 : 12;
}

static long measure_all(struct encoder *e, ERL_NIF_TERM map, long left, int depth) {
  ErlNifMapIterator iterator;
  ERL_NIF_TERM key, value;
  if (!enif_map_iterator_create(e->env, map, &iterator, ERL_NIF_MAP_ITERATOR_FIRST)) return NEVER;
  while (left >= 0 && enif_map_iterator_get_pair(e->env, &iterator, &key, &value)) {
    left = measure(e, value, measure(e, key, left, depth), depth);
    enif_map_iterator_next(e->env, &iterator);
  }
  enif_map_iterator_destroy(e->env, &iterator);
  return left;
}

long measure(struct encoder *e, ERL_NIF_TERM term, long left, int depth) {
  ERL_NIF_TERM head;
  const ERL_NIF_TERM *elements;
  struct bits bits;
  size_t size;
  int arity;
  if (left < 0) return left;
  if (depth > DEEPEST) {
    e->deep = 1;
    return NEVER;
  }
  switch (layout_type(e->env, term)) {
  case ERL_NIF_TERM_TYPE_ATOM:
    return left - 12;
  case ERL_NIF_TERM_TYPE_INTEGER:
    return left - integer_bytes(e, term);
  case ERL_NIF_TERM_TYPE_FLOAT:
    return left - 9;
  case ERL_NIF_TERM_TYPE_BITSTRING:
    return layout_bits(term, &bits) ? left - 5 - (long)bits.bytes - !!bits.rest : NEVER;
  case ERL_NIF_TERM_TYPE_PID:
  case ERL_NIF_TERM_TYPE_PORT:
  case ERL_NIF_TERM_TYPE_REFERENCE:
    return left - 27;
  case ERL_NIF_TERM_TYPE_LIST:
    while (left >= 0 && enif_get_list_cell(e->env, term, &head, &term)) left = measure(e, head, left - 2, depth + 1);
    if (left < 0) return left;
    return enif_is_empty_list(e->env, term) ? left - 1 : measure(e, term, left, depth + 1);
  case ERL_NIF_TERM_TYPE_TUPLE:
    if (!layout_tuple(term, &arity, &elements) || arity > left) return NEVER;
    left -= arity ? 5 : 2;
    for (int i = 0; i < arity && left >= 0; i++) left = measure(e, elements[i], left, depth + 1);
    return left;
  case ERL_NIF_TERM_TYPE_MAP:
    if (!enif_get_map_size(e->env, term, &size) || (long)size * 4 > left) return NEVER;
    return measure_all(e, term, left - 5, depth + 1);
  default: /* a function */
    return NEVER;
  }
}

int fits(ErlNifEnv *env, ERL_NIF_TERM term, long budget) {
  struct encoder e = {.env = env};
  return measure(&e, term, budget, 0) >= 0;
}

/* --- markers --------------------------------------------------------------------------------------------------- */

static enum outcome text(struct encoder *e, const char *bytes) {
  return raw(e, (const uint8_t *)bytes, strlen(bytes));
}

/* The beginning of {'$elixirscope', what, …}; both names as they are written. */
static enum outcome marker(struct encoder *e, char arity, const char *what) {
  char head[] = {'h', arity, 0};
  enum outcome outcome = text(e, head);
  if (outcome == DONE) outcome = text(e, "w\014$elixirscope");
  return outcome == DONE ? text(e, what) : outcome;
}

/* Its end: how many there are. */
static enum outcome counted(struct encoder *e, enum outcome outcome, long size) {
  e->cut = 1;
  if (outcome != DONE) return outcome;
  return size < 0 ? text(e, "w\007unknown") : put_number(e, size);
}

static enum outcome too_deep(struct encoder *e, const char *type, long size) {
  enum outcome outcome = marker(e, 4, "w\004deep");
  return counted(e, outcome == DONE ? text(e, type) : outcome, size);
}

/* The cells of a list, as far as it is worth to count them; -1 when there are more. */
static long cells(struct encoder *e, ERL_NIF_TERM list, long budget) {
  ERL_NIF_TERM head;
  long limit = 8 * larger(budget, ITEM);
  for (long n = 0;; n++) {
    if (n == limit) return -1;
    if (!enif_get_list_cell(e->env, list, &head, &list)) return n;
  }
}

static enum outcome container_too_deep(struct encoder *e, ERL_NIF_TERM term, long budget) {
  const ERL_NIF_TERM *elements;
  ERL_NIF_TERM module;
  size_t size;
  int arity;
  if (layout_tuple(term, &arity, &elements)) return too_deep(e, "w\005tuple", arity);
  if (!enif_get_map_size(e->env, term, &size)) return too_deep(e, "w\004list", cells(e, term, budget));
  int is_struct = enif_get_map_value(e->env, term, atom_struct, &module) && enif_is_atom(e->env, module);
  return too_deep(e, is_struct ? "w\006struct" : "w\003map", (long)size);
}

/* --- cutting --------------------------------------------------------------------------------------------------- */

static enum outcome cut_bits(struct encoder *e, ERL_NIF_TERM term, long budget, enum verdict *verdict) {
  struct bits bits;
  if (!layout_bits(term, &bits)) return LEAVE_TO_ELIXIR;
  long count = (long)bits.bytes + !!bits.rest;
  if (5 + count <= larger(budget, ITEM)) return verdict ? put_name(e, term, verdict, 0, 0) : put(e, term, 0);
  if (bits.rest) return too_deep(e, "w\011bitstring", count);
  enum outcome outcome = marker(e, 4, "w\006binary");
  long shown = larger(budget - 16, 0);
  if (outcome == DONE) outcome = put_bytes(e, &bits, (unsigned long)shown, verdict);
  if (verdict && shown < count && shown < NAME_BYTES) *verdict = SECRET; /* as far as anybody can tell */
  return counted(e, outcome, count);
}

/* Of what did not fit, as it was written: whether it is a list of characters, or the beginning of one, that names a secret. */
static enum verdict cut_characters(const uint8_t *at, const uint8_t *end) {
  static const uint8_t more[] = "h\003w\014$elixirscopew\004more";
  uint8_t name[NAME_BYTES];
  unsigned long n = 0;
  if (*at == 107) return secrets_characters(at + 3, (unsigned long)(end - at) - 3); /* all of it was kept after all */
  if (*at != 108) return PLAIN;
  for (at += 5; end - at > 2 && *at == 97; at += 2)
    if (n < NAME_BYTES) name[n++] = at[1];
  if (!n || (size_t)(end - at) < sizeof more || memcmp(at, more, sizeof more - 1)) return PLAIN;
  enum verdict verdict = secrets_name(name, n);
  return verdict == UNKNOWN ? PLAIN : n < SHOWN ? SECRET : verdict;
}

/* One of `parts` items: whole when that leaves the others something, else its share. `verdict` as in `put_name`. */
static enum outcome share(struct encoder *e, ERL_NIF_TERM term, struct purse *purse, long left, long parts,
                          enum verdict *verdict, int key, int depth) {
  long allowed = larger(left / larger(parts, 2), 0);
  long looked = larger(larger(left - ITEM * (parts - 1), 0) >> (purse->failed < 62 ? purse->failed : 62), allowed);
  long unused = measure(e, term, looked, depth);
  if (e->deep) return LEAVE_TO_ELIXIR;
  if (unused >= 0) {
    purse->left = left - looked + unused;
    return verdict ? put_name(e, term, verdict, depth, key) : put(e, term, depth);
  }
  if (parts == 1) allowed = left * 3 / 4;
  purse->left = left - larger(allowed, ITEM);
  purse->failed++;
  if (!verdict) return cut(e, term, allowed, depth);
  int redacting = e->redacting;
  *verdict = PLAIN;
  if (redacting && layout_type(e->env, term) == ERL_NIF_TERM_TYPE_BITSTRING)
    return cut_bits(e, term, allowed, verdict);
  uint8_t *start = e->out;
  if (key) e->redacting = 0;
  enum outcome outcome = cut(e, term, allowed, depth);
  e->redacting = redacting;
  if (redacting && outcome == DONE) *verdict = cut_characters(start, e->out);
  return outcome;
}

/* The value that belongs to a name: a secret takes its share as anything else, and is then replaced. */
static enum outcome share_named(struct encoder *e, ERL_NIF_TERM term, struct purse *purse, long left, long parts,
                                enum verdict verdict, int depth) {
  uint8_t *start = e->out;
  if (verdict == UNKNOWN) return LEAVE_TO_ELIXIR;
  enum outcome outcome = share(e, term, purse, left, parts, NULL, 0, depth);
  if (verdict == PLAIN) return outcome;
  /* Whoever reads the ring reads what is beyond its end, too. A list of bytes was twice as long before it was one. */
  unsigned long written = 2 * (unsigned long)(e->out - start) + KEPT_BYTES;
  memset(start, 0, room(e, written) ? written : (unsigned long)(e->end - start));
  e->out = start;
  return outcome == DONE ? put_redacted(e) : outcome;
}

static enum outcome cut_list(struct encoder *e, ERL_NIF_TERM list, long budget, int depth) {
  struct purse purse = {budget, 0};
  ERL_NIF_TERM head;
  enum outcome outcome = DONE;
  uint8_t *start = e->out;
  uint32_t count = 0, bytes = 0;
  if (!room(e, 5)) return NO_ROOM;
  e->out += 5;
  for (; purse.left >= ITEM && enif_get_list_cell(e->env, list, &head, &list); count++) {
    uint8_t *item = e->out;
    outcome = share(e, head, &purse, purse.left - 2, 2, NULL, 0, depth + 1);
    if (outcome != DONE) return outcome;
    bytes += *item == 97;
  }
  if (enif_is_empty_list(e->env, list)) return end_list(e, start, count, bytes, 0);
  if (enif_is_list(e->env, list)) {
    outcome = counted(e, marker(e, 3, "w\004more"), cells(e, list, budget));
    return outcome == DONE ? end_list(e, start, count + 1, 0, 0) : outcome;
  }
  end_list(e, start, count, bytes, 1);
  return cut(e, list, larger(purse.left, 0), depth + 1);
}

static enum outcome cut_tuple(struct encoder *e, ERL_NIF_TERM tuple, long budget, int depth) {
  const ERL_NIF_TERM *elements;
  enum verdict verdict = PLAIN;
  enum outcome outcome = DONE;
  uint32_t bytes = 0;
  int arity;
  if (!layout_tuple(tuple, &arity, &elements)) return LEAVE_TO_ELIXIR;
  struct purse purse = {budget, 0};
  int kept = arity < larger(budget / ITEM, 1) ? arity : (int)larger(budget / ITEM, 1), whole = kept == arity;
  if (whole && e->redacting && stack_entry(e, elements, arity)) return LEAVE_TO_ELIXIR;
  if (!whole) outcome = marker(e, 4, "w\005tuple");
  uint8_t *start = e->out;
  if (outcome != DONE || !room(e, 5)) return NO_ROOM;
  if (whole && arity < 256) {
    *e->out++ = 104;
    *e->out++ = (uint8_t)arity;
  } else { /* LARGE_TUPLE_EXT, or the list of those that are kept */
    *e->out = 105;
    big_endian(e->out + 1, (uint32_t)arity, 4);
    e->out += 5;
  }
  for (int i = 0; i < kept && outcome == DONE; i++) {
    uint8_t *item = e->out;
    int pair = whole && arity == 2 && e->redacting;
    if (pair && i == 0) outcome = share(e, elements[i], &purse, purse.left, 2, &verdict, 0, depth + 1);
    else outcome = share_named(e, elements[i], &purse, purse.left, kept - i, verdict, depth + 1);
    if (outcome == DONE) bytes += *item == 97;
  }
  if (outcome != DONE || whole) return outcome;
  return counted(e, end_list(e, start, (uint32_t)kept, bytes, 0), arity);
}

static enum outcome put_pair(struct encoder *e, ERL_NIF_TERM key, ERL_NIF_TERM value, int depth) {
  enum verdict verdict;
  enum outcome outcome = put_name(e, key, &verdict, depth, 1);
  if (outcome != DONE || verdict == PLAIN) return outcome == DONE ? put(e, value, depth) : outcome;
  return verdict == SECRET ? put_redacted(e) : LEAVE_TO_ELIXIR;
}

/* A map that is being cut: of `size` pairs without the name of a struct, some are kept; the keys of some were cut. */
struct cutting {
  struct purse purse;
  size_t size, kept;
  unsigned altered;
  int depth;
};

static enum outcome cut_pair(struct encoder *e, struct cutting *c, ERL_NIF_TERM key, ERL_NIF_TERM value, size_t parts) {
  enum verdict verdict;
  unsigned failed = c->purse.failed;
  enum outcome outcome = share(e, key, &c->purse, c->purse.left, 2, &verdict, 1, c->depth);
  c->altered += c->purse.failed - failed;
  c->kept++;
  if (outcome != DONE) return outcome;
  return share_named(e, value, &c->purse, larger(c->purse.left, 0), (long)(parts < 8 ? parts : 8), verdict, c->depth);
}

/* The fields that matter most share the budget as if they were all. */
static enum outcome cut_first(struct encoder *e, struct cutting *c, ERL_NIF_TERM map, const struct fields *first) {
  enum outcome outcome = DONE;
  ERL_NIF_TERM value;
  size_t parts = fields_of(e->env, map, first);
  for (unsigned i = 0; i < first->count && outcome == DONE && c->purse.left >= ITEM; i++)
    if (enif_get_map_value(e->env, map, first->keys[i], &value)) outcome = cut_pair(e, c, first->keys[i], value, parts--);
  return outcome;
}

/* Nothing, or a container of nothing. */
static int is_empty(struct encoder *e, ERL_NIF_TERM term) {
  struct bits bits;
  size_t size;
  switch (layout_type(e->env, term)) {
  case ERL_NIF_TERM_TYPE_ATOM:
    return enif_is_identical(term, atom_nil);
  case ERL_NIF_TERM_TYPE_LIST:
    return enif_is_empty_list(e->env, term);
  case ERL_NIF_TERM_TYPE_BITSTRING:
    return layout_bits(term, &bits) && !bits.bytes && !bits.rest;
  case ERL_NIF_TERM_TYPE_MAP:
    return enif_get_map_size(e->env, term, &size) && !size;
  default:
    return 0;
  }
}

/* The pairs of a map as far as they go; when some were `first`, only the others, and those that are `empty` or not. */
static enum outcome cut_pairs(struct encoder *e, struct cutting *c, ERL_NIF_TERM map, int is_struct,
                              const struct fields *first, int empty) {
  ErlNifMapIterator iterator;
  ERL_NIF_TERM key, value;
  enum outcome outcome = DONE;
  if (!enif_map_iterator_create(e->env, map, &iterator, ERL_NIF_MAP_ITERATOR_FIRST)) return LEAVE_TO_ELIXIR;
  for (; outcome == DONE && c->purse.left >= ITEM && enif_map_iterator_get_pair(e->env, &iterator, &key, &value);
       enif_map_iterator_next(e->env, &iterator)) {
    if (is_struct && enif_is_identical(key, atom_struct)) continue;
    if (!first || (!fields_has(first, key) && is_empty(e, value) == empty))
      outcome = cut_pair(e, c, key, value, c->size - c->kept);
  }
  enif_map_iterator_destroy(e->env, &iterator);
  return outcome;
}

/* The name of a struct always: without it the rest means little. */
static enum outcome cut_map(struct encoder *e, ERL_NIF_TERM map, long budget, int depth) {
  struct cutting c = {.purse = {budget, 0}, .depth = depth + 1};
  const struct fields *first = NULL;
  enum outcome outcome = DONE;
  ERL_NIF_TERM module;
  uint8_t *start = e->out;
  int is_struct;
  if (may_hide(e, map, &is_struct)) return LEAVE_TO_ELIXIR;
  if (!room(e, 5)) return NO_ROOM;
  e->out += 5;
  if (!enif_get_map_size(e->env, map, &c.size)) return LEAVE_TO_ELIXIR;
  if (is_struct && enif_get_map_value(e->env, map, atom_struct, &module)) {
    if (c.size <= FIELDS_OF_STRUCT) first = fields_first(module);
    if (first && !fields_of(e->env, map, first)) first = NULL;
    c.size--, c.purse.left -= 12;
    outcome = put_pair(e, atom_struct, module, c.depth);
  }
  if (outcome == DONE && first) outcome = cut_first(e, &c, map, first);
  if (outcome == DONE) outcome = cut_pairs(e, &c, map, is_struct, first, 0);
  if (outcome == DONE && first) outcome = cut_pairs(e, &c, map, is_struct, first, 1);
  if (outcome == DONE && c.altered > 1) outcome = LEAVE_TO_ELIXIR; /* keys may have become equal */
  if (outcome == DONE && c.kept < c.size) {
    e->cut = 1;
    outcome = put_pair(e, enif_make_atom(e->env, "$elixirscope_more"), enif_make_uint64(e->env, c.size - c.kept), c.depth);
  }
  start[0] = 116;
  big_endian(start + 1, c.kept + !!is_struct + (c.kept < c.size), 4);
  return outcome;
}

static enum outcome put_function(struct encoder *e, ERL_NIF_TERM function) {
  unsigned long length;
  const uint8_t *bytes = functions_find(function, &length);
  if (bytes) return raw(e, bytes, length);
  e->unknown = function;
  return LEAVE_TO_ELIXIR;
}

enum outcome cut(struct encoder *e, ERL_NIF_TERM term, long budget, int depth) {
  if (depth > DEEPEST) return LEAVE_TO_ELIXIR;
  ErlNifTermType type = layout_type(e->env, term);
  switch (type) {
  case ERL_NIF_TERM_TYPE_BITSTRING:
    return cut_bits(e, term, budget, NULL);
  case ERL_NIF_TERM_TYPE_FUN:
    return put_function(e, term);
  case ERL_NIF_TERM_TYPE_INTEGER:
    if (integer_bytes(e, term) <= larger(budget, ITEM)) return put(e, term, depth);
    return too_deep(e, "w\007integer", integer_bytes(e, term));
  case ERL_NIF_TERM_TYPE_LIST:
  case ERL_NIF_TERM_TYPE_TUPLE:
  case ERL_NIF_TERM_TYPE_MAP:
    if (budget < ITEM) return measure(e, term, budget, depth) >= 0 ? put(e, term, depth) : container_too_deep(e, term, budget);
    if (type == ERL_NIF_TERM_TYPE_TUPLE) return cut_tuple(e, term, budget, depth);
    if (type == ERL_NIF_TERM_TYPE_MAP) return cut_map(e, term, budget, depth);
    return enif_is_empty_list(e->env, term) ? put(e, term, depth) : cut_list(e, term, budget, depth);
  default:
    return put(e, term, depth);
  }
}
