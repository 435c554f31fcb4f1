#define _GNU_SOURCE
#include "reaper.h"

#include <pthread.h>
#include <signal.h>

#include "arena_slab.h"
#include "pages.h"

/* At most so much waits, unless it is a single mapping. */
#define BACKLOG ((size_t)1024 * 1024 * 1024)

/* While pages are freed nothing in the process can map any: so they go in pieces of a millisecond. */
#define PIECE ((size_t)8 * 1024 * 1024)

/* Lies in a mapping that waits. */
struct waiting {
  struct waiting *next;
  void *pages;
  size_t size;
};

static pthread_mutex_t forking =
    PTHREAD_MUTEX_INITIALIZER; /* taken before mutex: one fork at a time joins the thread */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
static struct waiting *first; /* under mutex */
static size_t waiting_size;   /* under mutex; with what is being given back */
static int started;           /* under mutex */
static int stopping;          /* under mutex */
static int forks_handled;     /* under mutex */
static pthread_t thread;      /* under mutex, when started */

static void give_back(void *pages, size_t size) {
  for (size_t end = size; end > PIECE; end -= PIECE) lg_pages_discard((char *)pages + end - PIECE, PIECE);
  lg_pages_unmap(pages, size);
}

static void *reap_thread(void *unused) {
  sigset_t all;
  (void)unused;
  (void)sigfillset(&all);
  (void)pthread_sigmask(SIG_SETMASK, &all, NULL);
  (void)pthread_mutex_lock(&mutex);
  for (;;) {
    struct waiting *w = first;
    if (w != NULL) {
      void *pages = w->pages;
      size_t size = w->size;
      first = w->next;
      (void)pthread_mutex_unlock(&mutex);
      give_back(pages, size);
      (void)pthread_mutex_lock(&mutex);
      waiting_size -= size;
    } else if (stopping) {
      break;
    } else {
      (void)pthread_cond_wait(&wake, &mutex);
    }
  }
  (void)pthread_mutex_unlock(&mutex);
  return NULL;
}

static void before_fork(void) {
  (void)pthread_mutex_lock(&forking);
  (void)pthread_mutex_lock(&mutex);
  if (!started) return;
  stopping = 1;
  (void)pthread_cond_signal(&wake);
  (void)pthread_mutex_unlock(&mutex);
  (void)pthread_join(thread, NULL);
  (void)pthread_mutex_lock(&mutex);
  stopping = 0;
  started = 0;
}

static void after_fork_parent(void) {
  (void)pthread_mutex_unlock(&mutex);
  (void)pthread_mutex_unlock(&forking);
}

static void after_fork_child(void) {
  (void)pthread_mutex_init(&forking, NULL);
  (void)pthread_mutex_init(&mutex, NULL);
  (void)pthread_cond_init(&wake, NULL);
}

/* Under mutex. 1 when the thread is there. */
static int start(void) {
  pthread_attr_t attr;
  if (stopping) return 0; /* another thread forks, and the reaper may have looked for work the last time */
  if (started) return 1;
  if (!forks_handled) {
    if (pthread_atfork(before_fork, after_fork_parent, after_fork_child) != 0) return 0;
    forks_handled = 1;
  }
  if (pthread_attr_init(&attr) != 0) return 0;
  (void)pthread_attr_setstacksize(&attr, 256 * 1024);
  started = pthread_create(&thread, &attr, reap_thread, NULL) == 0;
  (void)pthread_attr_destroy(&attr);
  return started;
}

void lg_reap(void *pages, size_t size, void *note) {
  struct waiting *w = note;
  LG_UNPOISON(w, sizeof *w);
  (void)pthread_mutex_lock(&mutex);
  int taken = (waiting_size == 0 || (size <= BACKLOG && waiting_size <= BACKLOG - size)) && start();
  if (taken) {
    w->next = first;
    w->pages = pages;
    w->size = size;
    first = w;
    waiting_size += size;
    (void)pthread_cond_signal(&wake);
  }
  (void)pthread_mutex_unlock(&mutex);
  if (!taken) give_back(pages, size);
}

size_t lg_reap_waiting(void) {
  (void)pthread_mutex_lock(&mutex);
  size_t size = waiting_size;
  (void)pthread_mutex_unlock(&mutex);
  return size;
}
