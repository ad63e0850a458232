#include "encode.h"

#include <stdlib.h>
#include <string.h>

#include "secrets.h"

#define DEEPEST 200
#define SMALL_LIMIT 0x7FFFFFFFFFFFFFFL

static ERL_NIF_TERM atom_struct;
static int counts_bits; /* whether the VM keeps the size of a binary in bits, as it does since OTP 27 */
/* {'$elixirscope', redacted} */
static const uint8_t REDACTED[] = "h\002w\014$elixirscopew\010redacted";

static enum outcome put(struct encoder *e, ERL_NIF_TERM term, int depth);

void encode_setup(ErlNifEnv *env) {
  ErlNifSysInfo system;
  enif_system_info(&system, sizeof system);
  counts_bits = atoi(system.otp_release) >= 27;
  atom_struct = enif_make_atom(env, "__struct__");
}

static void big_endian(uint8_t *to, uint64_t value, int bytes) {
  for (int i = bytes - 1; i >= 0; i--, value >>= 8) to[i] = (uint8_t)value;
}

static int spend(struct encoder *e, long cost) { return (e->left -= cost) >= 0; }

static int room(struct encoder *e, unsigned long bytes) { return (unsigned long)(e->end - e->out) >= bytes; }

static enum outcome raw(struct encoder *e, const uint8_t *bytes, unsigned long length) {
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
 * not be equal bytes. Of the atom at `start`, which is the last of what was written. */
static enum outcome canonical(struct encoder *e, uint8_t *start, uint8_t **name, unsigned long *length) {
  int wide = start[0] == 100 || start[0] == 118; /* two bytes of length, not one */
  uint8_t *from = start + (wide ? 3 : 2);
  *length = wide ? (unsigned long)start[1] << 8 | start[2] : start[1];
  if (start[0] == 100 || start[0] == 115) {
    for (unsigned long i = 0; i < *length; i++)
      if (from[i] >= 0x80) return LEAVE_TO_ELIXIR; /* Latin-1 in truth */
  }
  start[0] = *length < 256 ? 119 : 118;
  if (wide && *length < 256) {
    memmove(from - 1, from, (unsigned long)(e->out - from));
    e->out--;
    from--;
    start[1] = (uint8_t)*length;
  }
  *name = from;
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

static enum outcome put_integer(struct encoder *e, ERL_NIF_TERM term) {
  ErlNifSInt64 value;
  if (!enif_get_int64(e->env, term, &value)) return LEAVE_TO_ELIXIR;
  if (!spend(e, value < SMALL_LIMIT && value > -SMALL_LIMIT ? 5 : 12)) return LEAVE_TO_ELIXIR;
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

static enum outcome put_float(struct encoder *e, ERL_NIF_TERM term) {
  double value;
  uint64_t bits;
  if (!spend(e, 9) || !enif_get_double(e->env, term, &value)) return LEAVE_TO_ELIXIR;
  if (!room(e, 9)) return NO_ROOM;
  memcpy(&bits, &value, 8);
  *e->out = 70;
  big_endian(e->out + 1, bits, 8);
  e->out += 9;
  return DONE;
}

/* Headers of binaries: reference counted, on the heap, a part. OTP 27 has no first one, and counts bits. */
static int bits_layout(const uint64_t *thing, struct layout *layout) {
  uint64_t from = 0, to;
  switch (thing[0] & 0x3F) {
  case 0x20: /* on the heap: size */
    to = thing[1];
    break;
  case 0x24: /* a part, or outside of the heap: base, start, end */
    from = thing[2];
    to = thing[3];
    break;
  default:
    return 0;
  }
  layout->size = (to - from) / 8;
  layout->aligned = from % 8 == 0 && (to - from) % 8 == 0;
  return 1;
}

int binary_layout(ERL_NIF_TERM term, struct layout *layout) {
  if ((term & 3) != 2) return 0; /* boxed */
  const uint64_t *thing = (const uint64_t *)(uintptr_t)(term - 2);
  if (counts_bits) return bits_layout(thing, layout);
  switch (thing[0] & 0x3F) {
  case 0x20: /* reference counted */
  case 0x24: /* on the heap */
    layout->size = thing[1];
    layout->aligned = 1;
    return 1;
  case 0x28: { /* a part: size, offset, bits beyond, bit offset */
    const uint8_t *bits = (const uint8_t *)(thing + 3);
    layout->size = thing[1];
    layout->aligned = bits[0] == 0 && bits[1] == 0;
    return 1;
  }
  default:
    return 0;
  }
}

static enum outcome put_binary(struct encoder *e, ERL_NIF_TERM term, enum verdict *verdict) {
  struct layout layout;
  ErlNifBinary binary;
  if (!binary_layout(term, &layout) || !layout.aligned || (long)layout.size > e->left ||
      !spend(e, 5 + (long)layout.size) || !enif_inspect_binary(e->env, term, &binary)) {
    return LEAVE_TO_ELIXIR;
  }
  if (verdict) *verdict = secrets_name(binary.data, binary.size);
  if (!room(e, 5)) return NO_ROOM;
  *e->out = 109;
  big_endian(e->out + 1, binary.size, 4);
  e->out += 5;
  return raw(e, binary.data, binary.size);
}

/* What may be the name of something: tells whether of a secret. Within a key nothing is looked for. */
static enum outcome put_name(struct encoder *e, ERL_NIF_TERM term, enum verdict *verdict, int depth, int key) {
  int redacting = e->redacting;
  *verdict = PLAIN;
  if (redacting) {
    switch (enif_term_type(e->env, term)) {
    case ERL_NIF_TERM_TYPE_ATOM:
      return spend(e, 12) ? put_atom(e, term, verdict) : LEAVE_TO_ELIXIR;
    case ERL_NIF_TERM_TYPE_BITSTRING:
      return put_binary(e, term, verdict);
    default:
      break;
    }
  }
  if (key) e->redacting = 0;
  enum outcome outcome = put(e, term, depth);
  e->redacting = redacting;
  return outcome;
}

/* The value that belongs to a name. */
static enum outcome put_named(struct encoder *e, ERL_NIF_TERM term, enum verdict verdict, int depth) {
  if (verdict == PLAIN) return put(e, term, depth);
  if (verdict == UNKNOWN || !spend(e, sizeof REDACTED - 1)) return LEAVE_TO_ELIXIR;
  e->redacted = 1;
  return raw(e, REDACTED, sizeof REDACTED - 1);
}

/* The VM writes a list of bytes as a string, and so do we: each was written as two bytes. */
static void string(struct encoder *e, uint8_t *start, uint32_t count) {
  start[0] = 107;
  big_endian(start + 1, count, 2);
  for (uint32_t i = 0; i < count; i++) start[3 + i] = start[6 + 2 * i];
  e->out = start + 3 + count;
}

static enum outcome put_list(struct encoder *e, ERL_NIF_TERM list, int depth) {
  ERL_NIF_TERM head;
  if (enif_is_empty_list(e->env, list)) {
    if (!spend(e, 1)) return LEAVE_TO_ELIXIR;
    if (!room(e, 1)) return NO_ROOM;
    *e->out++ = 106;
    return DONE;
  }
  if (!room(e, 5)) return NO_ROOM;
  uint8_t *start = e->out;
  uint32_t count = 0, bytes = 0;
  e->out += 5;
  for (; enif_get_list_cell(e->env, list, &head, &list); count++) {
    if (!spend(e, 2)) return LEAVE_TO_ELIXIR;
    uint8_t *item = e->out;
    enum outcome outcome = put(e, head, depth + 1);
    if (outcome != DONE) return outcome;
    bytes += *item == 97;
  }
  if (bytes == count && count < 65536 && enif_is_empty_list(e->env, list)) {
    if (!spend(e, 1)) return LEAVE_TO_ELIXIR;
    string(e, start, count);
    return DONE;
  }
  start[0] = 108;
  big_endian(start + 1, count, 4);
  return put(e, list, depth + 1); /* the end, or what an improper list ends in */
}

/* An entry of a stack trace with arguments, some of which may be secret by the names of parameters. */
static int stack_entry(struct encoder *e, const ERL_NIF_TERM *elements, int arity) {
  return arity == 4 && enif_is_atom(e->env, elements[0]) && enif_is_atom(e->env, elements[1]) &&
         enif_is_list(e->env, elements[2]) && !enif_is_empty_list(e->env, elements[2]) &&
         enif_is_list(e->env, elements[3]);
}

static enum outcome put_tuple(struct encoder *e, ERL_NIF_TERM tuple, int depth) {
  const ERL_NIF_TERM *elements;
  int arity;
  if (!enif_get_tuple(e->env, tuple, &arity, &elements)) return LEAVE_TO_ELIXIR;
  if (arity > e->left || !spend(e, arity ? 5 : 2)) return LEAVE_TO_ELIXIR;
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

static enum outcome put_map(struct encoder *e, ERL_NIF_TERM map, int depth) {
  size_t size;
  ErlNifMapIterator iterator;
  ERL_NIF_TERM key, value;
  if (!enif_get_map_size(e->env, map, &size)) return LEAVE_TO_ELIXIR;
  if ((long)size * 4 > e->left || !spend(e, 5)) return LEAVE_TO_ELIXIR;
  /* A struct may be secret by its name, or have fields that its author hides: Elixir tells which are not. */
  if (e->redacting && enif_get_map_value(e->env, map, atom_struct, &value) && enif_is_atom(e->env, value) &&
      !secrets_plain_struct(value))
    return LEAVE_TO_ELIXIR;
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

static enum outcome put(struct encoder *e, ERL_NIF_TERM term, int depth) {
  ErlNifPid local;
  if (depth > DEEPEST) return LEAVE_TO_ELIXIR;
  switch (enif_term_type(e->env, term)) {
  case ERL_NIF_TERM_TYPE_ATOM:
    return spend(e, 12) ? put_atom(e, term, NULL) : LEAVE_TO_ELIXIR;
  case ERL_NIF_TERM_TYPE_INTEGER:
    return put_integer(e, term);
  case ERL_NIF_TERM_TYPE_FLOAT:
    return put_float(e, term);
  case ERL_NIF_TERM_TYPE_BITSTRING:
    return put_binary(e, term, NULL);
  case ERL_NIF_TERM_TYPE_LIST:
    return put_list(e, term, depth);
  case ERL_NIF_TERM_TYPE_TUPLE:
    return put_tuple(e, term, depth);
  case ERL_NIF_TERM_TYPE_MAP:
    return put_map(e, term, depth);
  case ERL_NIF_TERM_TYPE_PID:
    if (!spend(e, 27)) return LEAVE_TO_ELIXIR;
    return enif_get_local_pid(e->env, term, &local) ? encode_pid(e, term) : identifier(e, term, NULL);
  case ERL_NIF_TERM_TYPE_PORT:
  case ERL_NIF_TERM_TYPE_REFERENCE:
    return spend(e, 27) ? identifier(e, term, NULL) : LEAVE_TO_ELIXIR;
  default: /* functions: Elixir says which */
    return LEAVE_TO_ELIXIR;
  }
}

enum outcome encode(struct encoder *e, ERL_NIF_TERM term) {
  if (!room(e, 1)) return NO_ROOM;
  *e->out++ = 131;
  return put(e, term, 0);
}
