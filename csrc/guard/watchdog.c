#define _GNU_SOURCE
#include "watchdog.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <time.h>

#include "cputime.h"
#include "lg_status.h"

/* A watch that was told to end and has not, is told again: first after 1 ms, then at growing intervals. */
static const int64_t first_interval_ns = 1000000;
static const int64_t last_interval_ns = 100000000;
static const int64_t insisting_ns = 4000000; /* the longest for a run that can be sent elsewhere */
static const int64_t away_interval_ns = 10000000;
static const int64_t moves_every_ns = 20000000; /* so often it is looked whether a count moves */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake;
static struct lg_watch *runs;          /* under mutex */
static int64_t sleeping_until;         /* under mutex; the thread looks again at this time at the latest */
static int started;                    /* under mutex; the thread of this process exists */
static pthread_t watcher;              /* under mutex; that thread, when started */
static int stopping;                   /* under mutex; it is to end, because the process forks */
static int prepared;                   /* under mutex; condition and fork handlers are in place */
static int condition_made;             /* under mutex; of these, what must not be done twice */
static int forks_handled;              /* under mutex */
static int handler_installed;          /* under mutex */
static atomic_int the_signal = SIGURG; /* written under mutex, until the handler is installed */
static uint32_t jitter = 1;            /* under mutex */
static atomic_int exits_handled;       /* written under mutex; the key below is there */
static pthread_key_t exiting;          /* its destructor is how the end of a thread is noticed */
static pthread_mutex_t forking =
    PTHREAD_MUTEX_INITIALIZER; /* taken before mutex: one fork at a time joins the thread */
static atomic_uint active_runs;
static atomic_ullong begun_runs;

/* What our handler stands in front of. A slot is written once (under mutex), before `order` names it; slot 0 is none. Each
 * digit of `order` is a slot, the lowest the handler that was there last; written under mutex. */
enum { LG_EARLIER_MOST = 7, LG_DIGIT_BITS = 4, LG_DIGIT = 15 };
static struct sigaction earlier[LG_EARLIER_MOST + 1];
static unsigned earlier_count;
static atomic_uint order;

/* The run of this thread that began last; the others hang on it. Read by the signal handler, where it must not be allocated
 * lazily: on glibc it lives in the static TLS block, and musl allocates every thread's TLS when the library is loaded. macOS
 * allocates a thread's at its first use, so in a thread that has run nothing the handler does not ask (ran_here()). */
#ifdef __GLIBC__
__attribute__((tls_model("initial-exec")))
#endif
static _Thread_local struct lg_watch *current;
#ifdef __GLIBC__
__attribute__((tls_model("initial-exec")))
#endif
static _Thread_local unsigned chained; /* how many calls of chain() this thread is in */
static _Thread_local int unblocked;    /* the signal that is, or 0 */
static _Thread_local int exit_noted;

int64_t lg_now_ns(void) {
  struct timespec ts;
  if (clock_gettime(CLOCK_MONOTONIC, &ts) != 0) return -1;
  return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* Whether this thread has begun a run since it started. pthread_getspecific() is not on POSIX's list of what a handler may
 * call; in the C libraries of Linux, macOS and FreeBSD it only reads. */
static int ran_here(void) { return atomic_load(&exits_handled) && pthread_getspecific(exiting) == &runs; }

#ifdef __APPLE__
/* The key's value in a thread that has run nothing says the same as `chained`: macOS only stores it. */
static const char levels[LG_EARLIER_MOST + 1];

static unsigned chain_depth(void) {
  if (ran_here()) return chained;
  const char *level = atomic_load(&exits_handled) ? pthread_getspecific(exiting) : NULL;
  return level == NULL ? 0 : (unsigned)(level - levels);
}

/* 0 or an error number. */
static int set_chain_depth(unsigned depth) {
  if (!ran_here()) return pthread_setspecific(exiting, depth == 0 ? NULL : levels + depth);
  chained = depth;
  return 0;
}
#else
static unsigned chain_depth(void) { return chained; }

static int set_chain_depth(unsigned depth) {
  chained = depth;
  return 0;
}
#endif

/* Call a handler as the system would: one that passes the signal on by raising it anew asks to get it at once. It would get
 * it for ever if it came later. */
static void call_handler(const struct sigaction *to, int sig, siginfo_t *info, void *context) {
  sigset_t set;
  sigset_t before;
  int open = to->sa_flags & SA_NODEFER;
  (void)sigemptyset(&set);
  (void)sigaddset(&set, sig);
  if (open && pthread_sigmask(SIG_UNBLOCK, &set, &before) != 0) return;
  if (to->sa_flags & SA_SIGINFO)
    to->sa_sigaction(sig, info, context);
  else
    to->sa_handler(sig);
  if (open) (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* Somebody else's signal goes to the handler that was there last. One that was put over ours may pass it on to ours: that
 * call, inside of this one, goes to the one before, and so on, so that each is called once and none for ever. */
static void chain(int sig, siginfo_t *info, void *context) {
  unsigned depth = chain_depth();
  unsigned slot = depth < LG_EARLIER_MOST ? atomic_load(&order) >> (depth * LG_DIGIT_BITS) & LG_DIGIT : 0;
  const struct sigaction *to = &earlier[slot];
  /* Without SA_SIGINFO too the handler's address stands where sa_handler does. SIGURG's default is to do nothing. */
  if (slot == 0 || to->sa_handler == SIG_DFL || to->sa_handler == SIG_IGN) return;
  if (set_chain_depth(depth + 1) != 0) return;
  call_handler(to, sig, info, context);
  (void)set_chain_depth(depth);
}

static void handle(int sig, siginfo_t *info, void *context);

/* Whether the kernel calls our handler for the signal: a context that another handler hands on need not be the thread's. */
static int on_top(int sig) {
  struct sigaction now;
  return sigaction(sig, NULL, &now) == 0 && (now.sa_flags & SA_SIGINFO) && now.sa_sigaction == handle;
}

/* On the thread of a run that is due, or on any thread for somebody else's signal of the same number. */
static void handle(int sig, siginfo_t *info, void *context) {
  int saved = errno;
  int ours = 0;
  void *own = chain_depth() == 0 && on_top(sig) ? context : NULL;
  for (struct lg_watch *w = ran_here() ? current : NULL; w != NULL; w = w->outer) {
    int reason = atomic_load(&w->reason);
    int tick = atomic_exchange(&w->tick, 0);
    if (tick && reason == 0) reason = LG_WATCH_TICK;
    if (reason == 0) continue;
    ours = 1;
    if (!atomic_load(&w->away))
      w->fire(w, reason, own);
    else if (tick) /* the signal is an inner run's, or came late: this run looks when its host function returns */
      atomic_store(&w->owed, 1);
  }
  if (!ours || chain_depth() > 0) chain(sig, info, context);
  errno = saved;
}

static int same_handler(const struct sigaction *a, const struct sigaction *b) {
  const int flags = SA_SIGINFO | SA_NODEFER;
  if ((a->sa_flags & flags) != (b->sa_flags & flags)) return 0;
  return a->sa_flags & SA_SIGINFO ? a->sa_sigaction == b->sa_sigaction : a->sa_handler == b->sa_handler;
}

/* Have chain() call this handler first. When there have been too many different ones, it is left out. Under mutex. */
static void remember_handler(const struct sigaction *found) {
  unsigned slot = 1;
  while (slot <= earlier_count && !same_handler(&earlier[slot], found)) slot++;
  if (slot > LG_EARLIER_MOST) return;
  if (slot > earlier_count) earlier[++earlier_count] = *found;
  unsigned digits = slot;
  int bits = LG_DIGIT_BITS;
  for (unsigned rest = atomic_load(&order); rest != 0; rest >>= LG_DIGIT_BITS) {
    if ((rest & LG_DIGIT) == slot) continue;
    digits |= (rest & LG_DIGIT) << bits;
    bits += LG_DIGIT_BITS;
  }
  atomic_store(&order, digits);
}

/* Put our handler in front of what is there. Under mutex. 0 or errno. */
static int install_handler(void) {
  struct sigaction now;
  if (sigaction(atomic_load(&the_signal), NULL, &now) != 0) return errno;
  if ((now.sa_flags & SA_SIGINFO) && now.sa_sigaction == handle) return 0;
  struct sigaction ours = {0};
  ours.sa_sigaction = handle;
  ours.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
  (void)sigemptyset(&ours.sa_mask);
  unsigned before = atomic_load(&order);
  remember_handler(&now);
  if (sigaction(atomic_load(&the_signal), &ours, NULL) == 0) return 0;
  int rc = errno;
  atomic_store(&order, before);
  return rc;
}

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
  (void)install_handler();
  (void)pthread_kill(w->thread, atomic_load(&the_signal));
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
    w->fire(w, LG_WATCH_ASK, NULL);
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
  (void)install_handler(); /* as in kick(): a run without a deadline has nothing but ticks */
  (void)pthread_kill(w->thread, atomic_load(&the_signal));
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

/* Wait without a clock. Under mutex, which is free meanwhile. */
static void nap(void) {
  const struct timespec ts = {0, (long)first_interval_ns};
  (void)pthread_mutex_unlock(&mutex);
  (void)nanosleep(&ts, NULL);
  (void)pthread_mutex_lock(&mutex);
}

static void wait_until(int64_t at) {
  if (at == INT64_MAX) {
    (void)pthread_cond_wait(&wake, &mutex);
    return;
  }
#ifdef __APPLE__
  /* Conditions wait for a span there, not until a time: one reading of the clock more, which may fail. */
  int64_t now = lg_now_ns();
  int64_t ns = at < 0 || now < 0 ? -1 : at > now ? at - now : 0;
#else
  int64_t ns = at;
#endif
  if (ns < 0) {
    nap();
    return;
  }
  const struct timespec ts = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
#ifdef __APPLE__
  (void)pthread_cond_timedwait_relative_np(&wake, &mutex, &ts);
#else
  (void)pthread_cond_timedwait(&wake, &mutex, &ts);
#endif
}

static void *watch_thread(void *unused) {
  /* No signal is ever this thread's. It sees to that itself: blocking them around pthread_create() could leave the run's
   * own thread deaf. */
  sigset_t all;
  (void)unused;
  (void)sigfillset(&all);
  (void)pthread_sigmask(SIG_SETMASK, &all, NULL);
  (void)pthread_mutex_lock(&mutex);
  while (!stopping) {
    sleeping_until = sweep();
    wait_until(sleeping_until);
  }
  (void)pthread_mutex_unlock(&mutex);
  return NULL;
}

static int make_condition(void) {
  pthread_condattr_t attr;
  int rc = pthread_condattr_init(&attr);
  if (rc != 0) return rc;
#ifndef __APPLE__
  rc = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
#endif
  if (rc == 0) rc = pthread_cond_init(&wake, &attr);
  (void)pthread_condattr_destroy(&attr);
  condition_made = rc == 0;
  return rc;
}

/* Start the thread. Under mutex. 0 or an error number. */
static int start_thread(void) {
  pthread_attr_t attr;
  int rc = pthread_attr_init(&attr);
  if (rc != 0) return rc;
  (void)pthread_attr_setstacksize(&attr, 256 * 1024);
  sleeping_until = 0; /* it looks at the list before it sleeps */
  rc = pthread_create(&watcher, &attr, watch_thread, NULL);
  started = rc == 0;
  (void)pthread_attr_destroy(&attr);
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
  for (struct lg_watch *w = current; w != NULL; w = w->outer) {
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
  (void)pthread_mutex_lock(&forking);
  (void)pthread_mutex_lock(&mutex);
  note_cpu_left();
  if (!started) return;
  stopping = 1;
  (void)pthread_cond_signal(&wake);
  (void)pthread_mutex_unlock(&mutex);
  (void)pthread_join(watcher, NULL);
  (void)pthread_mutex_lock(&mutex);
  stopping = 0;
  started = 0;
}

static void after_fork_parent(void) {
  if (runs != NULL && !started && start_thread() != 0) end_unwatched();
  (void)pthread_mutex_unlock(&mutex);
  (void)pthread_mutex_unlock(&forking);
}

/* The child has one thread, and only that thread's runs. */
static void after_fork_child(void) {
  (void)pthread_mutex_init(&mutex, NULL);
  (void)pthread_mutex_init(&forking, NULL);
  prepared = make_condition() == 0; /* else the next run tries again */
  started = 0;
  stopping = 0;
  runs = NULL;
  unsigned count = 0;
  for (struct lg_watch *w = current; w != NULL; w = w->outer, count++) {
    w->prev = NULL;
    w->next = runs;
    if (runs != NULL) runs->prev = w;
    runs = w;
    renew_cpu_limit(w);
  }
  atomic_store(&active_runs, count);
  if (runs != NULL && (!prepared || start_thread() != 0)) end_unwatched();
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

/* A thread ends in the midst of its runs: CPython up to 3.13 ends so the ones that want the GIL of an interpreter which is
 * shutting down. No signal may be sent to it any more. */
static void leave_runs(void *unused) {
  (void)unused;
  (void)pthread_mutex_lock(&mutex);
  for (struct lg_watch *w = current; w != NULL; w = w->outer) unlink_run(w);
  current = NULL;
  (void)pthread_mutex_unlock(&mutex);
}

/* Have leave_runs() called at this thread's end. Under mutex. 0 or an error number. */
static int note_exit(void) {
  int rc = atomic_load(&exits_handled) ? 0 : pthread_key_create(&exiting, leave_runs);
  if (rc != 0) return rc;
  atomic_store(&exits_handled, 1);
  rc = pthread_setspecific(exiting, &runs); /* ran_here(); a destructor is called for what is not NULL */
  exit_noted = rc == 0;
  return rc;
}

/* Condition and fork handlers: once per process; what was done before a failure is kept. Under mutex. */
static int prepare(void) {
  if (prepared) return 0;
  int rc = condition_made ? 0 : make_condition();
  if (rc == 0 && !forks_handled) {
    rc = pthread_atfork(before_fork, after_fork_parent, after_fork_child);
    forks_handled = rc == 0;
  }
  prepared = rc == 0;
  return rc;
}

/* The handler, for the first run. Under mutex. */
static int prepare_signal(void) {
  int rc = install_handler();
  handler_installed = rc == 0;
  return rc;
}

/* 0 or an error number. */
static int mask_signal(int how, int number) {
  sigset_t set;
  (void)sigemptyset(&set);
  (void)sigaddset(&set, number);
  return pthread_sigmask(how, &set, NULL);
}

/* In this thread, once the handler is there: one that is pending may be of those that end the process. Under mutex. 0 or an
 * error number. */
static int unblock_signal(void) {
  int number = atomic_load(&the_signal);
  if (unblocked == number) return 0;
  int rc = mask_signal(SIG_UNBLOCK, number);
  if (rc == 0) unblocked = number;
  return rc;
}

void lg_watch_open(void) { (void)mask_signal(SIG_UNBLOCK, atomic_load(&the_signal)); }

void lg_watch_shut(void) { (void)mask_signal(SIG_BLOCK, atomic_load(&the_signal)); }

/* Have the thread look at this run in time. Under mutex. */
static void look_by(int64_t at) {
  if (at >= sleeping_until) return;
  sleeping_until = at;
  (void)pthread_cond_signal(&wake);
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
  struct sigaction now;
  const int never[] = {SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS, SIGCHLD};
  for (size_t i = 0; i < sizeof never / sizeof never[0]; i++) {
    if (signal_number == never[i]) return LG_BAD_ARGUMENT;
  }
  if (signal_number <= 0 || sigaction(signal_number, NULL, &now) != 0) return LG_BAD_ARGUMENT;
  (void)pthread_mutex_lock(&mutex);
  int late = handler_installed && signal_number != atomic_load(&the_signal);
  if (!late) atomic_store(&the_signal, signal_number);
  (void)pthread_mutex_unlock(&mutex);
  return late ? LG_UNSUPPORTED : LG_OK;
}

int lg_watch_begin(struct lg_watch *w, int64_t now_ns, const struct lg_watch_limits *limits,
                   void (*fire)(struct lg_watch *, int, void *), int *os_error) {
  int rc = set_up(w, now_ns, limits);
  if (rc != 0) {
    *os_error = rc;
    return LG_OS_ERROR;
  }
  w->fire = fire;
  w->interval_ns = 0;
  w->thread = pthread_self();
  atomic_store(&w->tick, 0);
  atomic_store(&w->away, 0);
  atomic_store(&w->owed, 0);
  atomic_store(&w->reason, 0);
  (void)pthread_mutex_lock(&mutex);
  rc = prepared ? 0 : prepare();
  if (rc == 0 && !exit_noted) rc = note_exit(); /* before the handler, which asks for what it notes */
  if (rc == 0 && !handler_installed) rc = prepare_signal();
  if (rc == 0) rc = unblock_signal();
  if (rc == 0 && !started) rc = start_thread();
  if (rc != 0) {
    (void)pthread_mutex_unlock(&mutex);
    *os_error = rc;
    return LG_OS_ERROR;
  }
  w->prev = NULL;
  w->next = runs;
  if (runs != NULL) runs->prev = w;
  runs = w;
  w->active = 1;
  w->outer = current;
  atomic_signal_fence(memory_order_release); /* the handler finds no run that does not lead on to the others */
  current = w;
  look_by(next_look(w));
  atomic_fetch_add(&active_runs, 1);
  (void)pthread_mutex_unlock(&mutex);
  atomic_fetch_add(&begun_runs, 1);
  return LG_OK;
}

void lg_watch_end(struct lg_watch *w) {
  struct lg_watch **at = &current;
  (void)pthread_mutex_lock(&mutex);
  unlink_run(w);
  while (*at != w) at = &(*at)->outer;
  *at = w->outer; /* from here on a signal finds this run no more */
  (void)pthread_mutex_unlock(&mutex);
}

void lg_watch_pause(struct lg_watch *w) {
  (void)pthread_mutex_lock(&mutex);
  w->paused_ns = lg_now_ns();
  (void)pthread_mutex_unlock(&mutex);
}

void lg_watch_continue(struct lg_watch *w) {
  (void)pthread_mutex_lock(&mutex);
  int64_t now = lg_now_ns();
  /* Without a clock nothing is given back: the deadline stays where it was. */
  if (w->deadline_ns != INT64_MAX && w->paused_ns > 0 && now > w->paused_ns) {
    int64_t paused = now - w->paused_ns;
    w->deadline_ns = w->deadline_ns < INT64_MAX - paused ? w->deadline_ns + paused : INT64_MAX;
  }
  w->paused_ns = 0;
  look_by(next_look(w));
  (void)pthread_mutex_unlock(&mutex);
}

void lg_watch_leave(struct lg_watch *w) {
  atomic_store(&w->away, 1);
  if (!atomic_load(&w->tick) && atomic_load(&w->reason) == 0) return;
  (void)pthread_mutex_lock(&mutex); /* the signal is taken back, or sent */
  (void)pthread_mutex_unlock(&mutex);
  (void)sched_yield(); /* a signal that was sent is delivered at the end of any system call */
}

int lg_watch_return(struct lg_watch *w) {
  atomic_store_explicit(&w->away, 0, memory_order_release);
  return atomic_load(&w->owed) && atomic_exchange(&w->owed, 0);
}

int lg_watch_fire(struct lg_watch *w, int reason) {
  (void)pthread_mutex_lock(&mutex);
  int active = w->active;
  if (active && atomic_load(&w->reason) == 0) {
    atomic_store(&w->reason, reason);
    w->kick_ns = 0;
    sleeping_until = 0; /* the thread sends the signal, and goes on sending it until the run is over */
    if (started || start_thread() == 0)
      (void)pthread_cond_signal(&wake);
    else
      kick(w, 0);
  }
  (void)pthread_mutex_unlock(&mutex);
  return active;
}

unsigned lg_watch_active(void) { return atomic_load(&active_runs); }

uint64_t lg_watch_begun(void) { return atomic_load(&begun_runs); }
