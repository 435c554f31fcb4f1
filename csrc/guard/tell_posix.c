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

#include "chain_posix.h"
#include "cputime.h"
#include "lg_status.h"
#include "thread_posix.h"

static int handler_installed;
static atomic_int the_signal = SIGURG; /* written until the handler is installed */

static LG_THREAD_LOCAL int unblocked; /* the signal that is, or 0 */
static LG_THREAD_LOCAL int exit_noted;

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
  void *own = lg_chain_depth() == 0 && on_top(sig) ? context : NULL;
  for (struct lg_watch *w = lg_thread_ran() ? lg_watch_current : NULL; w != NULL; w = w->outer) {
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
  if (!ours || lg_chain_depth() > 0) lg_chain_call(sig, info, context);
  errno = saved;
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
  unsigned before = lg_chain_add(&now);
  if (sigaction(atomic_load(&the_signal), &ours, NULL) == 0) return 0;
  int rc = errno;
  lg_chain_restore(before);
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
  int rc = exit_noted ? 0 : lg_thread_note_exit(); /* before the handler, which asks for what it notes */
  exit_noted = rc == 0;
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
