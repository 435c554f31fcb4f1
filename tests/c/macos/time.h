/* What macOS's <time.h> has beside the C library's here; see mach/mach.h. */
#include_next <time.h>

#ifndef LG_TEST_TIME_H
#define LG_TEST_TIME_H

#include <stdint.h>

enum { CLOCK_UPTIME_RAW = 8 };

uint64_t clock_gettime_nsec_np(clockid_t clock);

#endif
