#include "watchdog.h"

#include <errno.h>
#include <stddef.h>

#include "cputime.h"
#include "lg_status.h"
#include "tell.h"

/* A watch that was told to end and has not, is told again: first after 1 ms, then at growing intervals. */
static const int64_t first_interval_ns = 1000000;
static const int64_t last_interval_ns = 100000000;
static const int64_t insisting_ns = 4000000; /* the longest for a run that can be sent elsewhere */
static const int64_t away_interval_ns = 10000000;
static const int64_t moves_every_ns = 20000000; /* so often it is looked whether a count moves */

static lg_mutex mutex = LG_MUTEX_INIT;
static lg_event wake;
static struct lg_watch *runs;            /* under mutex */
static int64_t sleeping_until;           /* under mutex; the thread looks again at this time at the latest */
static int started;                      /* under mutex; the thread of this process exists */
static struct lg_thread watcher;         /* under mutex; that thread, when started */
static int stopping;                     /* under mutex; it is to end, because the process forks */
static int wake_made;                    /* under mutex */
static int forks_handled;                /* under mutex */
static uint32_t jitter = 1;              /* under mutex */
static lg_mutex forking = LG_MUTEX_INIT; /* taken before mutex: one fork at a time joins the thread */
static atomic_uint active_runs;
static atomic_ullong begun_runs;

LG_SIGNAL_LOCAL struct lg_watch *lg_watch_current;

/* Between half and one and a half times as long: a signal with a lower number that comes together with ours each time would
 * hide where the thread was. Under mutex. */
static int64_t jittered(int64_t ns) {
  jitter ^= jitter << 13;
  jitter ^= jitter >> 17;
  jitter ^= jitter << 5;
  return ns / 2 + (int64_t)(jitter % (uint32_t)ns);
}

/* Tell a due run's thread, unless it is in a host function: on its return the run looks by itself. Either this sees
 * lg_watch_leave(), or that sees the reason and waits for the mutex. Under mutex, so the run, and with it its thread, cannot
 * end meanwhile. */
static void kick(struct lg_watch *w, int64_t now) {
  if (atomic_load(&w->away)) {
    w->kick_ns = now + away_interval_ns;
    return;
  }
  lg_tell(w);
  w->interval_ns = w->interval_ns == 0 ? first_interval_ns : w->interval_ns * 2;
  if (w->interval_ns > w->interval_most_ns) w->interval_ns = w->interval_most_ns;
  w->kick_ns = now + jittered(w->interval_ns);
}

/* Whether a count of instructions has stood still for too long. Under mutex. */
static int stands_still(struct lg_watch *w, int64_t now) {
  if (w->moves == NULL || (now >= 0 && w->moves_look_ns > now)) return 0;
  w->moves_look_ns = now + moves_every_ns;
  int64_t used = lg_cpu_clock_ns(w->cpu_clock);
  if (used < 0) return 1;
  unsigned moves = atomic_load(w->moves);
  if (moves == w->moves_seen && w->moved_ns >= 0 && !atomic_load(&w->away)) {
    w->calls->flag(w, LG_WATCH_TICK);
    return used - w->moved_ns >= LG_WATCH_STILL_NS;
  }
  w->moves_seen = moves;
  w->moved_ns = used;
  return 0;
}

/* Whether a run's time is over, and for which reason. A clock that cannot be read enforces nothing: then it is over, too.
 * Under mutex. */
static int due_reason(struct lg_watch *w, int64_t now) {
  if (now < 0 && w->deadline_ns != INT64_MAX) return LG_WATCH_DEADLINE;
  if (w->deadline_ns <= now && w->paused_ns == 0) return LG_WATCH_DEADLINE;
  if (stands_still(w, now)) return LG_WATCH_STILL;
  if (w->cpu_check_ns == INT64_MAX || (now >= 0 && w->cpu_check_ns > now)) return 0;
  int64_t used = lg_cpu_clock_ns(w->cpu_clock);
  if (used < 0 || used >= w->cpu_limit_ns) return LG_WATCH_CPU;
  w->cpu_check_ns = now + (w->cpu_limit_ns - used);
  return 0;
}

/* When a run that is not due wants to be looked at. */
static int64_t next_look(const struct lg_watch *w) {
  int64_t at = w->paused_ns == 0 ? w->deadline_ns : INT64_MAX;
  if (w->cpu_check_ns < at) at = w->cpu_check_ns;
  if (w->moves != NULL && w->moves_look_ns < at) at = w->moves_look_ns;
  return w->tick_ns < at ? w->tick_ns : at;
}

/* Under mutex. */
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

/* Look at every run; when to look again: -1 for soon, when no clock says when. Under mutex. */
static int64_t sweep(void) {
  int64_t now = lg_now_ns();
  int64_t next = INT64_MAX;
  for (struct lg_watch *w = runs; w != NULL; w = w->next) {
    int due = atomic_load(&w->reason);
    if (due == 0) {
      due = due_reason(w, now);
      atomic_store(&w->reason, due);
      w->kick_ns = now;
    }
    if (due != 0 && (now < 0 || w->kick_ns <= now)) kick(w, now);
    if (due == 0 && w->tick_ns <= now) send_tick(w, now);
    int64_t at = due != 0 ? w->kick_ns : next_look(w);
    if (at < next) next = at;
  }
  return now < 0 && runs != NULL ? -1 : next;
}

static void watch(void) {
  lg_mutex_lock(&mutex);
  while (!stopping) {
    sleeping_until = sweep();
    if (sleeping_until == INT64_MAX)
      lg_event_wait(&wake, &mutex);
    else
      lg_event_wait_until(&wake, &mutex, sleeping_until);
  }
  lg_mutex_unlock(&mutex);
}

/* Under mutex. 0 or an error number. */
static int start_thread(void) {
  sleeping_until = 0; /* it looks at the list before it sleeps */
  int rc = lg_thread_start(&watcher, watch);
  started = rc == 0;
  return rc;
}

/* No thread can be had to watch the runs under way: end those with limits, rather than let them go on without. Under
 * mutex. */
static void end_unwatched(void) {
  for (struct lg_watch *w = runs; w != NULL; w = w->next) {
    if (atomic_load(&w->reason) == 0) {
      if (w->deadline_ns == INT64_MAX && w->cpu_check_ns == INT64_MAX && w->moves == NULL) continue;
      int budget_or_cpu = w->cpu_check_ns != INT64_MAX ? LG_WATCH_CPU : LG_WATCH_STILL;
      atomic_store(&w->reason, w->deadline_ns != INT64_MAX ? LG_WATCH_DEADLINE : budget_or_cpu);
    }
    kick(w, 0);
  }
}

/* The clock of a thread that forks is not to be read in the child: keep what its runs have left. Under mutex. */
static void note_cpu_left(void) {
  for (struct lg_watch *w = lg_watch_current; w != NULL; w = w->outer) {
    if (w->cpu_check_ns == INT64_MAX) continue;
    int64_t used = lg_cpu_clock_ns(w->cpu_clock);
    w->cpu_left_ns = used < 0 ? 0 : w->cpu_limit_ns - used;
  }
}

/* In the child: the run's thread has another clock, which begins anew. Without one the limit is passed. */
static void renew_cpu_limit(struct lg_watch *w) {
  w->moved_ns = -1;
  if (w->cpu_clock == 0) return;
  w->cpu_clock = lg_cpu_clock_here();
  if (w->cpu_check_ns == INT64_MAX) return;
  int64_t used = w->cpu_clock == 0 ? -1 : lg_cpu_clock_ns(w->cpu_clock);
  w->cpu_limit_ns = used < 0 ? 0 : w->cpu_left_ns < INT64_MAX - used ? used + w->cpu_left_ns : INT64_MAX;
  w->cpu_check_ns = 0; /* the first look finds out when the next one is due */
}

/* The thread ends before a fork and begins again when there is something to watch, so that a process with one thread of its
 * own stays one: CPython 3.12 and later count the OS's threads and warn of forking with more than one. */
static void before_fork(void) {
  lg_mutex_lock(&forking);
  lg_mutex_lock(&mutex);
  note_cpu_left();
  if (!started) return;
  stopping = 1;
  lg_event_wake(&wake);
  lg_mutex_unlock(&mutex);
  lg_thread_join(&watcher);
  lg_mutex_lock(&mutex);
  stopping = 0;
  started = 0;
}

static void after_fork_parent(void) {
  if (runs != NULL && !started && start_thread() != 0) end_unwatched();
  lg_mutex_unlock(&mutex);
  lg_mutex_unlock(&forking);
}

/* The child has one thread, and only that thread's runs. */
static void after_fork_child(void) {
  lg_mutex_renew(&mutex);
  lg_mutex_renew(&forking);
  wake_made = lg_event_make(&wake) == 0; /* else the next run tries again */
  started = 0;
  stopping = 0;
  runs = NULL;
  unsigned count = 0;
  for (struct lg_watch *w = lg_watch_current; w != NULL; w = w->outer, count++) {
    w->prev = NULL;
    w->next = runs;
    if (runs != NULL) runs->prev = w;
    runs = w;
    renew_cpu_limit(w);
  }
  atomic_store(&active_runs, count);
  if (runs != NULL && (!wake_made || start_thread() != 0)) end_unwatched();
}

/* Take a run off the list. Under mutex. */
static void unlink_run(struct lg_watch *w) {
  if (w->prev != NULL)
    w->prev->next = w->next;
  else
    runs = w->next;
  if (w->next != NULL) w->next->prev = w->prev;
  w->active = 0;
  atomic_fetch_sub(&active_runs, 1);
}

void lg_watch_leave_runs(void) {
  if (lg_watch_current == NULL) return;
  lg_mutex_lock(&mutex);
  for (struct lg_watch *w = lg_watch_current; w != NULL; w = w->outer) unlink_run(w);
  lg_watch_current = NULL;
  lg_mutex_unlock(&mutex);
}

/* What is done once per process; what was done before a failure is kept. Under mutex. 0 or an error number. */
static int prepare(void) {
  if (wake_made && forks_handled) return 0;
  int rc = wake_made ? 0 : lg_event_make(&wake);
  wake_made = rc == 0;
  if (rc == 0 && !forks_handled) {
    rc = lg_on_fork(before_fork, after_fork_parent, after_fork_child);
    forks_handled = rc == 0;
  }
  return rc;
}

/* Have the thread look at this run in time. Under mutex. */
static void look_by(int64_t at) {
  if (at >= sleeping_until) return;
  sleeping_until = at;
  lg_event_wake(&wake);
}

/* 0, or the error number of the CPU clock. */
static int set_limits(struct lg_watch *w, int64_t now_ns, const struct lg_watch_limits *limits) {
  w->deadline_ns = limits->deadline_ns;
  w->tick_every_ns = limits->tick_every_ns;
  w->tick_ns = limits->tick_every_ns > 0 ? now_ns + limits->tick_every_ns : INT64_MAX;
  w->interval_most_ns = limits->insist ? insisting_ns : last_interval_ns;
  w->moves = limits->moves;
  w->moved_ns = -1;
  w->moves_look_ns = now_ns + moves_every_ns;
  w->cpu_check_ns = INT64_MAX;
  w->cpu_clock = 0;
  w->paused_ns = 0;
  if (limits->cpu_ns <= 0 && limits->moves == NULL) return 0;
  w->cpu_clock = lg_cpu_clock_here();
  int64_t used = w->cpu_clock == 0 ? -1 : lg_cpu_clock_ns(w->cpu_clock);
  if (used < 0) return errno;
  if (limits->cpu_ns <= 0) return 0;
  w->cpu_limit_ns = limits->cpu_ns < INT64_MAX - used ? used + limits->cpu_ns : INT64_MAX;
  if (limits->cpu_ns < INT64_MAX - now_ns) w->cpu_check_ns = now_ns + limits->cpu_ns;
  return 0;
}

/* What can be set up without the mutex. 0 or an error number. */
static int set_up(struct lg_watch *w, int64_t now_ns, const struct lg_watch_limits *limits) {
  if (now_ns < 0) return errno; /* lg_now_ns() failed */
  return set_limits(w, now_ns, limits);
}

int lg_watch_use_signal(int signal_number) {
  lg_mutex_lock(&mutex);
  int status = lg_tell_use_signal(signal_number);
  lg_mutex_unlock(&mutex);
  return status;
}

int lg_watch_begin(struct lg_watch *w, int64_t now_ns, const struct lg_watch_limits *limits,
                   const struct lg_watch_calls *calls, int *os_error) {
  int rc = set_up(w, now_ns, limits);
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
  lg_mutex_lock(&mutex);
  rc = prepare();
  if (rc == 0) rc = lg_tell_enter(w);
  if (rc == 0 && !started) rc = start_thread();
  if (rc != 0) {
    lg_mutex_unlock(&mutex);
    *os_error = rc;
    return LG_OS_ERROR;
  }
  w->prev = NULL;
  w->next = runs;
  if (runs != NULL) runs->prev = w;
  runs = w;
  w->active = 1;
  w->outer = lg_watch_current;
  atomic_signal_fence(memory_order_release); /* the handler finds no run that does not lead on to the others */
  lg_watch_current = w;
  look_by(next_look(w));
  atomic_fetch_add(&active_runs, 1);
  lg_mutex_unlock(&mutex);
  atomic_fetch_add(&begun_runs, 1);
  return LG_OK;
}

void lg_watch_end(struct lg_watch *w) {
  struct lg_watch **at = &lg_watch_current;
  lg_mutex_lock(&mutex);
  if (w->active) unlink_run(w); /* else its thread has left its runs: lg_watch_leave_runs() */
  while (*at != NULL && *at != w) at = &(*at)->outer;
  if (*at != NULL) *at = w->outer; /* from here on a signal handler finds this run no more */
  lg_mutex_unlock(&mutex);
}

void lg_watch_pause(struct lg_watch *w) {
  lg_mutex_lock(&mutex);
  w->paused_ns = lg_now_ns();
  lg_mutex_unlock(&mutex);
}

void lg_watch_continue(struct lg_watch *w) {
  lg_mutex_lock(&mutex);
  int64_t now = lg_now_ns();
  /* Without a clock nothing is given back: the deadline stays where it was. */
  if (w->deadline_ns != INT64_MAX && w->paused_ns > 0 && now > w->paused_ns) {
    int64_t paused = now - w->paused_ns;
    w->deadline_ns = w->deadline_ns < INT64_MAX - paused ? w->deadline_ns + paused : INT64_MAX;
  }
  w->paused_ns = 0;
  look_by(next_look(w));
  lg_mutex_unlock(&mutex);
}

void lg_watch_leave(struct lg_watch *w) {
  atomic_store(&w->away, 1);
  if (!atomic_load(&w->tick) && atomic_load(&w->reason) == 0) return;
  lg_mutex_lock(&mutex); /* the thread is told now, or not any more */
  lg_mutex_unlock(&mutex);
  lg_tell_settle();
}

int lg_watch_return(struct lg_watch *w) {
  atomic_store_explicit(&w->away, 0, memory_order_release);
  return atomic_load(&w->owed) && atomic_exchange(&w->owed, 0);
}

int lg_watch_fire(struct lg_watch *w, int reason) {
  lg_mutex_lock(&mutex);
  int active = w->active;
  if (active && atomic_load(&w->reason) == 0) {
    atomic_store(&w->reason, reason);
    w->kick_ns = 0;
    sleeping_until = 0; /* the watchdog tells the run's thread, again and again until the run is over */
    if (started || start_thread() == 0)
      lg_event_wake(&wake);
    else
      kick(w, 0);
  }
  lg_mutex_unlock(&mutex);
  return active;
}

unsigned lg_watch_active(void) { return atomic_load(&active_runs); }

uint64_t lg_watch_begun(void) { return atomic_load(&begun_runs); }
