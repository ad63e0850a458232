/* A set of words, none of them 0, that threads add to and look into at a time. Half full, it takes no more. */
#ifndef ELIXIRSCOPE_SET_H
#define ELIXIRSCOPE_SET_H

#include <stdatomic.h>
#include <stdint.h>

/* Of a power of two of places, zero at first. */
struct set {
  _Atomic uint64_t *words;
  uint32_t size;
  _Atomic uint32_t count;
};

static inline uint32_t set_place(uint64_t word) { return (uint32_t)(word * 0x9E3779B97F4A7C15ull >> 40); }

static inline int set_has(struct set *set, uint64_t word) {
  if (!atomic_load_explicit(&set->count, memory_order_acquire)) return 0;
  for (uint32_t at = set_place(word);; at++) {
    uint64_t found = atomic_load_explicit(&set->words[at & (set->size - 1)], memory_order_acquire);
    if (found == word) return 1;
    if (!found) return 0;
  }
}

/* Whether it is in there now. */
static inline int set_add(struct set *set, uint64_t word) {
  if (set_has(set, word)) return 1;
  if (atomic_fetch_add(&set->count, 1) < set->size / 2) {
    for (uint32_t at = set_place(word);; at++) {
      uint64_t found = 0;
      if (atomic_compare_exchange_strong(&set->words[at & (set->size - 1)], &found, word)) return 1;
      if (found == word) break;
    }
  }
  atomic_fetch_sub(&set->count, 1);
  return set_has(set, word);
}

static inline void set_forget(struct set *set) {
  for (uint32_t n = 0; n < set->size; n++) atomic_store_explicit(&set->words[n], 0, memory_order_relaxed);
  atomic_store(&set->count, 0);
}

#endif
