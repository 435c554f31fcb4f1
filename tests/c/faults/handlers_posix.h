/* Handlers of the host's for the signal that tells a run. */
#ifndef LG_FAULTS_HANDLERS_POSIX_H
#define LG_FAULTS_HANDLERS_POSIX_H

#include "faults/calls_posix.h"
#include "faults/run.h"

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

#endif
