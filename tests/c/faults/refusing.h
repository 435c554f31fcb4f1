/* Which of the system's calls are refused: between begin_faults and end_faults the call `at`, and with `on` all after it.
 * A program puts itself in front of the system's functions and asks refuse() in each; any thread may. */
#ifndef LG_FAULTS_REFUSING_H
#define LG_FAULTS_REFUSING_H

#include <stdatomic.h>

static atomic_ulong calls, refusals;
static atomic_ulong fail_at; /* 0: none */
static atomic_int fail_on;   /* those after it too */

static int refuse(void) {
  unsigned long at = atomic_load(&fail_at);
  unsigned long n = atomic_fetch_add(&calls, 1) + 1;
  int yes = at != 0 && (n == at || (atomic_load(&fail_on) && n > at));
  if (yes) atomic_fetch_add(&refusals, 1);
  return yes;
}

static void begin_faults(unsigned long at, int on) {
  atomic_store(&calls, 0);
  atomic_store(&refusals, 0);
  atomic_store(&fail_on, on);
  atomic_store(&fail_at, at);
}

static unsigned long end_faults(void) {
  atomic_store(&fail_at, 0);
  return atomic_load(&calls);
}

#endif
