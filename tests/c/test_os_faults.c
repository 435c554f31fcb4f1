/* Every call to the system that watchdog.c, state.c, hardstop.c, stackfloor.c, cputime_posix.c, buf.c and the meter make fails in
 * turn: once alone, and from that one on. Nothing hangs, nothing crashes, the status is right, and all is as good as new
 * as soon as the system is. run.py links this with -Wl,--wrap for each function named below; each round is a process of its
 * own, since what is tested sets itself up once per process. */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guard/cputime.h"
#include "guard/stackfloor.h"
#include "guard/state.h"
#include "guard/watchdog.h"
#include "lg_status.h"
#include "lg_test.h"

enum { MILLISECOND = 1000000, PATIENCE_S = 8 };

/* --- the system --- */

static atomic_ulong calls, refusals;
static atomic_ulong fail_at; /* 0: none */
static atomic_int fail_on;   /* those after it too */

static int refuse(void) {
  unsigned long at = atomic_load(&fail_at);
  unsigned long n = atomic_fetch_add(&calls, 1) + 1;
  int yes = at != 0 && (n == at || (atomic_load(&fail_on) && n > at));
  if (yes) atomic_fetch_add(&refusals, 1);
  return yes;
}

static void begin_faults(unsigned long at, int on) {
  atomic_store(&calls, 0);
  atomic_store(&refusals, 0);
  atomic_store(&fail_on, on);
  atomic_store(&fail_at, at);
}

static unsigned long end_faults(void) {
  atomic_store(&fail_at, 0);
  return atomic_load(&calls);
}

/* A function that answers with an error number. */
#define WRAP_CODE(name, code, parameters, arguments)                                                                   \
  int __real_##name parameters;                                                                                        \
  int __wrap_##name parameters;                                                                                        \
  int __wrap_##name parameters { return refuse() ? (code) : __real_##name arguments; }

/* A function that sets errno and answers `bad`. */
#define WRAP_ERRNO(type, name, bad, code, parameters, arguments)                                                       \
  type __real_##name parameters;                                                                                       \
  type __wrap_##name parameters;                                                                                       \
  type __wrap_##name parameters {                                                                                      \
    if (!refuse()) return __real_##name arguments;                                                                     \
    errno = (code);                                                                                                    \
    return (bad);                                                                                                      \
  }

WRAP_CODE(pthread_create, EAGAIN, (pthread_t * t, const pthread_attr_t *a, void *(*f)(void *), void *p), (t, a, f, p))
WRAP_CODE(pthread_attr_init, ENOMEM, (pthread_attr_t * a), (a))
WRAP_CODE(pthread_condattr_init, ENOMEM, (pthread_condattr_t * a), (a))
WRAP_CODE(pthread_condattr_setclock, EINVAL, (pthread_condattr_t * a, clockid_t c), (a, c))
WRAP_CODE(pthread_cond_init, EAGAIN, (pthread_cond_t * c, const pthread_condattr_t *a), (c, a))
WRAP_CODE(pthread_atfork, ENOMEM, (void (*b)(void), void (*p)(void), void (*c)(void)), (b, p, c))
WRAP_CODE(pthread_sigmask, EINVAL, (int how, const sigset_t *s, sigset_t *o), (how, s, o))
WRAP_CODE(pthread_getcpuclockid, ENOENT, (pthread_t t, clockid_t *c), (t, c))
WRAP_CODE(pthread_getattr_np, ENOENT, (pthread_t t, pthread_attr_t *a), (t, a))
WRAP_CODE(pthread_attr_getstack, EINVAL, (const pthread_attr_t *a, void **p, size_t *n), (a, p, n))
WRAP_CODE(pthread_attr_getguardsize, EINVAL, (const pthread_attr_t *a, size_t *n), (a, n))
WRAP_CODE(pthread_key_create, EAGAIN, (pthread_key_t * k, void (*f)(void *)), (k, f))
WRAP_CODE(pthread_setspecific, ENOMEM, (pthread_key_t k, const void *p), (k, p))
WRAP_ERRNO(int, sigaction, -1, EINVAL, (int s, const struct sigaction *n, struct sigaction *o), (s, n, o))
WRAP_ERRNO(int, clock_gettime, -1, EINVAL, (clockid_t c, struct timespec *t), (c, t))
WRAP_ERRNO(int, munmap, -1, ENOMEM, (void *p, size_t n), (p, n))
WRAP_ERRNO(int, mprotect, -1, ENOMEM, (void *p, size_t n, int a), (p, n, a))
WRAP_ERRNO(int, madvise, -1, EAGAIN, (void *p, size_t n, int a), (p, n, a))
WRAP_ERRNO(void *, mmap, MAP_FAILED, ENOMEM, (void *p, size_t n, int a, int b, int f, off_t o), (p, n, a, b, f, o))
WRAP_ERRNO(void *, malloc, NULL, ENOMEM, (size_t n), (n))
WRAP_ERRNO(void *, calloc, NULL, ENOMEM, (size_t n, size_t m), (n, m))
WRAP_ERRNO(void *, realloc, NULL, ENOMEM, (void *p, size_t n), (p, n))

void *__real_mremap(void *p, size_t o, size_t n, int f, ...);
void *__wrap_mremap(void *p, size_t o, size_t n, int f, ...);
void *__wrap_mremap(void *p, size_t o, size_t n, int f, ...) {
  if (!refuse()) return __real_mremap(p, o, n, f);
  errno = ENOMEM;
  return MAP_FAILED;
}

/* --- a run without Lua --- */

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
  atomic_store(&st->interrupt, LG_INT_NONE);
  lg_stop_here(&st->stop);
  st->stop.told_ns = 0;
  return lg_watch_begin(&st->watch, now, &limits, &lg_state_calls, os_error);
}

/* Until something ends the run. One that nothing ends is the hang that the alarm reports. */
static int until_fired(struct lg_state *st) {
  while (atomic_load(&st->interrupt) == LG_INT_NONE) (void)usleep(200);
  lg_watch_end(&st->watch);
  return atomic_load(&st->interrupt);
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
  char here = 0;
  const char *floor = lg_stack_floor();
  CHECK(floor != NULL && floor < &here);
  sigset_t blocked;
  CHECK_INT(pthread_sigmask(SIG_SETMASK, NULL, &blocked), 0);
  CHECK_INT(sigismember(&blocked, SIGURG), 0);
  lg_state_free(st);
}

/* --- the rounds; each returns how many calls it made while they could fail --- */

typedef unsigned long (*round_fn)(unsigned long at, int on);

/* A run from the first on in a process, that its deadline ends. */
static unsigned long first_run(unsigned long at, int on) {
  int os_error = 0;
  begin_faults(at, on);
  struct lg_state *st = new_state();
  char here = 0;
  const char *floor = lg_stack_floor();
  CHECK(floor != NULL && floor < &here);
  int status = st == NULL ? LG_NO_MEMORY : begin(st, 5 * MILLISECOND, 3600 * (int64_t)1000 * MILLISECOND, &os_error);
  if (status == LG_OK) {
    int reason = until_fired(st);
    CHECK(reason == LG_INT_TIMEOUT || reason == LG_INT_CPU); /* the second: its clock could not be read */
  } else if (st != NULL) {
    CHECK_INT(status, LG_OS_ERROR);
    CHECK(os_error != 0);
    CHECK_INT(lg_watch_active(), 0);
    CHECK_INT(lg_state_interrupt(st, LG_INT_HOST), 0);
  }
  CHECK(status == LG_OK || atomic_load(&refusals) > 0);
  unsigned long made = end_faults();
  lg_state_free(st);
  return made;
}

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

/* A run whose count of instructions stands still while its thread computes. */
static unsigned long still_run(unsigned long at, int on) {
  static const atomic_uint count;
  int os_error = 0;
  struct lg_state *st = new_state();
  CHECK(st != NULL);
  if (st == NULL) return 0;
  moves = &count;
  begin_faults(at, on);
  if (begin(st, 0, 0, &os_error) == LG_OK) {
    while (atomic_load(&st->interrupt) != LG_INT_STILL) continue; /* CPU time; it is asked in between */
    CHECK_INT(until_fired(st), LG_INT_STILL);
  } else {
    CHECK(os_error != 0 && atomic_load(&refusals) > 0);
  }
  unsigned long made = end_faults();
  moves = NULL;
  lg_state_free(st);
  return made;
}

/* What stands for a long step of Lua's: it looks at nothing but whether the system is of any help. */
static void long_step(void *ud) {
  const struct lg_state *st = ud;
  while (st->stop.text != NULL && (atomic_load(&refusals) == 0 || atomic_load(&st->interrupt) == LG_INT_NONE)) continue;
}

/* A run that does not end is given up, and its thread goes on as after any other. */
static unsigned long given_up_run(unsigned long at, int on) {
  struct lg_text text;
  int os_error = 0;
  struct lg_state *st = new_state();
  CHECK(st != NULL);
  if (st == NULL) return 0;
  st->stop.text = lg_text_find((const void *)(uintptr_t)long_step, &text) ? &text : NULL;
  insist = 1;
  begin_faults(at, on);
  if (begin(st, MILLISECOND, 0, &os_error) == LG_OK) {
    int given_up = lg_stop_call(&st->stop, long_step, st);
    CHECK(given_up || st->stop.text == NULL || atomic_load(&refusals) > 0);
    CHECK_INT(until_fired(st), LG_INT_TIMEOUT);
    CHECK_INT(lg_stop_in_lua(&st->stop, NULL), 0);
  }
  unsigned long made = end_faults();
  insist = 0;
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
    while (atomic_load(&st->interrupt) == LG_INT_NONE) continue; /* CPU time */
    CHECK_INT(until_fired(st), LG_INT_CPU);
  } else {
    CHECK(os_error != 0 && atomic_load(&refusals) > 0);
  }
  unsigned long made = end_faults();
  lg_state_free(st);
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
      atomic_store(&st->interrupt, LG_INT_NONE);
      do CHECK_INT(poll(NULL, 0, 5), 0);
      while (!atomic_load(&st->watch.owed) && atomic_load(&refusals) == 0);
      CHECK_INT(atomic_load(&st->interrupt), LG_INT_NONE);
      CHECK(lg_watch_return(&st->watch) || atomic_load(&refusals) > 0);
    }
    while (atomic_load(&st->interrupt) == LG_INT_NONE && atomic_load(&refusals) == 0) continue;
    CHECK(atomic_load(&st->interrupt) == LG_INT_TICK || atomic_load(&refusals) > 0);
    lg_watch_end(&st->watch);
  }
  unsigned long made = end_faults();
  tick_every_ns = 0;
  lg_state_free(st);
  return made;
}

/* Handlers of others for SIGURG: one that was there first, two that pass the signal on to what they found, and one that does
 * so by raising it anew, as Python's faulthandler does. */
enum { FIRST, SECOND, THIRD, RAISING, HANDLERS };
static struct sigaction theirs[HANDLERS], found[HANDLERS];
static atomic_int called[HANDLERS];

static void in_first(int sig) {
  (void)sig;
  atomic_fetch_add(&called[FIRST], 1);
}

static void pass_on(int who, int sig, siginfo_t *info, void *context) {
  const struct sigaction *to = &found[who];
  atomic_fetch_add(&called[who], 1);
  if (to->sa_flags & SA_SIGINFO)
    to->sa_sigaction(sig, info, context);
  else if (to->sa_handler != SIG_DFL && to->sa_handler != SIG_IGN)
    to->sa_handler(sig);
}

static void in_second(int sig, siginfo_t *info, void *context) { pass_on(SECOND, sig, info, context); }

static void in_third(int sig, siginfo_t *info, void *context) { pass_on(THIRD, sig, info, context); }

static void in_raising(int sig) {
  atomic_fetch_add(&called[RAISING], 1);
  (void)__real_sigaction(sig, &found[RAISING], NULL);
  (void)raise(sig);
  (void)__real_sigaction(sig, &theirs[RAISING], NULL);
}

static void put_in_front(int who) { CHECK_INT(__real_sigaction(SIGURG, &theirs[who], &found[who]), 0); }

static void *raise_there(void *unused) {
  (void)raise(SIGURG);
  return unused;
}

/* A run that is due puts our handler in front again. Then a signal of somebody else's, here and in a thread that has run
 * nothing, reaches the first `count` handlers once each. */
static void check_handlers(struct lg_state *st, int count) {
  for (int elsewhere = 0; elsewhere < 2; elsewhere++) {
    pthread_t thread;
    int os_error = 0;
    if (begin(st, MILLISECOND, 0, &os_error) != LG_OK) return;
    CHECK_INT(until_fired(st), LG_INT_TIMEOUT);
    for (int i = 0; i < HANDLERS; i++) atomic_store(&called[i], 0);
    if (elsewhere) {
      CHECK_INT(__real_pthread_create(&thread, NULL, raise_there, NULL), 0);
      CHECK_INT(pthread_join(thread, NULL), 0);
    } else {
      (void)raise(SIGURG);
    }
    for (int i = 0; i < HANDLERS && atomic_load(&refusals) == 0; i++) CHECK_INT(atomic_load(&called[i]), i < count);
  }
}

static unsigned long chained_handlers(unsigned long at, int on) {
  struct lg_state *st = new_state();
  CHECK(st != NULL);
  if (st == NULL) return 0;
  theirs[FIRST].sa_handler = in_first;
  theirs[SECOND].sa_sigaction = in_second;
  theirs[THIRD].sa_sigaction = in_third;
  theirs[SECOND].sa_flags = theirs[THIRD].sa_flags = SA_SIGINFO;
  theirs[RAISING].sa_handler = in_raising;
  theirs[RAISING].sa_flags = SA_NODEFER;
  begin_faults(at, on);
  for (int who = 0; who < HANDLERS; who++) {
    put_in_front(who);
    check_handlers(st, who + 1);
    if (who != THIRD) continue;
    put_in_front(SECOND); /* once more */
    check_handlers(st, who + 1);
  }
  unsigned long made = end_faults();
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
  while (by == BY_CPU && atomic_load(&st->interrupt) == LG_INT_NONE) continue; /* CPU time */
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

#ifndef LG_TEST_EMULATED
static unsigned long forked_interrupt(unsigned long at, int on) { return forked_run(at, on, BY_HOST); }
#endif

static void use_buffer(void) {
  struct lg_buf b = {0};
  size_t kept = 0;
  for (int i = 0; i < 40; i++) {
    static const char text[100] = "text";
    int rc = lg_buf_append(&b, text, sizeof text);
    kept += rc == 0 ? sizeof text : 0;
    CHECK_INT(b.len, kept);
    if (b.len > 0) CHECK(memcmp(b.data, text, 5) == 0);
  }
  lg_buf_reset(&b, 64);
  CHECK_INT(b.len, 0);
  lg_buf_free(&b);
}

/* Blocks of every kind, made, resized and freed, on the meter of a state. */
static unsigned long memory_of(size_t range, unsigned long at, int on) {
  enum { BLOCKS = 60 };
  static void *blocks[BLOCKS];
  static size_t sizes[BLOCKS];
  static struct lg_meter m;
  size_t expected = 0;
  lg_meter_init(&m);
  begin_faults(at, on);
  use_buffer();
  if (range != 0) CHECK(lg_arena_reserve(&m.arena, range) || atomic_load(&refusals) > 0);
  for (int i = 0; i < 6 * BLOCKS; i++) {
    int k = i % BLOCKS;
    size_t base = k % 3 == 0 ? 3000000 : k % 3 == 1 ? 20000 : 40;
    size_t wanted = i / BLOCKS == 3 ? 0 : base * (size_t)(1 + (i / BLOCKS) % 3);
    unsigned char *block = lg_meter_alloc(&m, blocks[k], blocks[k] == NULL ? 5 : sizes[k], wanted);
    if (block == NULL && wanted != 0) {
      CHECK(m.system_refused && atomic_load(&refusals) > 0);
      continue; /* what it held it still holds */
    }
    expected = expected - sizes[k] + wanted;
    blocks[k] = block;
    sizes[k] = wanted;
    if (block != NULL) block[0] = block[wanted - 1] = (unsigned char)k;
    CHECK_INT(m.current, expected);
    if (k == BLOCKS - 1) lg_arena_trim(&m.arena, m.peak);
  }
  for (int k = 0; k < BLOCKS; k++) {
    if (blocks[k] != NULL) CHECK_INT(*(unsigned char *)blocks[k], k);
    (void)lg_meter_alloc(&m, blocks[k], sizes[k], 0);
  }
  CHECK_INT(m.current, 0);
  lg_meter_close(&m);
  CHECK_INT(lg_meter_reserved(&m), 0);
  return end_faults();
}

static unsigned long memory(unsigned long at, int on) { return memory_of(0, at, on); }

static unsigned long memory_in_a_range(unsigned long at, int on) { return memory_of((size_t)1 << 28, at, on); }

/* An image that is taken and put back: what was there then is there again, and nothing else is. */
static unsigned long image(unsigned long at, int on) {
  static struct lg_meter m;
  static struct lg_image taken;
  unsigned char *blocks[3];
  static const size_t sizes[] = {40, 20000, 3000000};
  lg_meter_init(&m);
  begin_faults(at, on);
  int reserved = lg_arena_reserve(&m.arena, (size_t)1 << 28);
  CHECK(reserved || atomic_load(&refusals) > 0);
  for (int i = 0; i < 3; i++) {
    blocks[i] = lg_meter_alloc(&m, NULL, 5, sizes[i]);
    if (blocks[i] != NULL) memset(blocks[i], i + 1, sizes[i]);
  }
  size_t held = m.current;
  CHECK(lg_image_take(&taken, &m.arena) || atomic_load(&refusals) > 0);
  if (taken.data != NULL) {
    for (int i = 0; i < 3; i++) {
      if (blocks[i] != NULL) memset(blocks[i], 0xFF, sizes[i]);
      (void)lg_meter_alloc(&m, NULL, 5, sizes[i]);
    }
    lg_image_put_back(&taken, &m.arena, m.peak);
    m.current = held;
    for (int i = 0; i < 3; i++)
      if (blocks[i] != NULL) CHECK(blocks[i][0] == i + 1 && blocks[i][sizes[i] - 1] == i + 1);
  }
  for (int i = 0; i < 3; i++)
    if (blocks[i] != NULL) (void)lg_meter_alloc(&m, blocks[i], sizes[i], 0);
  CHECK_INT(m.current, 0);
  lg_image_drop(&taken, &m.arena);
  lg_meter_close(&m);
  CHECK_INT(lg_meter_reserved(&m), 0);
  return end_faults();
}

/* --- a process for every round --- */

static int report_fd;

/* Whether the round was clean; *made: the calls it made. */
static int one(round_fn round, const char *name, unsigned long at, int on, unsigned long *made) {
  int fds[2];
  if (pipe(fds) != 0) return 0;
  (void)fflush(NULL);
  pid_t child = fork();
  if (child == 0) {
    report_fd = fds[1];
    (void)alarm(PATIENCE_S);
    lg_test_checks = 0;
    lg_test_failures = 0;
    unsigned long seen = round(at, on);
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
  if (!clean) fprintf(stderr, "%s, call %lu%s: status %#x\n", name, at, on ? " and on" : "", (unsigned)status);
  return clean;
}

static void sweep(round_fn round, const char *name) {
  unsigned long most = 0;
  CHECK(one(round, name, 0, 0, &most));
  CHECK(most > 0);
  unsigned long rounds = 0;
  for (int on = 0; on < 2; on++) {
    unsigned long made = most;
    for (unsigned long at = 1; at <= made && at <= 2 * most; at++, rounds++) {
      CHECK(one(round, name, at, on, &made));
      if (made < most) made = most; /* a round that ended early: the calls after it fail in the other rounds */
      if (at > 60) at += at / 16;
    }
  }
  printf("%s: %lu calls, %lu rounds\n", name, most, rounds);
}

int main(void) {
  sweep(first_run, "first run");
  sweep(first_run_by_another_signal, "first run, another signal");
  sweep(cpu_run, "CPU time");
  sweep(still_run, "run that stands still");
  sweep(given_up_run, "run given up");
  sweep(paused_run, "paused run");
  sweep(ticked_run, "ticked run");
  sweep(chained_handlers, "chained handlers");
  sweep(tangled_runs, "tangled runs");
  sweep(forked_deadline, "fork, deadline");
  sweep(forked_cpu, "fork, CPU time");
#ifndef LG_TEST_EMULATED /* a child forked beside a thread hangs in qemu 7.2 now and then */
  sweep(forked_interrupt, "fork, interrupt");
#endif
  sweep(memory, "memory");
  sweep(memory_in_a_range, "memory in a range");
  sweep(image, "image");
  return lg_test_finish("test_os_faults");
}
