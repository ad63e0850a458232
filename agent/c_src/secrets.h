/* What must not be written: words that names of keys may contain, and sites whose variables bear such names. */
#ifndef ELIXIRSCOPE_SECRETS_H
#define ELIXIRSCOPE_SECRETS_H

#include <stdint.h>

/* A name holds no secret, it does, or only Elixir can tell (it is not ASCII). */
enum verdict { PLAIN = 0, SECRET = 1, UNKNOWN = 2 };

#define NAME_BYTES 200 /* what is longer is no name; its beginning may still be one */

/* Forgets all words and structs. */
void secrets_forget(void);
/* Adds a word, in lower case. 0 when there is no room for it. */
int secrets_word(const uint8_t *word, unsigned length);
/* The verdict over a name; only its first NAME_BYTES count. */
enum verdict secrets_name(const uint8_t *name, unsigned long length);
/* Of a list of characters, which is a name only in ASCII. */
static inline enum verdict secrets_characters(const uint8_t *name, unsigned long length) {
  enum verdict verdict = secrets_name(name, length);
  return verdict == UNKNOWN ? PLAIN : verdict;
}
/* Marks a site, from one thread at a time. */
void secrets_site(uint32_t site);
/* Whether it was marked. Safe while others are being marked. */
int secrets_has_site(uint32_t site);
/* Remembers, and tells, that structs of this module (the word of its atom) have nothing to hide. From any thread. */
void secrets_add_plain_struct(uint64_t module);
int secrets_plain_struct(uint64_t module);

#endif
