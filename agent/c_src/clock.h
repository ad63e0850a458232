/* The VM's monotonic time in ns, cheaply: read from the processor's counter, and compared with the VM's own clock each
 * millisecond, so that our events and those of the VM's tracer are on one time line. */
#ifndef ELIXIRSCOPE_CLOCK_H
#define ELIXIRSCOPE_CLOCK_H

#include <erl_nif.h>
#include <stdint.h>

#if defined(__x86_64__)
#include <x86intrin.h>
#define TICKS() __rdtsc()
#else
#define TICKS() 0
#endif

/* One for each writer; zero at first. */
struct clock {
  uint64_t ticks;
  int64_t ns;
};

/* Finds out whether the counter can be trusted, and how fast it is. */
void clock_setup(void);
/* How long an anchor is good for, 0 when the counter is not to be used; and what a tick is, times 2^32. */
extern uint64_t clock_anchor_ticks, clock_ns_per_tick;
/* Asks the VM. */
int64_t clock_anchor(struct clock *clock);

static inline int64_t clock_ns(struct clock *clock) {
  uint64_t passed = TICKS() - clock->ticks;
  if (passed >= clock_anchor_ticks) return clock_anchor(clock); /* also when the counter went back */
  return clock->ns + (int64_t)(passed * clock_ns_per_tick >> 32);
}

#endif
