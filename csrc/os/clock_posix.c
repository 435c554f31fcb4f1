/* clock_gettime(2). */
#define _GNU_SOURCE
#include "clock.h"

#include <time.h>

static int64_t read_clock(clockid_t id, int64_t otherwise) {
  struct timespec ts;
  if (clock_gettime(id, &ts) != 0) return otherwise;
  return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t lg_now_ns(void) { return read_clock(CLOCK_MONOTONIC, -1); }

int64_t lg_wall_ns(void) { return read_clock(CLOCK_REALTIME, 0); }
