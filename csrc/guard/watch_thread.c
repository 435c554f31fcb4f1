#include "watch_thread.h"

#include <stddef.h>

#include "tell.h"
#include "watch_due.h"
#include "watch_list.h"

/* A watch that was told to end and has not, is told again: first after 1 ms, then at growing intervals. */
static const int64_t first_interval_ns = 1000000;
static const int64_t away_interval_ns = 10000000;

struct lg_watcher lg_watcher;
static uint32_t jitter = 1; /* under the mutex */

/* Between half and one and a half times as long: a signal with a lower number that comes together with ours each time would
 * hide where the thread was. */
static int64_t jittered(int64_t ns) {
  jitter ^= jitter << 13;
  jitter ^= jitter >> 17;
  jitter ^= jitter << 5;
  return ns / 2 + (int64_t)(jitter % (uint32_t)ns);
}

/* Either this sees lg_watch_leave(), or that sees the reason and waits for the mutex. */
void lg_watcher_kick(struct lg_watch *w, int64_t now) {
  if (atomic_load(&w->away)) {
    w->kick_ns = now + away_interval_ns;
    return;
  }
  lg_tell(w);
  w->interval_ns = w->interval_ns == 0 ? first_interval_ns : w->interval_ns * 2;
  if (w->interval_ns > w->interval_most_ns) w->interval_ns = w->interval_most_ns;
  w->kick_ns = now + jittered(w->interval_ns);
}

static void send_tick(struct lg_watch *w, int64_t now) {
  w->tick_ns = now + w->tick_every_ns;
  atomic_store(&w->tick, 1);
  if (atomic_load(&w->away)) { /* either this sees lg_watch_leave(), or that sees the tick and waits for the mutex */
    atomic_store(&w->tick, 0);
    atomic_store(&w->owed, 1);
    return;
  }
  lg_tell(w);
}

/* Look at every run; when to look again: -1 for soon, when no clock says when. */
static int64_t sweep(void) {
  int64_t now = lg_now_ns();
  int64_t next = INT64_MAX;
  for (struct lg_watch *w = lg_watch_runs; w != NULL; w = w->next) {
    int due = atomic_load(&w->reason);
    if (due == 0) {
      due = lg_due_reason(w, now);
      atomic_store(&w->reason, due);
      w->kick_ns = now;
    }
    if (due != 0 && (now < 0 || w->kick_ns <= now)) lg_watcher_kick(w, now);
    if (due == 0 && w->tick_ns <= now) send_tick(w, now);
    int64_t at = due != 0 ? w->kick_ns : lg_due_next(w);
    if (at < next) next = at;
  }
  return now < 0 && lg_watch_runs != NULL ? -1 : next;
}

static void watch(void) {
  lg_mutex_lock(&lg_watch_mutex);
  while (!lg_watcher.stopping) {
    lg_watcher.sleeping_until = sweep();
    if (lg_watcher.sleeping_until == INT64_MAX)
      lg_event_wait(&lg_watcher.wake, &lg_watch_mutex);
    else
      lg_event_wait_until(&lg_watcher.wake, &lg_watch_mutex, lg_watcher.sleeping_until);
  }
  lg_mutex_unlock(&lg_watch_mutex);
}

int lg_watcher_begin(void) {
  lg_watcher.sleeping_until = 0; /* it looks at the list before it sleeps */
  int rc = lg_thread_start(&lg_watcher.thread, watch);
  lg_watcher.started = rc == 0;
  return rc;
}

int lg_watcher_make_wake(void) {
  int rc = lg_event_make(&lg_watcher.wake);
  lg_watcher.wake_made = rc == 0;
  return rc;
}

int lg_watcher_look_now(void) {
  lg_watcher.sleeping_until = 0;
  if (!lg_watcher.started) return lg_watcher_begin();
  lg_event_wake(&lg_watcher.wake);
  return 0;
}

void lg_watcher_end_unwatched(void) {
  for (struct lg_watch *w = lg_watch_runs; w != NULL; w = w->next) {
    if (atomic_load(&w->reason) == 0) {
      int reason = lg_due_unwatched(w);
      if (reason == 0) continue;
      atomic_store(&w->reason, reason);
    }
    lg_watcher_kick(w, 0);
  }
}

void lg_watcher_stop(void) {
  if (!lg_watcher.started) return;
  lg_watcher.stopping = 1;
  lg_event_wake(&lg_watcher.wake);
  lg_mutex_unlock(&lg_watch_mutex);
  lg_thread_join(&lg_watcher.thread);
  lg_mutex_lock(&lg_watch_mutex);
  lg_watcher.stopping = 0;
  lg_watcher.started = 0;
}

int lg_watcher_renew(void) {
  lg_watcher.started = 0;
  lg_watcher.stopping = 0;
  return lg_watcher_make_wake(); /* where that fails, the next run tries again */
}
