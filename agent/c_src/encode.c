#include "encode.h"

#include <limits.h>
#include <string.h>

#include "layout.h"

ERL_NIF_TERM atom_struct, atom_nil;
/* {'$elixirscope', redacted} */
static const uint8_t REDACTED[] = "h\002w\014$elixirscopew\010redacted";

void encode_setup(ErlNifEnv *env) {
  atom_struct = enif_make_atom(env, "__struct__");
  atom_nil = enif_make_atom(env, "nil");
}

void big_endian(uint8_t *to, uint64_t value, int bytes) {
  for (int i = bytes - 1; i >= 0; i--, value >>= 8) to[i] = (uint8_t)value;
}

static int spend(struct encoder *e, long cost) { return (e->left -= cost) >= 0; }

enum outcome raw(struct encoder *e, const uint8_t *bytes, unsigned long length) {
  if (!room(e, length)) return NO_ROOM;
  memcpy(e->out, bytes, length);
  e->out += length;
  return DONE;
}

/* Through the VM: only for what is small by nature. */
static enum outcome by_vm(struct encoder *e, ERL_NIF_TERM term) {
  ErlNifBinary encoded;
  if (!enif_term_to_binary(e->env, term, &encoded)) return LEAVE_TO_ELIXIR;
  enum outcome outcome = raw(e, encoded.data + 1, encoded.size - 1);
  enif_release_binary(&encoded);
  return outcome;
}

/* OTP 25 writes an atom in Latin-1 where it can; ours is always UTF-8 and as short as it can be, or equal terms would
 * not be equal bytes. Of the atom at `start`, which something may follow. */
static enum outcome canonical(struct encoder *e, uint8_t *start, uint8_t **name, unsigned long *length) {
  int wide = start[0] == 100 || start[0] == 118; /* two bytes of length, not one */
  uint8_t *from = start + (wide ? 3 : 2);
  unsigned long bytes = wide ? (unsigned long)start[1] << 8 | start[2] : start[1], more = 0;
  if (start[0] == 100 || start[0] == 115)
    for (unsigned long i = 0; i < bytes; i++) more += from[i] >> 7;
  if (more) {
    if (!room(e, more)) return NO_ROOM;
    uint8_t *to = from + bytes + more;
    memmove(to, from + bytes, (unsigned long)(e->out - from) - bytes);
    for (unsigned long i = bytes; i-- > 0;) {
      if (from[i] >> 7) *--to = 0x80 | (from[i] & 0x3F), *--to = 0xC0 | from[i] >> 6;
      else *--to = from[i];
    }
    bytes += more;
    e->out += more;
  }
  int short_one = bytes < 256;
  if (short_one == wide) { /* the length takes a byte less, or more */
    if (!room(e, 1)) return NO_ROOM;
    uint8_t *to = start + (short_one ? 2 : 3);
    memmove(to, from, (unsigned long)(e->out - from));
    e->out += to - from;
    from = to;
  }
  start[0] = short_one ? 119 : 118;
  big_endian(start + 1, bytes, short_one ? 1 : 2);
  *name = from;
  *length = bytes;
  return DONE;
}

/* Ports, references and pids: a tag, for references a length too, then the name of the node. */
static enum outcome identifier(struct encoder *e, ERL_NIF_TERM term, struct kept *keep) {
  uint8_t *start = e->out, *name;
  unsigned long length;
  enum outcome outcome = by_vm(e, term);
  if (outcome == DONE) outcome = canonical(e, start + (*start == 90 ? 3 : 1), &name, &length);
  if (outcome == DONE && keep && e->out - start <= KEPT_BYTES) {
    keep->term = term;
    keep->length = (uint8_t)(e->out - start);
    keep->verdict = PLAIN;
    memcpy(keep->bytes, start, keep->length);
  }
  return outcome;
}

static struct kept *place(struct kept *table, unsigned size, ERL_NIF_TERM term) {
  return &table[(term * 0x9E3779B97F4A7C15ull >> 40) & (size - 1)];
}

static enum outcome put_atom(struct encoder *e, ERL_NIF_TERM atom, enum verdict *verdict) {
  struct kept *kept = place(e->cache->atoms, ATOMS, atom);
  if (kept->term != atom) {
    uint8_t *start = e->out, *name;
    unsigned long length;
    enum outcome outcome = by_vm(e, atom);
    if (outcome == DONE) outcome = canonical(e, start, &name, &length);
    if (outcome != DONE) return outcome;
    enum verdict found = secrets_name(name, length);
    if (e->out - start <= KEPT_BYTES) {
      kept->term = atom;
      kept->length = (uint8_t)(e->out - start);
      kept->verdict = (uint8_t)found;
      memcpy(kept->bytes, start, kept->length);
    }
    if (verdict) *verdict = found;
    return DONE;
  }
  if (verdict) *verdict = kept->verdict;
  if (!room(e, KEPT_BYTES)) return NO_ROOM;
  memcpy(e->out, kept->bytes, KEPT_BYTES); /* of fixed size: a few moves; what is too much is written over */
  e->out += kept->length;
  return DONE;
}

enum outcome encode_pid(struct encoder *e, ERL_NIF_TERM pid) {
  struct kept *kept = place(e->cache->pids, PIDS, pid);
  return kept->term == pid ? raw(e, kept->bytes, kept->length) : identifier(e, pid, kept);
}

enum outcome put_number(struct encoder *e, ErlNifSInt64 value) {
  if (!room(e, 11)) return NO_ROOM;
  if (value >= 0 && value < 256) {
    *e->out++ = 97;
    *e->out++ = (uint8_t)value;
  } else if (value >= INT32_MIN && value <= INT32_MAX) {
    *e->out = 98;
    big_endian(e->out + 1, (uint32_t)value, 4);
    e->out += 5;
  } else { /* SMALL_BIG_EXT: magnitude, little endian, without leading zeros */
    uint64_t magnitude = value < 0 ? -(uint64_t)value : (uint64_t)value;
    uint8_t *start = e->out;
    e->out += 3;
    for (; magnitude; magnitude >>= 8) *e->out++ = (uint8_t)magnitude;
    start[0] = 110;
    start[1] = (uint8_t)(e->out - start - 3);
    start[2] = value < 0;
  }
  return DONE;
}

static enum outcome put_integer(struct encoder *e, ERL_NIF_TERM term) {
  ErlNifSInt64 value;
  if (!layout_get_int(e->env, term, &value)) return (e->left = measure(e, term, e->left, 0)) < 0 ? OVER : by_vm(e, term);
  return spend(e, value < SMALL_LIMIT && value > -SMALL_LIMIT ? 5 : 12) ? put_number(e, value) : OVER;
}

static enum outcome put_float(struct encoder *e, ERL_NIF_TERM term) {
  double value;
  uint64_t bits;
  if (!spend(e, 9)) return OVER;
  if (!enif_get_double(e->env, term, &value)) return LEAVE_TO_ELIXIR;
  if (!room(e, 9)) return NO_ROOM;
  memcpy(&bits, &value, 8);
  *e->out = 70;
  big_endian(e->out + 1, bits, 8);
  e->out += 9;
  return DONE;
}

enum outcome put_bytes(struct encoder *e, const struct bits *bits, unsigned long count, enum verdict *verdict) {
  if (!room(e, 5 + count)) return NO_ROOM;
  *e->out = 109;
  big_endian(e->out + 1, count, 4);
  layout_copy(e->out + 5, bits, count);
  if (verdict) *verdict = secrets_name(e->out + 5, count);
  e->out += 5 + count;
  return DONE;
}

static enum outcome put_bits(struct encoder *e, ERL_NIF_TERM term, enum verdict *verdict) {
  struct bits bits;
  if (!layout_bits(term, &bits)) return LEAVE_TO_ELIXIR;
  unsigned long count = bits.bytes + !!bits.rest;
  if ((long)count > e->left || !spend(e, 5 + (long)count)) return OVER;
  if (!bits.rest) return put_bytes(e, &bits, count, verdict);
  if (!room(e, 6 + count)) return NO_ROOM;
  *e->out = 77; /* BIT_BINARY_EXT */
  big_endian(e->out + 1, count, 4);
  e->out[5] = (uint8_t)bits.rest;
  layout_copy(e->out + 6, &bits, count);
  e->out += 6 + count;
  return DONE;
}

enum outcome put_name(struct encoder *e, ERL_NIF_TERM term, enum verdict *verdict, int depth, int key) {
  int redacting = e->redacting;
  *verdict = PLAIN;
  if (redacting) {
    switch (layout_type(e->env, term)) {
    case ERL_NIF_TERM_TYPE_ATOM:
      return spend(e, 12) ? put_atom(e, term, verdict) : OVER;
    case ERL_NIF_TERM_TYPE_BITSTRING:
      return put_bits(e, term, verdict);
    default:
      break;
    }
  }
  uint8_t *start = e->out;
  if (key) e->redacting = 0;
  enum outcome outcome = put(e, term, depth);
  e->redacting = redacting;
  /* A list of characters, as Erlang's own libraries name things. */
  if (redacting && outcome == DONE && *start == 107)
    *verdict = secrets_characters(start + 3, (unsigned long)(e->out - start) - 3);
  return outcome;
}

enum outcome put_redacted(struct encoder *e) {
  e->redacted = 1;
  return raw(e, REDACTED, sizeof REDACTED - 1);
}

/* The value that belongs to a name. A secret counts as what it is: whether something is cut must not depend on it. */
static enum outcome put_named(struct encoder *e, ERL_NIF_TERM term, enum verdict verdict, int depth) {
  if (verdict == PLAIN) return put(e, term, depth);
  if (verdict == UNKNOWN) return LEAVE_TO_ELIXIR;
  if ((e->left = measure(e, term, e->left, depth)) < 0) return OVER;
  return put_redacted(e);
}

enum outcome end_list(struct encoder *e, uint8_t *start, uint32_t count, uint32_t bytes, int improper) {
  if (!improper && bytes == count && count && count < 65536) {
    /* The VM writes a list of bytes as a string, and so do we. Each was written as two. */
    start[0] = 107;
    big_endian(start + 1, count, 2);
    for (uint32_t i = 0; i < count; i++) start[3 + i] = start[6 + 2 * i];
    e->out = start + 3 + count;
    return DONE;
  }
  start[0] = 108;
  big_endian(start + 1, count, 4);
  return improper ? DONE : raw(e, (const uint8_t *)"j", 1);
}

static enum outcome put_list(struct encoder *e, ERL_NIF_TERM list, int depth) {
  ERL_NIF_TERM head;
  if (enif_is_empty_list(e->env, list)) return spend(e, 1) ? raw(e, (const uint8_t *)"j", 1) : OVER;
  if (!room(e, 5)) return NO_ROOM;
  uint8_t *start = e->out;
  uint32_t count = 0, bytes = 0;
  e->out += 5;
  for (; enif_get_list_cell(e->env, list, &head, &list); count++) {
    if (!spend(e, 2)) return OVER;
    uint8_t *item = e->out;
    enum outcome outcome = put(e, head, depth + 1);
    if (outcome != DONE) return outcome;
    bytes += *item == 97;
  }
  if (!enif_is_empty_list(e->env, list)) { /* what an improper list ends in */
    end_list(e, start, count, bytes, 1);
    return put(e, list, depth + 1);
  }
  return spend(e, 1) ? end_list(e, start, count, bytes, 0) : OVER;
}

/* An entry of a stack trace with arguments, some of which may be secret by the names of parameters. */
int stack_entry(struct encoder *e, const ERL_NIF_TERM *elements, int arity) {
  return arity == 4 && enif_is_atom(e->env, elements[0]) && enif_is_atom(e->env, elements[1]) &&
         enif_is_list(e->env, elements[2]) && !enif_is_empty_list(e->env, elements[2]) &&
         enif_is_list(e->env, elements[3]);
}

static enum outcome put_tuple(struct encoder *e, ERL_NIF_TERM tuple, int depth) {
  const ERL_NIF_TERM *elements;
  int arity;
  if (!layout_tuple(tuple, &arity, &elements)) return LEAVE_TO_ELIXIR;
  if (arity > e->left || !spend(e, arity ? 5 : 2)) return OVER;
  if (!room(e, 5)) return NO_ROOM;
  if (arity < 256) {
    *e->out++ = 104;
    *e->out++ = (uint8_t)arity;
  } else {
    *e->out = 105;
    big_endian(e->out + 1, (uint32_t)arity, 4);
    e->out += 5;
  }
  int first = 0;
  if (e->redacting) {
    if (stack_entry(e, elements, arity)) return LEAVE_TO_ELIXIR;
    if (arity == 2) {
      enum verdict verdict;
      enum outcome outcome = put_name(e, elements[0], &verdict, depth + 1, 0);
      if (outcome != DONE) return outcome;
      if (verdict != PLAIN) return put_named(e, elements[1], verdict, depth + 1);
      first = 1;
    }
  }
  for (int i = first; i < arity; i++) {
    enum outcome outcome = put(e, elements[i], depth + 1);
    if (outcome != DONE) return outcome;
  }
  return DONE;
}

int may_hide(struct encoder *e, ERL_NIF_TERM map, int *is_struct) {
  ERL_NIF_TERM module;
  *is_struct = enif_get_map_value(e->env, map, atom_struct, &module) && enif_is_atom(e->env, module);
  return *is_struct && e->redacting && !secrets_plain_struct(module);
}

static enum outcome put_map(struct encoder *e, ERL_NIF_TERM map, int depth) {
  size_t size;
  int is_struct;
  ErlNifMapIterator iterator;
  ERL_NIF_TERM key, value;
  if (!enif_get_map_size(e->env, map, &size)) return LEAVE_TO_ELIXIR;
  if ((long)size * 4 > e->left || !spend(e, 5)) return OVER;
  if (may_hide(e, map, &is_struct)) return LEAVE_TO_ELIXIR;
  if (!room(e, 5)) return NO_ROOM;
  *e->out = 116;
  big_endian(e->out + 1, size, 4);
  e->out += 5;
  if (!enif_map_iterator_create(e->env, map, &iterator, ERL_NIF_MAP_ITERATOR_FIRST)) return LEAVE_TO_ELIXIR;
  enum outcome outcome = DONE;
  while (outcome == DONE && enif_map_iterator_get_pair(e->env, &iterator, &key, &value)) {
    enum verdict verdict;
    outcome = put_name(e, key, &verdict, depth + 1, 1);
    if (outcome == DONE) outcome = put_named(e, value, verdict, depth + 1);
    enif_map_iterator_next(e->env, &iterator);
  }
  enif_map_iterator_destroy(e->env, &iterator);
  return outcome;
}

enum outcome put(struct encoder *e, ERL_NIF_TERM term, int depth) {
  if (depth > DEEPEST) return LEAVE_TO_ELIXIR;
  switch (layout_type(e->env, term)) {
  case ERL_NIF_TERM_TYPE_ATOM:
    return spend(e, 12) ? put_atom(e, term, NULL) : OVER;
  case ERL_NIF_TERM_TYPE_INTEGER:
    return put_integer(e, term);
  case ERL_NIF_TERM_TYPE_FLOAT:
    return put_float(e, term);
  case ERL_NIF_TERM_TYPE_BITSTRING:
    return put_bits(e, term, NULL);
  case ERL_NIF_TERM_TYPE_LIST:
    return put_list(e, term, depth);
  case ERL_NIF_TERM_TYPE_TUPLE:
    return put_tuple(e, term, depth);
  case ERL_NIF_TERM_TYPE_MAP:
    return put_map(e, term, depth);
  case ERL_NIF_TERM_TYPE_PID:
    if (!spend(e, 27)) return OVER;
    return layout_local_pid(term) ? encode_pid(e, term) : identifier(e, term, NULL);
  case ERL_NIF_TERM_TYPE_PORT:
  case ERL_NIF_TERM_TYPE_REFERENCE:
    return spend(e, 27) ? identifier(e, term, NULL) : OVER;
  default: /* a function, which is always replaced */
    return OVER;
  }
}

enum outcome encode(struct encoder *e, ERL_NIF_TERM term) {
  long budget = e->left;
  uint8_t *start = e->out;
  if (!room(e, 1)) return NO_ROOM;
  *e->out++ = 131;
  enum outcome outcome = put(e, term, 0);
  e->whole = outcome != OVER;
  if (!e->whole) {
    e->out = start + 1;
    e->redacted = 0;
    e->left = LONG_MAX / 2; /* from here on whatever is written whole was measured before */
    outcome = cut(e, term, budget, 0);
  }
  return e->deep && outcome == DONE ? LEAVE_TO_ELIXIR : outcome;
}
