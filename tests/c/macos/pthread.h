/* What macOS's <pthread.h> has beside the C library's here; see mach/mach.h. */
#include_next <pthread.h>

#ifndef LG_TEST_PTHREAD_H
#define LG_TEST_PTHREAD_H

#include <time.h>

int pthread_cond_timedwait_relative_np(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *span);
size_t pthread_get_stacksize_np(pthread_t thread);
void *pthread_get_stackaddr_np(pthread_t thread); /* the highest address */
unsigned pthread_mach_thread_np(pthread_t thread);

#endif
