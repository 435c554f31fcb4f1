/* SRW locks, waitable timers and threads. See sync.h. What windows.h declares is kept out of the files that include this: it
 * defines macros of common names. */
#ifndef LG_SYNC_WINDOWS_H
#define LG_SYNC_WINDOWS_H

#include <stdint.h>

/* An SRWLOCK: one pointer, NULL when nobody holds it (SRWLOCK_INIT). */
typedef struct {
  void *lock;
} lg_mutex;

typedef struct {
  void *woken; /* an event, reset by the wait that it ends */
  void *timer; /* a waitable timer, of high resolution where the system has such (Windows 10, 1803) */
} lg_event;

struct lg_thread {
  void *handle;
  void (*body)(void);
};

#define LG_MUTEX_INIT {0}

void lg_mutex_lock(lg_mutex *m);
void lg_mutex_unlock(lg_mutex *m);
void lg_mutex_renew(lg_mutex *m);
int lg_event_make(lg_event *e);
void lg_event_wake(lg_event *e);
void lg_event_wait(lg_event *e, lg_mutex *m);
void lg_event_wait_until(lg_event *e, lg_mutex *m, int64_t at);
static inline int lg_on_fork(void (*before)(void), void (*parent)(void), void (*child)(void)) {
  (void)before;
  (void)parent;
  (void)child;
  return 0;
}

int lg_thread_start(struct lg_thread *thread, void (*body)(void));
void lg_thread_join(struct lg_thread *thread);

#endif
