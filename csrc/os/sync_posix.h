/* pthreads. See sync.h. */
#ifndef LG_SYNC_POSIX_H
#define LG_SYNC_POSIX_H

#include <pthread.h>
#include <stdint.h>

typedef pthread_mutex_t lg_mutex;
typedef pthread_cond_t lg_event;

struct lg_thread {
  pthread_t id;
  void (*body)(void);
};

#define LG_MUTEX_INIT PTHREAD_MUTEX_INITIALIZER

static inline void lg_mutex_lock(lg_mutex *m) { (void)pthread_mutex_lock(m); }
static inline void lg_mutex_unlock(lg_mutex *m) { (void)pthread_mutex_unlock(m); }

/* The thread that forked holds it; what waited for it is not in the child. */
static inline void lg_mutex_renew(lg_mutex *m) {
  (void)pthread_mutex_unlock(m);
  (void)pthread_mutex_destroy(m);
  (void)pthread_mutex_init(m, NULL);
}

static inline void lg_event_wake(lg_event *e) { (void)pthread_cond_signal(e); }
static inline void lg_event_wait(lg_event *e, lg_mutex *m) { (void)pthread_cond_wait(e, m); }
int lg_event_make(lg_event *e);

/* Until lg_now_ns() is `at`. A time below 0 is none: a millisecond passes. */
void lg_event_wait_until(lg_event *e, lg_mutex *m, int64_t at);

static inline int lg_on_fork(void (*before)(void), void (*parent)(void), void (*child)(void)) {
  return pthread_atfork(before, parent, child);
}

/* The thread's stack: 256 KiB. */
int lg_thread_start(struct lg_thread *thread, void (*body)(void));
static inline void lg_thread_join(struct lg_thread *thread) { (void)pthread_join(thread->id, NULL); }

#endif
