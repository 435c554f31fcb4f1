/* What is known of the threads that run scripts: that a thread has begun a run, and that it ends.
 *
 * Contract: for the guard's POSIX files. lg_thread_ran() and the two for macOS are called by a signal handler too; see there. */
#ifndef LG_THREAD_POSIX_H
#define LG_THREAD_POSIX_H

/* Have lg_watch_leave_runs() called at this thread's end, and let lg_thread_ran() say 1 in it. Under the watchdog's mutex. 0 or an
 * error number. */
int lg_thread_note_exit(void);

/* Whether this thread has begun a run since it started. pthread_getspecific() is not on POSIX's list of what a handler may
 * call; in the C libraries of Linux, macOS and FreeBSD it only reads. */
int lg_thread_ran(void);

#ifdef __APPLE__
/* A value of a thread that has begun no run, NULL at first; macOS only stores it. lg_thread_set_value(): 0 or an error number. */
const void *lg_thread_value(void);
int lg_thread_set_value(const void *value);
#endif

#endif
