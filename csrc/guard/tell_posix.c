/* Linux, macOS, FreeBSD: a signal, SIGURG unless another was chosen, whose handler calls `fire` on the run's thread.
 *
 * The signal is touched when the first run begins. An earlier handler keeps being called for signals that are not ours; one that is
 * installed over ours is noticed when a run is due, and chained to, whether or not it passes signals on to ours (of up to seven
 * different handlers). The signal is unblocked in threads that run scripts. What is written here is written under the watchdog's
 * mutex. */
#define _GNU_SOURCE
#include "tell.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include "cputime.h"
#include "lg_status.h"

static int handler_installed;
static atomic_int the_signal = SIGURG; /* written until the handler is installed */
static atomic_int exits_handled;       /* the key below is there */
static pthread_key_t exiting;          /* its destructor is how the end of a thread is noticed */

/* What our handler stands in front of. A slot is written once, before `order` names it; slot 0 is none. Each
 * digit of `order` is a slot, the lowest the handler that was there last. */
enum { LG_EARLIER_MOST = 7, LG_DIGIT_BITS = 4, LG_DIGIT = 15 };
static struct sigaction earlier[LG_EARLIER_MOST + 1];
static unsigned earlier_count;
static atomic_uint order;

static LG_SIGNAL_LOCAL unsigned chained; /* how many calls of chain() this thread is in */
static LG_THREAD_LOCAL int unblocked;    /* the signal that is, or 0 */
static LG_THREAD_LOCAL int exit_noted;

/* Whether this thread has begun a run since it started. pthread_getspecific() is not on POSIX's list of what a handler may
 * call; in the C libraries of Linux, macOS and FreeBSD it only reads. */
static int ran_here(void) { return atomic_load(&exits_handled) && pthread_getspecific(exiting) == &exiting; }

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
  for (struct lg_watch *w = ran_here() ? lg_watch_current : NULL; w != NULL; w = w->outer) {
    int reason = atomic_load(&w->reason);
    int tick = atomic_exchange(&w->tick, 0);
    if (tick && reason == 0) reason = LG_WATCH_TICK;
    if (reason == 0) continue;
    ours = 1;
    if (!atomic_load(&w->away))
      w->calls->fire(w, reason, own);
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

/* Have chain() call this handler first. When there have been too many different ones, it is left out. */
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

/* Put our handler in front of what is there. 0 or errno. */
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

/* CPython up to 3.13 ends in the midst of their runs the threads that want the GIL of an interpreter which is shutting down. No
 * signal may be sent to them any more. */
static void thread_exits(void *unused) {
  (void)unused;
  lg_watch_leave_runs();
}

/* Have that called at this thread's end. 0 or an error number. */
static int note_exit(void) {
  int rc = atomic_load(&exits_handled) ? 0 : pthread_key_create(&exiting, thread_exits);
  if (rc != 0) return rc;
  atomic_store(&exits_handled, 1);
  rc = pthread_setspecific(exiting, &exiting); /* ran_here(); a destructor is called for what is not NULL */
  exit_noted = rc == 0;
  return rc;
}

/* The handler, for the first run. */
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

/* In this thread, once the handler is there: one that is pending may be of those that end the process. 0 or an
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

int lg_tell_enter(struct lg_watch *w) {
  int rc = exit_noted ? 0 : note_exit(); /* before the handler, which asks for what it notes */
  if (rc == 0 && !handler_installed) rc = prepare_signal();
  w->told.thread = pthread_self();
  return rc == 0 ? unblock_signal() : rc;
}

/* Another handler may be there by now: a run without a deadline has nothing but ticks, and no run but what it is told. */
void lg_tell(struct lg_watch *w) {
  (void)install_handler();
  (void)pthread_kill(w->told.thread, atomic_load(&the_signal));
}

/* A signal that was sent is delivered at the end of any system call. */
void lg_tell_settle(void) { (void)sched_yield(); }

int64_t lg_tell_cpu_ns(const struct lg_watch *w) {
  (void)w; /* the handler runs on its thread */
  return lg_cpu_here_ns();
}

int lg_tell_use_signal(int signal_number) {
  struct sigaction now;
  const int never[] = {SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS, SIGCHLD};
  for (size_t i = 0; i < sizeof never / sizeof never[0]; i++) {
    if (signal_number == never[i]) return LG_BAD_ARGUMENT;
  }
  if (signal_number <= 0 || sigaction(signal_number, NULL, &now) != 0) return LG_BAD_ARGUMENT;
  int late = handler_installed && signal_number != atomic_load(&the_signal);
  if (!late) atomic_store(&the_signal, signal_number);
  return late ? LG_UNSUPPORTED : LG_OK;
}
