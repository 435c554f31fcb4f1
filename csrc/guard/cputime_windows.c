/* GetThreadTimes: user and kernel time of a thread, which Windows counts in steps of its clock interrupt (1 to 16 ms). The clock's
 * handle is the thread's. */
#include "cputime.h"

#include <errno.h>
#include <stddef.h>

#include "machine_windows.h"

static int64_t hundreds_of_ns(FILETIME time) { return (int64_t)time.dwHighDateTime << 32 | time.dwLowDateTime; }

static int64_t times_of(HANDLE thread) {
  FILETIME created;
  FILETIME exited;
  FILETIME kernel;
  FILETIME user;
  if (!GetThreadTimes(thread, &created, &exited, &kernel, &user)) {
    errno = EINVAL;
    return -1;
  }
  return (hundreds_of_ns(kernel) + hundreds_of_ns(user)) * 100;
}

uint64_t lg_cpu_clock_here(void) {
  HANDLE thread = lg_thread_here();
  if (thread == NULL) errno = EAGAIN;
  return (uint64_t)(uintptr_t)thread;
}

int64_t lg_cpu_clock_ns(uint64_t clock) { return times_of((HANDLE)(uintptr_t)clock); }

int64_t lg_cpu_here_ns(void) { return times_of(GetCurrentThread()); }
