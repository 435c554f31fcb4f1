#define _GNU_SOURCE
#include "cputime.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

/* The clock id is stored plus one in 32 bits, so that no valid handle is 0. */
uint64_t lg_cpu_clock_here(void) {
  clockid_t id = 0;
  int rc = pthread_getcpuclockid(pthread_self(), &id);
  if (rc != 0) {
    errno = rc;
    return 0;
  }
  return (uint64_t)(uint32_t)id + 1;
}

int64_t lg_cpu_clock_ns(uint64_t clock) {
  struct timespec ts;
  if (clock == 0) {
    errno = EINVAL;
    return -1;
  }
  if (clock_gettime((clockid_t)(uint32_t)(clock - 1), &ts) != 0) return -1;
  return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t lg_cpu_here_ns(void) {
  struct timespec ts;
  if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts) != 0) return -1;
  return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}
