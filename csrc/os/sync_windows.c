#include "sync.h"

#include "refusal_windows.h"

#define WIN32_LEAN_AND_MEAN
#include <assert.h>
#include <process.h>
#include <windows.h>

#ifndef CREATE_WAITABLE_TIMER_HIGH_RESOLUTION
#define CREATE_WAITABLE_TIMER_HIGH_RESOLUTION 0x00000002
#endif

static_assert(sizeof(lg_mutex) == sizeof(SRWLOCK), "lg_mutex is an SRWLOCK");

static SRWLOCK *lock_of(lg_mutex *m) { return (SRWLOCK *)&m->lock; }

void lg_mutex_lock(lg_mutex *m) { AcquireSRWLockExclusive(lock_of(m)); }

void lg_mutex_unlock(lg_mutex *m) { ReleaseSRWLockExclusive(lock_of(m)); }

void lg_mutex_renew(lg_mutex *m) { InitializeSRWLock(lock_of(m)); }

/* An ordinary timer comes up to 16 ms late, a condition variable too. */
int lg_event_make(lg_event *e) {
  if (e->woken == NULL) e->woken = CreateEventW(NULL, FALSE, FALSE, NULL);
  if (e->timer == NULL)
    e->timer = CreateWaitableTimerExW(NULL, NULL, CREATE_WAITABLE_TIMER_HIGH_RESOLUTION, TIMER_ALL_ACCESS);
  if (e->timer == NULL) e->timer = CreateWaitableTimerExW(NULL, NULL, 0, TIMER_ALL_ACCESS);
  return e->woken != NULL && e->timer != NULL ? 0 : lg_refusal();
}

void lg_event_wake(lg_event *e) { (void)SetEvent(e->woken); }

void lg_event_wait(lg_event *e, lg_mutex *m) {
  lg_mutex_unlock(m);
  (void)WaitForSingleObject(e->woken, INFINITE);
  lg_mutex_lock(m);
}

/* Where the timer is refused, and without a time, a millisecond passes. */
void lg_event_wait_until(lg_event *e, lg_mutex *m, int64_t at) {
  enum { HUNDRED_NS = 100 };
  HANDLE either[] = {e->woken, e->timer};
  int64_t left = at - lg_now_ns();
  LARGE_INTEGER span = {.QuadPart = left > HUNDRED_NS ? -(left / HUNDRED_NS) : -1};
  lg_mutex_unlock(m);
  if (left > 0 && SetWaitableTimer(e->timer, &span, 0, NULL, NULL, FALSE))
    (void)WaitForMultipleObjects(2, either, FALSE, INFINITE);
  else
    (void)WaitForSingleObject(e->woken, left > 0 || at < 0 ? 1 : 0);
  lg_mutex_lock(m);
}

static unsigned __stdcall begin(void *data) {
  const struct lg_thread *thread = data;
  thread->body();
  return 0;
}

/* With the C runtime's own call, which a thread that uses the runtime is to be made by. */
int lg_thread_start(struct lg_thread *thread, void (*body)(void)) {
  thread->body = body;
  thread->handle = (HANDLE)_beginthreadex(NULL, 256 * 1024, begin, thread, STACK_SIZE_PARAM_IS_A_RESERVATION, NULL);
  return thread->handle != NULL ? 0 : lg_refusal();
}

void lg_thread_join(struct lg_thread *thread) {
  (void)WaitForSingleObject(thread->handle, INFINITE);
  (void)CloseHandle(thread->handle);
}
