/* The watchdog's thread: it sleeps until a run wants to be looked at, and tells those that are due.
 *
 * Contract: for the watchdog's own files, all of it under lg_watch_mutex (watch_list.h). What answers with an error number answers
 * 0 when all is well. */
#ifndef LG_WATCH_THREAD_H
#define LG_WATCH_THREAD_H

#include "watchdog.h"

struct lg_watcher {
  lg_event wake;
  int wake_made;
  int64_t sleeping_until; /* the thread looks again at this time at the latest */
  int started;            /* the thread of this process exists */
  int stopping;           /* it is to end, because the process forks */
  struct lg_thread thread;
};

extern struct lg_watcher lg_watcher;

/* Make what wakes the thread, once per process. An error number. */
int lg_watcher_make_wake(void);
static inline int lg_watcher_prepare(void) { return lg_watcher.wake_made ? 0 : lg_watcher_make_wake(); }

/* Have a thread. An error number. */
int lg_watcher_begin(void);
static inline int lg_watcher_start(void) { return lg_watcher.started ? 0 : lg_watcher_begin(); }

/* Have the thread look at the runs by this time. */
static inline void lg_watcher_look_by(int64_t at) {
  if (at >= lg_watcher.sleeping_until) return;
  lg_watcher.sleeping_until = at;
  lg_event_wake(&lg_watcher.wake);
}

/* Have the thread look at once, and start it where there is none. An error number. */
int lg_watcher_look_now(void);

/* Tell a due run's thread, unless it is in a host function: on its return the run looks by itself. Then tell it again, at growing
 * intervals. */
void lg_watcher_kick(struct lg_watch *w, int64_t now);

/* No thread can be had to watch the runs under way: end those with limits, rather than let them go on without. */
void lg_watcher_end_unwatched(void);

/* End the thread, and wait until it has ended; the mutex is let go meanwhile. */
void lg_watcher_stop(void);

/* After a fork, in the child, which has no such thread: begin anew. An error number of what wakes it. */
int lg_watcher_renew(void);

#endif
