#include "functions.h"

#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#define KNOWN 1024u /* a power of two */
#define NAME 136
#define BYTES 240

static struct {
  _Atomic uint64_t hash; /* 0: free; written last */
  char name[NAME];
  uint8_t length, bytes[BYTES];
} known[KNOWN];
static unsigned count;
static atomic_flag learning = ATOMIC_FLAG_INIT;

void functions_forget(void) {
  memset((void *)known, 0, sizeof known);
  count = 0;
}

/* As the VM prints it: #Fun<Module.Index.Unique>, or fun Module:Name/Arity. That a name is too long is never known. */
static uint64_t named(ERL_NIF_TERM function, char *name) {
  int length = enif_snprintf(name, NAME, "%T", function);
  if (length <= 0 || length >= NAME - 1) return 0;
  uint64_t hash = 0xCBF29CE484222325ull;
  for (int i = 0; i < length; i++) hash = (hash ^ (uint8_t)name[i]) * 0x100000001B3ull;
  return hash | 1;
}

static unsigned place(uint64_t hash) { return hash >> 40 & (KNOWN - 1); }

static unsigned look(uint64_t hash, const char *name, int *found) {
  for (unsigned at = place(hash);; at = (at + 1) & (KNOWN - 1)) {
    uint64_t there = atomic_load_explicit(&known[at].hash, memory_order_acquire);
    *found = there == hash && !strcmp(known[at].name, name);
    if (*found || !there) return at;
  }
}

const uint8_t *functions_find(ERL_NIF_TERM function, unsigned long *length) {
  char name[NAME];
  int found;
  uint64_t hash = named(function, name);
  if (!hash) return NULL;
  unsigned at = look(hash, name, &found);
  *length = known[at].length;
  return found ? known[at].bytes : NULL;
}

int functions_learn(ERL_NIF_TERM function, const uint8_t *bytes, unsigned long length) {
  char name[NAME];
  int found = 0;
  uint64_t hash = named(function, name);
  if (!hash || length > BYTES) return 0;
  while (atomic_flag_test_and_set_explicit(&learning, memory_order_acquire)) sched_yield();
  unsigned at = look(hash, name, &found);
  if (!found && count < KNOWN / 2) { /* half full, no more are remembered: slower, never wrong */
    count++;
    found = 1;
    memcpy(known[at].name, name, NAME);
    memcpy(known[at].bytes, bytes, length);
    known[at].length = (uint8_t)length;
    atomic_store_explicit(&known[at].hash, hash, memory_order_release);
  }
  atomic_flag_clear_explicit(&learning, memory_order_release);
  return found;
}
