/* External Term Format of terms that are small and common, within a budget that is counted while encoding.
 *
 * What does not fit, or is not common, is left to Elixir: then nothing was written, and no more work was done than
 * the budget allows. So everything cut or unusual has one definition, ElixirScope.Capture.Value.
 */
#ifndef ELIXIRSCOPE_ENCODE_H
#define ELIXIRSCOPE_ENCODE_H

#include <erl_nif.h>
#include <stdint.h>

enum outcome { DONE, LEAVE_TO_ELIXIR, NO_ROOM };

#define ATOMS 1024 /* powers of two */
#define PIDS 512
#define KEPT_BYTES 60

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
  uint8_t *out, *end; /* written so far up to `out` */
  long left;          /* of the budget, in the measure of ElixirScope.Capture.Value */
  int redacting;      /* whether there are secrets to look for */
  int redacted;       /* whether one was found */
};

/* Before anything else. */
void encode_setup(ErlNifEnv *env);
/* Appends the term with its leading 131. */
enum outcome encode(struct encoder *e, ERL_NIF_TERM term);
/* Appends a local pid without the leading 131. */
enum outcome encode_pid(struct encoder *e, ERL_NIF_TERM pid);

/* The VM's own layout of a binary, which tells its size without touching it: inspecting one that is being appended
 * to makes the VM copy it at the next append, and one that starts in the middle of a byte is copied as a whole.
 * Checked at load against binaries of every sort. */
struct layout {
  unsigned long size;
  int aligned;
};
/* 0 when the term is no binary, or of a sort not known. */
int binary_layout(ERL_NIF_TERM term, struct layout *layout);

#endif
