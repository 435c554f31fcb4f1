#define _GNU_SOURCE
#include "thread_posix.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

#include "tell.h"

static atomic_int exits_handled; /* the key below is there */
static pthread_key_t exiting;    /* its destructor is how the end of a thread is noticed */

int lg_thread_ran(void) { return atomic_load(&exits_handled) && pthread_getspecific(exiting) == &exiting; }

#ifdef __APPLE__
const void *lg_thread_value(void) { return atomic_load(&exits_handled) ? pthread_getspecific(exiting) : NULL; }

int lg_thread_set_value(const void *value) { return pthread_setspecific(exiting, value); }
#endif

/* CPython up to 3.13 ends in the midst of their runs the threads that want the GIL of an interpreter which is shutting down. No
 * signal may be sent to them any more. */
static void thread_exits(void *unused) {
  (void)unused;
  lg_watch_leave_runs();
}

int lg_thread_note_exit(void) {
  int rc = atomic_load(&exits_handled) ? 0 : pthread_key_create(&exiting, thread_exits);
  if (rc != 0) return rc;
  atomic_store(&exits_handled, 1);
  return pthread_setspecific(exiting, &exiting); /* lg_thread_ran(); a destructor is called for what is not NULL */
}
