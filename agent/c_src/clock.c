#include "clock.h"

#include <stdio.h>
#include <string.h>

#define CALIBRATE_NS 2000000
#define ANCHOR_NS 1000000
#define QUICK_NS 500 /* a reading that takes no longer was not interrupted */
#define TRIES 8

uint64_t clock_anchor_ticks, clock_ns_per_tick;
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
  clock_ns_per_tick = (uint64_t)(ns * 0x1p32);
  quick_ticks = (uint64_t)(QUICK_NS / ns);
  clock_anchor_ticks = (uint64_t)(ANCHOR_NS / ns);
}

int64_t clock_anchor(struct clock *clock) {
  return clock_anchor_ticks ? (clock->ns = both(&clock->ticks)) : enif_monotonic_time(ERL_NIF_NSEC);
}
