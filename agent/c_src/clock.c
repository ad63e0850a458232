#include "clock.h"

#include <erl_nif.h>
#include <stdio.h>
#include <string.h>

#if defined(__x86_64__)
#include <x86intrin.h>
#define TICKS() __rdtsc()
#else
#define TICKS() 0
#endif

#define CALIBRATE_NS 2000000
#define ANCHOR_NS 1000000
#define QUICK_NS 500 /* a reading that takes no longer was not interrupted */
#define TRIES 8

static uint64_t anchor_ticks; /* how long an anchor is good for; 0 when the counter is not to be used */
static uint64_t ns_per_tick; /* times 2^32 */
static uint64_t quick_ticks;

/* The kernel keeps its own time by the counter only when that runs evenly, and alike on all processors. */
static int trusted(void) {
  char name[8] = "";
  FILE *file = fopen("/sys/devices/system/clocksource/clocksource0/current_clocksource", "r");
  if (!file) return 0;
  int found = fscanf(file, "%7s", name);
  fclose(file);
  return found == 1 && !strcmp(name, "tsc");
}

/* The VM's time, and the counter at that moment. Whoever is interrupted between the two knows nothing: of some tries the
 * quickest counts. */
static int64_t both(uint64_t *ticks) {
  int64_t best_ns = 0;
  uint64_t best = UINT64_MAX;
  for (int tries = 0; tries < TRIES && best > quick_ticks; tries++) {
    uint64_t before = TICKS();
    int64_t ns = enif_monotonic_time(ERL_NIF_NSEC);
    uint64_t took = TICKS() - before;
    if (took >= best) continue;
    best = took;
    best_ns = ns;
    *ticks = before + took / 2;
  }
  return best_ns;
}

void clock_setup(void) {
  if (!TICKS() || !trusted()) return;
  uint64_t first = 0, last = 0;
  int64_t from = both(&first), to;
  do to = both(&last);
  while (to - from < CALIBRATE_NS);
  double ns = (double)(to - from) / (double)(last - first);
  if (ns >= 1024) return; /* so slow a counter tells little, and would not fit below */
  ns_per_tick = (uint64_t)(ns * 0x1p32);
  quick_ticks = (uint64_t)(QUICK_NS / ns);
  anchor_ticks = (uint64_t)(ANCHOR_NS / ns);
}

int64_t clock_ns(struct clock *clock) {
  if (!anchor_ticks) return enif_monotonic_time(ERL_NIF_NSEC);
  uint64_t passed = TICKS() - clock->ticks;
  if (passed > anchor_ticks) /* also when the counter went back */
    return clock->ns = both(&clock->ticks);
  return clock->ns + (int64_t)(passed * ns_per_tick >> 32);
}
