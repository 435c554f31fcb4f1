/* Many threads run under watch at once: deadlines, CPU time, ticks and interrupts end their runs, and the process forks
 * meanwhile. Under ThreadSanitizer this looks for data races in the watchdog. Runs there are ended by their flag alone: that
 * tool calls a signal's handler later than the system does, with a context that is not the thread's any more. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guard/outcome.h"
#include "guard/watchdog.h"
#include "lg_status.h"
#include "lg_test.h"
#include "os/clock.h"

enum { THREADS = 4, RUNS = 150, FORKS = 20, MICROSECOND = 1000, MILLISECOND = 1000000 };

/* One thread's run after another. What is not atomic is written by the run's thread while it is under no watch. */
struct run {
  struct lg_watch watch; /* first */
  atomic_int flagged, ticks;
  atomic_uint moves;
  int over; /* nothing is told it any more */
  int told_too_late;
  int failures;
};

static struct run runs[THREADS];
static atomic_int threads_left = THREADS;

static void note(struct lg_watch *w, int reason) {
  struct run *r = (struct run *)(void *)w;
  if (r->over) r->told_too_late++;
  if (reason == LG_WATCH_TICK)
    atomic_fetch_add(&r->ticks, 1);
  else
    atomic_store(&r->flagged, reason);
}

static void fire(struct lg_watch *w, int reason, void *context) {
  (void)context;
  note(w, reason);
}

static const struct lg_watch_calls calls = {note, fire};

/* Ended by time, CPU time, a count that stands still, or an interrupt; each with ticks, some with a host function within. */
static struct lg_watch_limits limits_of(int number, struct run *r, int64_t now) {
  struct lg_watch_limits limits = {INT64_MAX, 0, (number % 3) * 300 * MICROSECOND, number % 2, NULL};
  if (number % 4 == 0) limits.deadline_ns = now + MILLISECOND;
  if (number % 4 == 1) limits.cpu_ns = MILLISECOND;
  if (number % 4 == 2) limits.moves = &r->moves;
  return limits;
}

static int run_once(struct run *r, int number) {
  int os_error = 0;
  int64_t now = lg_now_ns();
  const struct lg_watch_limits limits = limits_of(number, r, now);
  atomic_store(&r->flagged, 0);
  r->over = 0;
  if (lg_watch_begin(&r->watch, now, &limits, &calls, &os_error) != LG_OK) return 1;
  if (number % 5 == 0) {
    lg_watch_pause(&r->watch);
    lg_watch_leave(&r->watch);
    (void)usleep(200);
    (void)lg_watch_return(&r->watch);
    lg_watch_continue(&r->watch);
  }
  /* A system call, where ThreadSanitizer calls handlers. */
  while (atomic_load(&r->flagged) == 0) (void)usleep(number % 4 == 1 || number % 4 == 2 ? 0 : 50);
  int due = lg_watch_due(&r->watch);
  lg_watch_end(&r->watch);
  r->over = 1;
  return due == 0;
}

static void *run_many(void *ud) {
  struct run *r = ud;
  for (int i = 0; i < RUNS; i++) r->failures += run_once(r, i);
  atomic_fetch_sub(&threads_left, 1);
  return NULL;
}

/* Runs that nothing else ends are ended from here; others lose the race against this now and then. */
static void *interrupt_all(void *unused) {
  (void)unused;
  while (atomic_load(&threads_left) > 0) {
    for (int i = 0; i < THREADS; i++) (void)lg_watch_fire(&runs[i].watch, LG_WATCH_DEADLINE + 1);
    (void)usleep(700);
  }
  return NULL;
}

/* The child has no runs of other threads, and its own are watched. */
static int fork_once(void) {
  pid_t child = fork();
  if (child == 0) _exit(lg_watch_active() == 0 ? 0 : 1);
  int status = 0;
  return child < 0 || waitpid(child, &status, 0) != child || status != 0;
}

int main(void) {
  pthread_t threads[THREADS];
  pthread_t interrupter;
  int forks_failed = 0;
  for (int i = 0; i < THREADS; i++) CHECK_INT(pthread_create(&threads[i], NULL, run_many, &runs[i]), 0);
  CHECK_INT(pthread_create(&interrupter, NULL, interrupt_all, NULL), 0);
  for (int i = 0; i < FORKS && atomic_load(&threads_left) > 0; i++) {
    forks_failed += fork_once();
    (void)usleep(3000);
  }
  CHECK_INT(forks_failed, 0);
  for (int i = 0; i < THREADS; i++) {
    CHECK_INT(pthread_join(threads[i], NULL), 0);
    CHECK_INT(runs[i].failures, 0);
    CHECK_INT(runs[i].told_too_late, 0);
  }
  CHECK_INT(pthread_join(interrupter, NULL), 0);
  CHECK_INT(lg_watch_active(), 0);
  CHECK_INT(lg_watch_begun(), THREADS * RUNS);
  return lg_test_finish("test_threads");
}
