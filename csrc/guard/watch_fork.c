#include "watch_fork.h"

#include <stddef.h>

#include "tell.h"
#include "watch_due.h"
#include "watch_list.h"
#include "watch_thread.h"

static lg_mutex forking = LG_MUTEX_INIT; /* taken before lg_watch_mutex */

/* The thread ends before a fork and begins again when there is something to watch, so that a process with one thread of its
 * own stays one: CPython 3.12 and later count the OS's threads and warn of forking with more than one. */
static void before_fork(void) {
  lg_mutex_lock(&forking);
  lg_mutex_lock(&lg_watch_mutex);
  for (struct lg_watch *w = lg_watch_current; w != NULL; w = w->outer) lg_due_note_cpu(w);
  lg_watcher_stop();
}

static void after_fork_parent(void) {
  if (lg_watch_runs != NULL && lg_watcher_start() != 0) lg_watcher_end_unwatched();
  lg_mutex_unlock(&lg_watch_mutex);
  lg_mutex_unlock(&forking);
}

static void after_fork_child(void) {
  lg_mutex_renew(&lg_watch_mutex);
  lg_mutex_renew(&forking);
  int rc = lg_watcher_renew();
  lg_watch_keep_own();
  for (struct lg_watch *w = lg_watch_runs; w != NULL; w = w->next) lg_due_renew_cpu(w);
  if (lg_watch_runs != NULL && (rc != 0 || lg_watcher_start() != 0)) lg_watcher_end_unwatched();
}

int lg_watch_handle_forks(void) { return lg_on_fork(before_fork, after_fork_parent, after_fork_child); }
