/* Runs during which the system refuses calls, the same on every system. Each returns how many calls it made while they could
 * fail. The program says before how a step's code is told from the rest (text_of_steps), and looks at the stack (check_stack). */
#ifndef LG_FAULTS_ROUNDS_H
#define LG_FAULTS_ROUNDS_H

#include "faults/run.h"

static int text_of_steps(struct lg_text *text);

static void check_stack(void);

/* A run from the first on in a process, that its deadline ends. */
static unsigned long first_run(unsigned long at, int on) {
  int os_error = 0;
  begin_faults(at, on);
  struct lg_state *st = new_state();
  check_stack();
  int status = st == NULL ? LG_NO_MEMORY : begin(st, 5 * MILLISECOND, 3600 * (int64_t)1000 * MILLISECOND, &os_error);
  if (status == LG_OK) {
    int reason = until_fired(st);
    CHECK(reason == LG_INT_TIMEOUT || reason == LG_INT_CPU); /* the second: its clock could not be read */
  } else if (st != NULL) {
    check_unwatched(st, status, os_error);
  }
  CHECK(status == LG_OK || atomic_load(&refusals) > 0);
  unsigned long made = end_faults();
  lg_state_free(st);
  return made;
}

/* A run that its CPU time ends. */
static unsigned long cpu_run(unsigned long at, int on) {
  int os_error = 0;
  struct lg_state *st = new_state();
  CHECK(st != NULL);
  if (st == NULL) return 0;
  begin_faults(at, on);
  int status = begin(st, 0, 2 * MILLISECOND, &os_error);
  if (status == LG_OK) {
    while (atomic_load(&st->ending.flag) == LG_INT_NONE) continue; /* CPU time */
    CHECK_INT(until_fired(st), LG_INT_CPU);
  } else {
    check_unwatched(st, status, os_error);
  }
  unsigned long made = end_faults();
  lg_state_free(st);
  return made;
}

/* A run whose count of instructions stands still while its thread computes. */
static unsigned long still_run(unsigned long at, int on) {
  static const atomic_uint count;
  int os_error = 0;
  struct lg_state *st = new_state();
  CHECK(st != NULL);
  if (st == NULL) return 0;
  moves = &count;
  begin_faults(at, on);
  int status = begin(st, 0, 0, &os_error);
  if (status == LG_OK) {
    while (atomic_load(&st->ending.flag) != LG_INT_STILL) continue; /* CPU time; it is asked in between */
    CHECK_INT(until_fired(st), LG_INT_STILL);
  } else {
    check_unwatched(st, status, os_error);
  }
  unsigned long made = end_faults();
  moves = NULL;
  lg_state_free(st);
  return made;
}

/* What stands for a long step of Lua's: it looks at nothing but whether the system is of any help. */
static void long_step(void *ud) {
  const struct lg_state *st = ud;
  while (st->stop.text != NULL && (atomic_load(&refusals) == 0 || atomic_load(&st->ending.flag) == LG_INT_NONE))
    continue;
}

/* A run that does not end is given up, and its thread goes on as after any other. */
static unsigned long given_up_run(unsigned long at, int on) {
  struct lg_text text;
  int os_error = 0;
  struct lg_state *st = new_state();
  CHECK(st != NULL);
  if (st == NULL) return 0;
  st->stop.text = text_of_steps(&text) ? &text : NULL;
  insist = 1;
  begin_faults(at, on);
  int status = begin(st, MILLISECOND, 0, &os_error);
  if (status == LG_OK) {
    int given_up = lg_stop_call(&st->stop, long_step, st);
    CHECK(given_up || st->stop.text == NULL || atomic_load(&refusals) > 0);
    CHECK_INT(until_fired(st), LG_INT_TIMEOUT);
    CHECK_INT(lg_stop_in_lua(&st->stop, NULL), 0);
  } else {
    check_unwatched(st, status, os_error);
  }
  unsigned long made = end_faults();
  insist = 0;
  lg_state_free(st);
  return made;
}

#endif
