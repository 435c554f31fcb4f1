#include "reaper.h"

#include "../os/sync.h"
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

static lg_mutex forking = LG_MUTEX_INIT; /* taken before mutex: one fork at a time joins the thread */
static lg_mutex mutex = LG_MUTEX_INIT;
static lg_event wake;           /* under mutex */
static int wake_made;           /* under mutex */
static struct waiting *first;   /* under mutex */
static size_t waiting_size;     /* under mutex; with what is being given back */
static int started;             /* under mutex */
static int stopping;            /* under mutex */
static int forks_handled;       /* under mutex */
static struct lg_thread thread; /* under mutex, when started */

static void give_back(void *pages, size_t size) {
  for (size_t end = size; end > PIECE; end -= PIECE) lg_pages_discard((char *)pages + end - PIECE, PIECE);
  lg_pages_unmap(pages, size);
}

static void reap_thread(void) {
  lg_mutex_lock(&mutex);
  for (;;) {
    struct waiting *w = first;
    if (w != NULL) {
      void *pages = w->pages;
      size_t size = w->size;
      first = w->next;
      lg_mutex_unlock(&mutex);
      give_back(pages, size);
      lg_mutex_lock(&mutex);
      waiting_size -= size;
    } else if (stopping) {
      break;
    } else {
      lg_event_wait(&wake, &mutex);
    }
  }
  lg_mutex_unlock(&mutex);
}

static void before_fork(void) {
  lg_mutex_lock(&forking);
  lg_mutex_lock(&mutex);
  if (!started) return;
  stopping = 1;
  lg_event_wake(&wake);
  lg_mutex_unlock(&mutex);
  lg_thread_join(&thread);
  lg_mutex_lock(&mutex);
  stopping = 0;
  started = 0;
}

static void after_fork_parent(void) {
  lg_mutex_unlock(&mutex);
  lg_mutex_unlock(&forking);
}

static void after_fork_child(void) {
  lg_mutex_renew(&forking);
  lg_mutex_renew(&mutex);
  wake_made = 0;
}

/* Under mutex. 1 when the thread is there. */
static int start(void) {
  if (stopping) return 0; /* another thread forks, and the reaper may have looked for work the last time */
  if (started) return 1;
  if (!wake_made && lg_event_make(&wake) != 0) return 0;
  wake_made = 1;
  if (!forks_handled && lg_on_fork(before_fork, after_fork_parent, after_fork_child) != 0) return 0;
  forks_handled = 1;
  started = lg_thread_start(&thread, reap_thread) == 0;
  return started;
}

void lg_reap(void *pages, size_t size, void *note) {
  struct waiting *w = note;
  LG_UNPOISON(w, sizeof *w);
  lg_mutex_lock(&mutex);
  int taken = (waiting_size == 0 || (size <= BACKLOG && waiting_size <= BACKLOG - size)) && start();
  if (taken) {
    w->next = first;
    w->pages = pages;
    w->size = size;
    first = w;
    waiting_size += size;
    lg_event_wake(&wake);
  }
  lg_mutex_unlock(&mutex);
  if (!taken) give_back(pages, size);
}

size_t lg_reap_waiting(void) {
  lg_mutex_lock(&mutex);
  size_t size = waiting_size;
  lg_mutex_unlock(&mutex);
  return size;
}
