/* External Term Format within a budget that is counted while encoding, with secrets left out.
 *
 * What fits is written as it is (encode.c). What does not is cut (cut.c) as ElixirScope.Capture.Value cuts it, which
 * has the rules; the two are compared by tests. Left to Elixir is what takes knowledge that only it has.
 */
#ifndef ELIXIRSCOPE_ENCODE_H
#define ELIXIRSCOPE_ENCODE_H

#include <erl_nif.h>
#include <stdint.h>

#include "secrets.h"

/* OVER the budget is what `put` says, and `encode` never. */
enum outcome { DONE, OVER, LEAVE_TO_ELIXIR, NO_ROOM };

#define ATOMS 1024 /* powers of two */
#define PIDS 512
#define KEPT_BYTES 60
#define DEEPEST 400
#define SMALL_LIMIT 0x7FFFFFFFFFFFFFFL /* in the measure of Value, integers below are small */

/* Encodings of atoms and local pids, which are immediate terms: the word itself is the key. */
struct kept {
  ERL_NIF_TERM term;
  uint8_t length, verdict, bytes[KEPT_BYTES];
};

struct cache {
  struct kept atoms[ATOMS];
  struct kept pids[PIDS];
};

struct encoder {
  ErlNifEnv *env;
  struct cache *cache;
  uint8_t *out, *end;   /* written so far up to `out` */
  long left;            /* of the budget, in the measure of ElixirScope.Capture.Value */
  int redacting;        /* whether there are secrets to look for */
  int redacted, cut;    /* whether one was found, whether something was left out */
  int whole;            /* whether it fits its budget, and holds no function */
  int deep;             /* whether it is nested too deep for C, or of a layout not known */
  ERL_NIF_TERM unknown; /* a function that Elixir has to tell about, or 0 */
};

/* Before anything else. */
void encode_setup(ErlNifEnv *env);
/* Appends the term with its leading 131. */
enum outcome encode(struct encoder *e, ERL_NIF_TERM term);
/* Whether that would find it whole. */
int fits(ErlNifEnv *env, ERL_NIF_TERM term, long budget);
/* Appends a local pid without the leading 131. */
enum outcome encode_pid(struct encoder *e, ERL_NIF_TERM pid);

/* --- between encode.c and cut.c ------------------------------------------------------------------------------- */

extern ERL_NIF_TERM atom_struct, atom_nil;

static inline int room(struct encoder *e, unsigned long bytes) { return (unsigned long)(e->end - e->out) >= bytes; }
enum outcome raw(struct encoder *e, const uint8_t *bytes, unsigned long length);
void big_endian(uint8_t *to, uint64_t value, int bytes);
enum outcome put_number(struct encoder *e, ErlNifSInt64 value);
/* The term as it is; OVER when the budget ends. Without a budget to mind, `left` is more than anything is long. */
enum outcome put(struct encoder *e, ERL_NIF_TERM term, int depth);
/* As `put`, of what may be the name of something, and whether that is a secret. Within a key nothing is looked for. */
enum outcome put_name(struct encoder *e, ERL_NIF_TERM term, enum verdict *verdict, int depth, int key);
/* What stands for a secret. */
enum outcome put_redacted(struct encoder *e);
/* The first `count` bytes of a binary, as a binary. */
struct bits;
enum outcome put_bytes(struct encoder *e, const struct bits *bits, unsigned long count, enum verdict *verdict);
/* Ends the list that began at `start` (five bytes were left) with `count` items, `bytes` of them bytes: with nothing,
 * when it is improper. */
enum outcome end_list(struct encoder *e, uint8_t *start, uint32_t count, uint32_t bytes, int improper);
/* A struct that may be secret by its name, or have fields that its author hides: Elixir tells which are not. */
int may_hide(struct encoder *e, ERL_NIF_TERM map, int *is_struct);
int stack_entry(struct encoder *e, const ERL_NIF_TERM *elements, int arity);
/* What is left of `left` after the term; negative when it does not fit. Stops as soon as it is spent. */
long measure(struct encoder *e, ERL_NIF_TERM term, long left, int depth);
/* The term cut to its budget, which it does not fit. */
enum outcome cut(struct encoder *e, ERL_NIF_TERM term, long budget, int depth);

#endif
