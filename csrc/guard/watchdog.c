#include "watchdog.h"

#include <stddef.h>

#include "lg_status.h"
#include "tell.h"
#include "watch_due.h"
#include "watch_fork.h"
#include "watch_list.h"
#include "watch_thread.h"

lg_mutex lg_watch_mutex = LG_MUTEX_INIT;
struct lg_watch *lg_watch_runs;
static int forks_handled; /* under the mutex */
static atomic_uint active_runs;
static atomic_ullong begun_runs;

LG_SIGNAL_LOCAL struct lg_watch *lg_watch_current;

/* Put a run on the list. Under the mutex. */
static void link_run(struct lg_watch *w) {
  w->prev = NULL;
  w->next = lg_watch_runs;
  if (lg_watch_runs != NULL) lg_watch_runs->prev = w;
  lg_watch_runs = w;
}

/* Take a run off the list. Under the mutex. */
static void unlink_run(struct lg_watch *w) {
  if (w->prev != NULL)
    w->prev->next = w->next;
  else
    lg_watch_runs = w->next;
  if (w->next != NULL) w->next->prev = w->prev;
  w->active = 0;
  atomic_fetch_sub(&active_runs, 1);
}

void lg_watch_keep_own(void) {
  lg_watch_runs = NULL;
  unsigned count = 0;
  for (struct lg_watch *w = lg_watch_current; w != NULL; w = w->outer, count++) link_run(w);
  atomic_store(&active_runs, count);
}

void lg_watch_leave_runs(void) {
  if (lg_watch_current == NULL) return;
  lg_mutex_lock(&lg_watch_mutex);
  for (struct lg_watch *w = lg_watch_current; w != NULL; w = w->outer) unlink_run(w);
  lg_watch_current = NULL;
  lg_mutex_unlock(&lg_watch_mutex);
}

/* What is done once per process; what was done before a failure is kept. Under the mutex. 0 or an error number. */
static int prepare(void) {
  int rc = lg_watcher_prepare();
  if (rc == 0 && !forks_handled) {
    rc = lg_watch_handle_forks();
    forks_handled = rc == 0;
  }
  return rc;
}

int lg_watch_use_signal(int signal_number) {
  lg_mutex_lock(&lg_watch_mutex);
  int status = lg_tell_use_signal(signal_number);
  lg_mutex_unlock(&lg_watch_mutex);
  return status;
}

int lg_watch_begin(struct lg_watch *w, int64_t now_ns, const struct lg_watch_limits *limits,
                   const struct lg_watch_calls *calls, int *os_error) {
  int rc = lg_due_set(w, now_ns, limits);
  if (rc != 0) {
    *os_error = rc;
    return LG_OS_ERROR;
  }
  w->calls = calls;
  w->interval_ns = 0;
  atomic_store(&w->tick, 0);
  atomic_store(&w->away, 0);
  atomic_store(&w->owed, 0);
  atomic_store(&w->reason, 0);
  lg_mutex_lock(&lg_watch_mutex);
  rc = prepare();
  if (rc == 0) rc = lg_tell_enter(w);
  if (rc == 0) rc = lg_watcher_start();
  if (rc != 0) {
    lg_mutex_unlock(&lg_watch_mutex);
    *os_error = rc;
    return LG_OS_ERROR;
  }
  link_run(w);
  w->active = 1;
  w->outer = lg_watch_current;
  atomic_signal_fence(memory_order_release); /* the handler finds no run that does not lead on to the others */
  lg_watch_current = w;
  lg_watcher_look_by(lg_due_next(w));
  atomic_fetch_add(&active_runs, 1);
  lg_mutex_unlock(&lg_watch_mutex);
  atomic_fetch_add(&begun_runs, 1);
  return LG_OK;
}

void lg_watch_end(struct lg_watch *w) {
  struct lg_watch **at = &lg_watch_current;
  lg_mutex_lock(&lg_watch_mutex);
  if (w->active) unlink_run(w); /* else its thread has left its runs: lg_watch_leave_runs() */
  while (*at != NULL && *at != w) at = &(*at)->outer;
  if (*at != NULL) *at = w->outer; /* from here on a signal handler finds this run no more */
  lg_mutex_unlock(&lg_watch_mutex);
}

void lg_watch_pause(struct lg_watch *w) {
  lg_mutex_lock(&lg_watch_mutex);
  w->paused_ns = lg_now_ns();
  lg_mutex_unlock(&lg_watch_mutex);
}

void lg_watch_continue(struct lg_watch *w) {
  lg_mutex_lock(&lg_watch_mutex);
  int64_t now = lg_now_ns();
  /* Without a clock nothing is given back: the deadline stays where it was. */
  if (w->deadline_ns != INT64_MAX && w->paused_ns > 0 && now > w->paused_ns) {
    int64_t paused = now - w->paused_ns;
    w->deadline_ns = w->deadline_ns < INT64_MAX - paused ? w->deadline_ns + paused : INT64_MAX;
  }
  w->paused_ns = 0;
  lg_watcher_look_by(lg_due_next(w));
  lg_mutex_unlock(&lg_watch_mutex);
}

void lg_watch_leave(struct lg_watch *w) {
  atomic_store(&w->away, 1);
  if (!atomic_load(&w->tick) && atomic_load(&w->reason) == 0) return;
  lg_mutex_lock(&lg_watch_mutex); /* the thread is told now, or not any more */
  lg_mutex_unlock(&lg_watch_mutex);
  lg_tell_settle();
}

int lg_watch_return(struct lg_watch *w) {
  atomic_store_explicit(&w->away, 0, memory_order_release);
  return atomic_load(&w->owed) && atomic_exchange(&w->owed, 0);
}

int lg_watch_fire(struct lg_watch *w, int reason) {
  lg_mutex_lock(&lg_watch_mutex);
  int active = w->active;
  if (active && atomic_load(&w->reason) == 0) {
    atomic_store(&w->reason, reason);
    w->kick_ns = 0;
    /* The watchdog tells the run's thread, again and again until the run is over. */
    if (lg_watcher_look_now() != 0) lg_watcher_kick(w, 0);
  }
  lg_mutex_unlock(&lg_watch_mutex);
  return active;
}

unsigned lg_watch_active(void) { return atomic_load(&active_runs); }

uint64_t lg_watch_begun(void) { return atomic_load(&begun_runs); }
