#include "secrets.h"

#include <stdatomic.h>
#include <string.h>

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

static _Atomic uint32_t sites[SITES];
static _Atomic uint32_t site_count;
static _Atomic uint64_t structs[STRUCTS];
static _Atomic uint32_t struct_count;

void secrets_forget(void) {
  word_count = 0;
  memset(begins, 0, sizeof begins);
  for (unsigned i = 0; i < STRUCTS; i++) atomic_store(&structs[i], 0);
  atomic_store(&struct_count, 0);
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

static uint32_t place(uint32_t site) { return site * 2654435761u >> 16; }

void secrets_site(uint32_t site) {
  if (secrets_has_site(site)) return;
  /* More than half full, every site counts as marked: slower, never wrong. */
  if (atomic_load(&site_count) < SITES / 2) {
    uint32_t at = place(site), found = 0; /* modules are loaded at the same time */
    for (; !atomic_compare_exchange_strong(&sites[at], &found, site) && found != site; found = 0) at = (at + 1) & (SITES - 1);
  }
  atomic_fetch_add(&site_count, 1);
}

int secrets_has_site(uint32_t site) {
  uint32_t count = atomic_load_explicit(&site_count, memory_order_acquire);
  if (!count) return 0;
  if (count >= SITES / 2) return 1;
  for (uint32_t at = place(site);; at = (at + 1) & (SITES - 1)) {
    uint32_t found = atomic_load_explicit(&sites[at], memory_order_acquire);
    if (found == site) return 1;
    if (!found) return 0;
  }
}

static uint32_t struct_place(uint64_t module) { return (uint32_t)(module * 0x9E3779B97F4A7C15ull >> 40) & (STRUCTS - 1); }

void secrets_add_plain_struct(uint64_t module) {
  /* Half full, no more are remembered: slower, never wrong. */
  if (atomic_fetch_add(&struct_count, 1) >= STRUCTS / 2) {
    atomic_fetch_sub(&struct_count, 1);
    return;
  }
  for (uint32_t at = struct_place(module);; at = (at + 1) & (STRUCTS - 1)) {
    uint64_t found = 0;
    if (atomic_compare_exchange_strong(&structs[at], &found, module)) return;
    if (found == module) {
      atomic_fetch_sub(&struct_count, 1);
      return;
    }
  }
}

int secrets_plain_struct(uint64_t module) {
  for (uint32_t at = struct_place(module);; at = (at + 1) & (STRUCTS - 1)) {
    uint64_t found = atomic_load_explicit(&structs[at], memory_order_acquire);
    if (found == module) return 1;
    if (!found) return 0;
  }
}
