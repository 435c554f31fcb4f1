#include "cputime.h"

#include <errno.h>
#include <mach/mach.h>
#include <pthread.h>
#include <time.h>

/* macOS has no pthread_getcpuclockid: thread_info(THREAD_BASIC_INFO) gives user and system time of a thread's port. */
uint64_t lg_cpu_clock_here(void) {
  mach_port_t port = pthread_mach_thread_np(pthread_self());
  if (port == 0) errno = ESRCH; /* MACH_PORT_NULL: it sets no errno */
  return (uint64_t)port;
}

static int64_t ns_of(time_value_t t) { return (int64_t)t.seconds * 1000000000 + (int64_t)t.microseconds * 1000; }

int64_t lg_cpu_clock_ns(uint64_t clock) {
  thread_basic_info_data_t info;
  mach_msg_type_number_t count = THREAD_BASIC_INFO_COUNT;
  if (clock == 0 ||
      thread_info((thread_inspect_t)clock, THREAD_BASIC_INFO, (thread_info_t)&info, &count) != KERN_SUCCESS) {
    errno = EINVAL;
    return -1;
  }
  return ns_of(info.user_time) + ns_of(info.system_time);
}

int64_t lg_cpu_here_ns(void) {
  struct timespec ts;
  if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts) != 0) return -1;
  return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}
