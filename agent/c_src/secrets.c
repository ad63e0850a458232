#include "secrets.h"

#include <string.h>

#include "set.h"

#define WORDS 64
#define WORD_BYTES 64
#define SITES 65536u /* powers of two */
#define STRUCTS 4096u

static struct {
  unsigned length;
  uint8_t text[WORD_BYTES];
} words[WORDS];
static unsigned word_count;
static uint8_t begins[256]; /* whether a word begins with this byte */

static _Atomic uint64_t site_words[SITES], struct_words[STRUCTS];
static struct set sites = {.words = site_words, .size = SITES}; /* stay marked: a VM gives no id twice */
static struct set structs = {.words = struct_words, .size = STRUCTS};
static _Atomic int all_sites; /* too many are marked to know which: slower, never wrong */

void secrets_forget(void) {
  word_count = 0;
  memset(begins, 0, sizeof begins);
  set_forget(&structs);
}

int secrets_word(const uint8_t *word, unsigned length) {
  if (word_count == WORDS || length == 0 || length > WORD_BYTES) return 0;
  words[word_count].length = length;
  memcpy(words[word_count].text, word, length);
  begins[word[0]] = 1;
  word_count++;
  return 1;
}

enum verdict secrets_name(const uint8_t *name, unsigned long length) {
  if (!word_count) return PLAIN;
  uint8_t lower[NAME_BYTES];
  unsigned n = length < NAME_BYTES ? (unsigned)length : NAME_BYTES;
  for (unsigned i = 0; i < n; i++) {
    uint8_t c = name[i];
    if (c >= 0x80) return UNKNOWN;
    lower[i] = c >= 'A' && c <= 'Z' ? c + 32 : c;
  }
  for (unsigned i = 0; i < n; i++) {
    if (!begins[lower[i]]) continue;
    for (unsigned w = 0; w < word_count; w++) {
      if (words[w].length <= n - i && !memcmp(lower + i, words[w].text, words[w].length)) return SECRET;
    }
  }
  return PLAIN;
}

void secrets_site(uint32_t site) {
  if (!set_add(&sites, site)) atomic_store(&all_sites, 1);
}

int secrets_has_site(uint32_t site) {
  return set_has(&sites, site) || atomic_load_explicit(&all_sites, memory_order_relaxed);
}

void secrets_add_plain_struct(uint64_t module) { set_add(&structs, module); }

int secrets_plain_struct(uint64_t module) { return set_has(&structs, module); }
