/* CPU time of one thread, read from another.
 *
 * Contract: lg_cpu_clock_here() on the thread to be measured, lg_cpu_clock_ns() from any thread while that one lives.
 * Nanoseconds; -1 where the OS cannot say, and errno says why. Not signal-safe, but for
 * the last. */
#ifndef LG_CPUTIME_H
#define LG_CPUTIME_H

#include <stdint.h>

/* A handle on the calling thread's CPU clock; 0 when there is none, and errno says why. */
uint64_t lg_cpu_clock_here(void);

int64_t lg_cpu_clock_ns(uint64_t clock);

/* CPU time of the calling thread. Signal-safe. */
int64_t lg_cpu_here_ns(void);

#endif
