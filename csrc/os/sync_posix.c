#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <time.h>

#include "sync.h"

int lg_event_make(lg_event *e) {
  pthread_condattr_t attr;
  int rc = pthread_condattr_init(&attr);
  if (rc != 0) return rc;
#ifndef __APPLE__
  rc = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
#endif
  if (rc == 0) rc = pthread_cond_init(e, &attr);
  (void)pthread_condattr_destroy(&attr);
  return rc;
}

/* Wait without a clock. */
static void nap(lg_mutex *m) {
  const struct timespec ts = {0, 1000000};
  lg_mutex_unlock(m);
  (void)nanosleep(&ts, NULL);
  lg_mutex_lock(m);
}

void lg_event_wait_until(lg_event *e, lg_mutex *m, int64_t at) {
#ifdef __APPLE__
  /* Conditions wait for a span there, not until a time: one reading of the clock more, which may fail. */
  int64_t now = lg_now_ns();
  int64_t ns = at < 0 || now < 0 ? -1 : at > now ? at - now : 0;
#else
  int64_t ns = at;
#endif
  if (ns < 0) {
    nap(m);
    return;
  }
  const struct timespec ts = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
#ifdef __APPLE__
  (void)pthread_cond_timedwait_relative_np(e, m, &ts);
#else
  (void)pthread_cond_timedwait(e, m, &ts);
#endif
}

/* No signal is ever this thread's. It sees to that itself: blocking them around pthread_create() could leave the thread that
 * starts it deaf. */
static void *begin(void *data) {
  const struct lg_thread *thread = data;
  sigset_t all;
  (void)sigfillset(&all);
  (void)pthread_sigmask(SIG_SETMASK, &all, NULL);
  thread->body();
  return NULL;
}

int lg_thread_start(struct lg_thread *thread, void (*body)(void)) {
  pthread_attr_t attr;
  int rc = pthread_attr_init(&attr);
  if (rc != 0) return rc;
  (void)pthread_attr_setstacksize(&attr, (size_t)256 * 1024);
  thread->body = body;
  rc = pthread_create(&thread->id, &attr, begin, thread);
  (void)pthread_attr_destroy(&attr);
  return rc;
}
