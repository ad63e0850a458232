/* The VM's monotonic time in ns, cheaply: read from the processor's counter, and compared with the VM's own clock each
 * millisecond, so that our events and those of the VM's tracer are on one time line. */
#ifndef ELIXIRSCOPE_CLOCK_H
#define ELIXIRSCOPE_CLOCK_H

#include <stdint.h>

/* One for each writer; zero at first. */
struct clock {
  uint64_t ticks;
  int64_t ns;
};

/* Finds out whether the counter can be trusted, and how fast it is. */
void clock_setup(void);
int64_t clock_ns(struct clock *clock);

#endif
