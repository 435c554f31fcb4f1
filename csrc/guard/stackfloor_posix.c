#define _GNU_SOURCE
#include "stackfloor.h"

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#ifdef __FreeBSD__
#include <pthread_np.h>
#endif

#include "../os/compiler.h"

static LG_THREAD_LOCAL const char *known_floor;
static LG_THREAD_LOCAL uintptr_t known_end; /* set with it */

/* What a run gets where the system does not say: half of the smallest stack that is usual (512 KiB, macOS's threads). */
static const uintptr_t unknown_room = (uintptr_t)256 * 1024;

#ifdef __APPLE__
static const char *find_floor(void) {
  size_t size = pthread_get_stacksize_np(pthread_self());
  const char *top = pthread_get_stackaddr_np(pthread_self());
  known_end = (uintptr_t)top - size;
  return top - size + lg_stack_reserve(size);
}
#else
/* The attributes this thread runs with; on success (0) the caller destroys them. */
static int attributes_here(pthread_attr_t *attr) {
#ifdef __FreeBSD__
  int rc = pthread_attr_init(attr);
  if (rc != 0) return rc;
  rc = pthread_attr_get_np(pthread_self(), attr);
  if (rc != 0) (void)pthread_attr_destroy(attr);
  return rc;
#else
  return pthread_getattr_np(pthread_self(), attr);
#endif
}

static const char *find_floor(void) {
  pthread_attr_t attr;
  void *low = NULL;
  size_t size = 0;
  size_t guard = 0;
  if (attributes_here(&attr) != 0) return NULL;
  int rc = pthread_attr_getstack(&attr, &low, &size);
  if (rc == 0) rc = pthread_attr_getguardsize(&attr, &guard);
  (void)pthread_attr_destroy(&attr);
  if (rc != 0) return NULL;
  /* With an unlimited stack the main thread's lower end means nothing: allow what the usual limit would. */
  const size_t usual = (size_t)8 << 20;
  uintptr_t here = LG_FRAME_ADDRESS();
  known_end = (uintptr_t)low + guard;
  uintptr_t floor = known_end + lg_stack_reserve(size);
  if (size > usual && here > usual && floor < here - usual) floor = here - usual / 2;
  return (const char *)floor;
}
#endif

const char *lg_stack_floor(void) {
  if (known_floor == NULL) known_floor = find_floor();
  if (known_floor != NULL) return known_floor;
  /* Asked again next time. On glibc's main thread it opens a file in /proc, which fails without /proc or descriptors. */
  uintptr_t here = LG_FRAME_ADDRESS();
  return (const char *)(here > unknown_room ? here - unknown_room : 0);
}

size_t lg_stack_left(void) {
  if (known_floor == NULL) known_floor = find_floor();
  uintptr_t here = LG_FRAME_ADDRESS();
  return known_floor == NULL || here < known_end ? SIZE_MAX : (size_t)(here - known_end);
}
