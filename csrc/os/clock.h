/* The system's clocks. One file per system.
 *
 * Contract: any thread, signal-safe. */
#ifndef LG_CLOCK_H
#define LG_CLOCK_H

#include <stdint.h>

/* Monotonic clock, ns; -1 when it cannot be read (errno). */
int64_t lg_now_ns(void);

/* Wall-clock time since 1970 began, UTC, ns; 0 when it cannot be read. */
int64_t lg_wall_ns(void);

#endif
