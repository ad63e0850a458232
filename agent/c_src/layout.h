/* What the VM's own layout of terms tells at no cost. Asking for a binary that is being appended to makes the VM copy
 * it at the next append, one that starts in the middle of a byte is copied as a whole, and nothing tells the size of a
 * large integer. Checked at load against terms of every sort.
 */
#ifndef ELIXIRSCOPE_LAYOUT_H
#define ELIXIRSCOPE_LAYOUT_H

#include <erl_nif.h>
#include <stdint.h>

/* A bit string: `bytes` whole ones and `rest` bits, of which the first is `skip` bits into `data`. */
struct bits {
  const uint8_t *data;
  unsigned long bytes;
  unsigned skip, rest;
};

#define SMALL_BITS 4
#define SMALL_TAG 0xF
#define ATOM_MASK 0x3F
#define ATOM_TAG 0x0B
#define PID_TAG 0x3 /* of one of this VM */

/* Before anything else. 0 when small integers, atoms, pids or tuples are not as known. */
int layout_setup(ErlNifEnv *env);

/* The words of what is not in a word itself, the first of which says what it is; NULL for others. */
static inline const uint64_t *layout_boxed(ERL_NIF_TERM term) {
  return (term & 3) == 2 ? (const uint64_t *)(uintptr_t)(term - 2) : NULL;
}

/* As enif_get_local_pid, enif_get_tuple, enif_get_int64, enif_make_int64 and enif_term_type, which take longer than all
 * else about such terms. */
static inline int layout_local_pid(ERL_NIF_TERM term) { return (term & SMALL_TAG) == PID_TAG; }

static inline int layout_tuple(ERL_NIF_TERM term, int *arity, const ERL_NIF_TERM **elements) {
  const uint64_t *thing = layout_boxed(term);
  if (!thing || (thing[0] & 0x3F)) return 0;
  *arity = (int)(thing[0] >> 6);
  *elements = (const ERL_NIF_TERM *)thing + 1;
  return 1;
}

static inline int layout_get_int(ErlNifEnv *env, ERL_NIF_TERM term, ErlNifSInt64 *value) {
  if ((term & SMALL_TAG) != SMALL_TAG) return enif_get_int64(env, term, value);
  *value = (ErlNifSInt64)term >> SMALL_BITS;
  return 1;
}

static inline ERL_NIF_TERM layout_make_int(ErlNifEnv *env, ErlNifSInt64 value) {
  ErlNifUInt64 small = (ErlNifUInt64)value << SMALL_BITS;
  return (ErlNifSInt64)small >> SMALL_BITS == value ? (ERL_NIF_TERM)(small | SMALL_TAG) : enif_make_int64(env, value);
}

static inline ErlNifTermType layout_type(ErlNifEnv *env, ERL_NIF_TERM term) {
  if ((term & SMALL_TAG) == SMALL_TAG) return ERL_NIF_TERM_TYPE_INTEGER;
  if ((term & ATOM_MASK) == ATOM_TAG) return ERL_NIF_TERM_TYPE_ATOM;
  if ((term & 3) == 2 && !(layout_boxed(term)[0] & 0x3F)) return ERL_NIF_TERM_TYPE_TUPLE;
  return enif_term_type(env, term);
}

/* 0 when the term is no bit string, or of a sort not known. */
int layout_bits(ERL_NIF_TERM term, struct bits *bits);
/* Copies its first `count` bytes; the last of them may be one that is not whole, with zeros at its end. */
void layout_copy(uint8_t *to, const struct bits *bits, unsigned long count);
/* The bytes in External Term Format, with the leading 131, of an integer that fits no word; 0 when it is none. */
unsigned long layout_integer(ERL_NIF_TERM term);

#endif
