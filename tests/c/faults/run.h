/* A run without Lua: it begins, and its deadline, its CPU time, a tick or an interrupt ends it. The program says before what a
 * run does while it waits (rest) and what else must hold of its thread (check_thread). */
#ifndef LG_FAULTS_RUN_H
#define LG_FAULTS_RUN_H

#include "faults/refusing.h"
#include "guard/state.h"
#include "guard/watchdog.h"
#include "lg_status.h"
#include "lg_test.h"

enum { MILLISECOND = 1000000 };

static void rest(void);

static void check_thread(void);

static void state_close(struct lg_state *st) { (void)st; }

static void state_arm(struct lg_state *st) { (void)st; }

static const struct lg_ops ops = {.instance = "none", .close = state_close, .arm = state_arm};

static struct lg_state *new_state(void) {
  static const char *const names[] = {"one", "two"};
  static const char *const environ_pairs[] = {"NAME", "value"};
  return lg_state_new(&ops, 2, names, 1, environ_pairs);
}

/* Of the runs that begin: */
static int insist;
static int64_t tick_every_ns;
static const atomic_uint *moves;

static int begin(struct lg_state *st, int64_t timeout_ns, int64_t cpu_ns, int *os_error) {
  int64_t now = lg_now_ns();
  int64_t deadline = timeout_ns == 0 ? INT64_MAX : now + timeout_ns;
  const struct lg_watch_limits limits = {deadline, cpu_ns, tick_every_ns, insist, moves};
  *os_error = 0;
  atomic_store(&st->ending.flag, LG_INT_NONE);
  lg_stop_here(&st->stop);
  st->stop.told_ns = 0;
  return lg_watch_begin(&st->watch, now, &limits, &lg_state_calls, os_error);
}

/* Until something ends the run. One that nothing ends is the hang that a round's patience is for. */
static int until_fired(struct lg_state *st) {
  while (atomic_load(&st->ending.flag) == LG_INT_NONE) rest();
  lg_watch_end(&st->watch);
  return atomic_load(&st->ending.flag);
}

/* What must hold of a run that did not begin. */
static void check_unwatched(struct lg_state *st, int status, int os_error) {
  CHECK_INT(status, LG_OS_ERROR);
  CHECK(os_error != 0 && atomic_load(&refusals) > 0);
  CHECK_INT(lg_watch_active(), 0);
  CHECK_INT(lg_state_interrupt(st, LG_INT_HOST), 0);
}

/* What every round ends with, when the system works again. */
static void check_usable(void) {
  int os_error = 0;
  struct lg_state *st = new_state();
  CHECK(st != NULL);
  if (st == NULL) return;
  CHECK_INT(begin(st, 2 * MILLISECOND, 0, &os_error), LG_OK);
  CHECK_INT(until_fired(st), LG_INT_TIMEOUT);
  CHECK_INT(begin(st, 0, 0, &os_error), LG_OK);
  CHECK_INT(lg_state_interrupt(st, LG_INT_HOST), 1);
  CHECK_INT(until_fired(st), LG_INT_HOST);
  CHECK_INT(lg_state_interrupt(st, LG_INT_HOST), 0);
  CHECK_INT(lg_watch_active(), 0);
  check_thread();
  lg_state_free(st);
}

#endif
