/* A fork in the middle of a run, after which the system refuses calls in both processes. */
#ifndef LG_FAULTS_FORKS_POSIX_H
#define LG_FAULTS_FORKS_POSIX_H

#include <sys/wait.h>
#include <unistd.h>

#include "faults/calls_posix.h"
#include "faults/run.h"

/* What is to end a run in a parent and in its child. */
enum { BY_HOST, BY_DEADLINE, BY_CPU, CPU_LIMIT = 30 * MILLISECOND };

static int64_t cpu_here(void) {
  struct timespec used;
  CHECK_INT(__real_clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used), 0);
  return (int64_t)used.tv_sec * 1000 * MILLISECOND + used.tv_nsec;
}

static void end_forked(struct lg_state *st, int by) {
  static const int reasons[] = {LG_INT_HOST, LG_INT_TIMEOUT, LG_INT_CPU};
  if (by == BY_HOST) CHECK_INT(lg_state_interrupt(st, LG_INT_HOST), 1);
  while (by == BY_CPU && atomic_load(&st->ending.flag) == LG_INT_NONE) continue; /* CPU time */
  CHECK_INT(until_fired(st), reasons[by]);
}

/* Run the rest of a round in a child that forks in the middle of a run; what fails there fails the round. */
static unsigned long in_child(struct lg_state *st, unsigned long at, int on, int by) {
  int pipe_fds[2];
  CHECK_INT(pipe(pipe_fds), 0);
  int64_t used = cpu_here();
  begin_faults(at, on);
  pid_t child = fork(); /* its handlers' calls count in both processes */
  if (child == 0) {
    (void)alarm(PATIENCE_S);
    end_forked(st, by);
    /* This process's clock began with it. What the parent's thread had used of the limit is all it had used, and more. */
    if (by == BY_CPU) CHECK(atomic_load(&refusals) > 0 || cpu_here() + used + 5 * MILLISECOND > CPU_LIMIT);
    unsigned long made = end_faults();
    check_usable();
    lg_state_free(st);
    if (write(pipe_fds[1], &made, sizeof made) != (ssize_t)sizeof made) lg_test_failures++;
    exit(lg_test_failures != 0);
  }
  CHECK(child > 0);
  end_forked(st, by);
  unsigned long made = end_faults();
  int status = -1;
  CHECK_INT(waitpid(child, &status, 0), child);
  CHECK_INT(status, 0);
  unsigned long made_there = 0;
  CHECK_INT(read(pipe_fds[0], &made_there, sizeof made_there), (ssize_t)sizeof made_there);
  (void)close(pipe_fds[0]);
  (void)close(pipe_fds[1]);
  return made_there > made ? made_there : made;
}

static unsigned long forked_run(unsigned long at, int on, int by) {
  int os_error = 0;
  struct lg_state *st = new_state();
  CHECK(st != NULL);
  if (st == NULL) return 0;
  CHECK_INT(begin(st, by == BY_DEADLINE ? 20 * MILLISECOND : 0, by == BY_CPU ? CPU_LIMIT : 0, &os_error), LG_OK);
  unsigned long made = in_child(st, at, on, by);
  lg_state_free(st);
  return made;
}

static unsigned long forked_deadline(unsigned long at, int on) { return forked_run(at, on, BY_DEADLINE); }

static unsigned long forked_cpu(unsigned long at, int on) { return forked_run(at, on, BY_CPU); }

#ifndef LG_TEST_EMULATED /* a child forked beside a thread hangs in qemu 7.2 now and then */
static unsigned long forked_interrupt(unsigned long at, int on) { return forked_run(at, on, BY_HOST); }
#endif

#endif
