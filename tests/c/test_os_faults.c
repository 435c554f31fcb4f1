/* Every call to the system that the watchdog, telling a thread, the hard stop, stackfloor_posix.c, cputime_posix.c,
 * state.c, buf.c and the meter make fails in turn: once alone, and from that one on. Nothing hangs, nothing crashes, the
 * status is right, and all is as good as new as soon as the system is. run.py links this with -Wl,--wrap for each function
 * named in faults/calls_posix.h. */
#define _GNU_SOURCE
#include <limits.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "faults/calls_posix.h"
#include "faults/sweep.h"
#include "guard/cputime.h"
#include "guard/stackfloor.h"

enum { PATIENCE_S = 8 };

#include "faults/blocks_posix.h"
#include "faults/forks_posix.h"
#include "faults/handlers_posix.h"
#include "faults/rounds.h"

static void rest(void) { (void)usleep(200); }

static int text_of_steps(struct lg_text *text) { return lg_text_find((const void *)(uintptr_t)long_step, text); }

static void check_stack(void) {
  char here = 0;
  const char *floor = lg_stack_floor();
  CHECK(floor != NULL && floor < &here);
}

static void check_thread(void) {
  sigset_t blocked;
  check_stack();
  CHECK_INT(pthread_sigmask(SIG_SETMASK, NULL, &blocked), 0);
  CHECK_INT(sigismember(&blocked, SIGURG), 0);
}

/* --- rounds of POSIX systems --- */

/* The same with another signal: SIGURG's handler and mask stay as they are. */
static unsigned long first_run_by_another_signal(unsigned long at, int on) {
  struct sigaction action;
  sigset_t blocked;
  (void)sigemptyset(&blocked);
  (void)sigaddset(&blocked, SIGURG);
  CHECK_INT(pthread_sigmask(SIG_BLOCK, &blocked, NULL), 0);
  CHECK_INT(lg_watch_use_signal(SIGUSR2), LG_OK);
  unsigned long made = first_run(at, on);
  CHECK_INT(sigaction(SIGURG, NULL, &action), 0);
  CHECK(action.sa_handler == SIG_DFL);
  CHECK_INT(pthread_sigmask(SIG_SETMASK, NULL, &blocked), 0);
  CHECK_INT(sigismember(&blocked, SIGURG), 1);
  CHECK_INT(pthread_sigmask(SIG_UNBLOCK, &blocked, NULL), 0);
  return made;
}

/* A deadline that stands still for a while. */
static unsigned long paused_run(unsigned long at, int on) {
  int os_error = 0;
  struct lg_state *st = new_state();
  CHECK(st != NULL);
  if (st == NULL) return 0;
  begin_faults(at, on);
  if (begin(st, 5 * MILLISECOND, 0, &os_error) == LG_OK) {
    lg_watch_pause(&st->watch);
    (void)usleep(1000);
    lg_watch_continue(&st->watch);
    CHECK_INT(until_fired(st), LG_INT_TIMEOUT);
  }
  unsigned long made = end_faults();
  lg_state_free(st);
  return made;
}

/* Ticks break off no system call of a host function, and the one that came due is there afterwards. */
static unsigned long ticked_run(unsigned long at, int on) {
  int os_error = 0;
  struct lg_state *st = new_state();
  CHECK(st != NULL);
  if (st == NULL) return 0;
  tick_every_ns = MILLISECOND;
  begin_faults(at, on);
  if (begin(st, 0, 0, &os_error) == LG_OK) {
    for (int call = 0; call < 4; call++) {
      lg_watch_leave(&st->watch);
      atomic_store(&st->ending.flag, LG_INT_NONE);
      do CHECK_INT(poll(NULL, 0, 5), 0);
      while (!atomic_load(&st->watch.owed) && atomic_load(&refusals) == 0);
      CHECK_INT(atomic_load(&st->ending.flag), LG_INT_NONE);
      CHECK(lg_watch_return(&st->watch) || atomic_load(&refusals) > 0);
    }
    while (atomic_load(&st->ending.flag) == LG_INT_NONE && atomic_load(&refusals) == 0) continue;
    CHECK(atomic_load(&st->ending.flag) == LG_INT_TICK || atomic_load(&refusals) > 0);
    lg_watch_end(&st->watch);
  }
  unsigned long made = end_faults();
  tick_every_ns = 0;
  lg_state_free(st);
  return made;
}

/* Three runs of one thread that end in every order: each that is left is still ended by its own deadline, and none that is
 * over is looked at (it is freed, which AddressSanitizer watches). */
static unsigned long tangled_runs(unsigned long at, int on) {
  enum { RUNS = 3, ORDERS = 6 };
  static const int orders[ORDERS][RUNS] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
  int os_error = 0;
  begin_faults(at, on);
  for (int order = 0; order < ORDERS; order++) {
    struct lg_state *states[RUNS] = {NULL};
    for (int i = 0; i < RUNS; i++) {
      states[i] = new_state();
      if (states[i] != NULL && begin(states[i], (i + 1) * MILLISECOND, 0, &os_error) == LG_OK) continue;
      CHECK(atomic_load(&refusals) > 0);
      lg_state_free(states[i]);
      states[i] = NULL;
    }
    for (int i = 0; i < RUNS; i++) {
      struct lg_state *st = states[orders[order][i]];
      if (st != NULL) CHECK_INT(until_fired(st), LG_INT_TIMEOUT);
      lg_state_free(st);
    }
    CHECK_INT(lg_watch_active(), 0);
  }
  return end_faults();
}

/* --- a process for every round --- */

static int one(const struct lg_round *round, unsigned long at, int on, unsigned long *made) {
  int fds[2];
  if (pipe(fds) != 0) return 0;
  (void)fflush(NULL);
  pid_t child = fork();
  if (child == 0) {
    (void)alarm(PATIENCE_S);
    lg_test_checks = 0;
    lg_test_failures = 0;
    unsigned long seen = round->run(at, on);
    check_usable();
    unsigned long answer[2] = {seen, lg_test_checks};
    if (write(fds[1], answer, sizeof answer) != (ssize_t)sizeof answer) lg_test_failures++;
    exit(lg_test_failures != 0);
  }
  (void)close(fds[1]);
  unsigned long answer[2] = {0, 0};
  int status = -1;
  ssize_t got = read(fds[0], answer, sizeof answer);
  (void)waitpid(child, &status, 0);
  (void)close(fds[0]);
  *made = answer[0];
  lg_test_checks += (unsigned)answer[1];
  int clean = got == (ssize_t)sizeof answer && status == 0;
  if (!clean) report(round, at, on, status);
  return clean;
}

static const struct lg_round rounds[] = {
    {"first run", first_run, 1},
    {"first run, another signal", first_run_by_another_signal, 1},
    {"CPU time", cpu_run, 1},
    {"run that stands still", still_run, 1},
    {"run given up", given_up_run, 1},
    {"paused run", paused_run, 1},
    {"ticked run", ticked_run, 1},
    {"chained handlers", chained_handlers, 1},
    {"tangled runs", tangled_runs, 1},
    {"fork, deadline", forked_deadline, 1},
    {"fork, CPU time", forked_cpu, 1},
#ifndef LG_TEST_EMULATED
    {"fork, interrupt", forked_interrupt, 1},
#endif
    {"buffer", buffer, 1},
    {"memory", memory, 1},
    {"memory in a range", memory_in_a_range, 1},
    {"image", image, 1},
};

int main(void) {
  for (size_t i = 0; i < sizeof rounds / sizeof rounds[0]; i++) sweep(&rounds[i], 60, 16);
  return lg_test_finish("test_os_faults");
}
