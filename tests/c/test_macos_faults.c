/* test_os_faults.c with the watchdog, the C stack's floor and the CPU clock as they are built for macOS (__APPLE__ is
 * defined, the headers are those in tests/c/macos): its calls are made here from the ones of this system, and fail in turn
 * like the rest. */
#include "test_os_faults.c"

#include <mach/mach.h>

int pthread_cond_timedwait_relative_np(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *span) {
  struct timespec until;
  CHECK(span->tv_sec >= 0 && span->tv_nsec >= 0 && span->tv_nsec < 1000000000);
  if (refuse()) return EINVAL; /* at once: the watchdog looks again, and does not trust in having waited */
  (void)__real_clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += span->tv_sec;
  until.tv_nsec += span->tv_nsec;
  if (until.tv_nsec >= 1000000000) {
    until.tv_sec++;
    until.tv_nsec -= 1000000000;
  }
  return pthread_cond_timedwait(cond, mutex, &until);
}

static void *stack_of(pthread_t thread, size_t *size) {
  pthread_attr_t attr;
  void *low = NULL;
  if (__real_pthread_getattr_np(thread, &attr) != 0) abort();
  (void)__real_pthread_attr_getstack(&attr, &low, size);
  (void)pthread_attr_destroy(&attr);
  return low;
}

size_t pthread_get_stacksize_np(pthread_t thread) {
  size_t size = 0;
  (void)stack_of(thread, &size);
  return size;
}

void *pthread_get_stackaddr_np(pthread_t thread) {
  size_t size = 0;
  char *low = stack_of(thread, &size);
  return low + size;
}

/* A port that names the thread's CPU clock. */
unsigned pthread_mach_thread_np(pthread_t thread) {
  clockid_t clock = 0;
  return refuse() || __real_pthread_getcpuclockid(thread, &clock) != 0 ? 0 : (unsigned)clock;
}

kern_return_t thread_info(thread_inspect_t thread, natural_t flavor, thread_info_t info,
                          mach_msg_type_number_t *count) {
  struct timespec used;
  CHECK_INT(flavor, THREAD_BASIC_INFO);
  CHECK_INT(*count, THREAD_BASIC_INFO_COUNT);
  if (refuse() || __real_clock_gettime((clockid_t)thread, &used) != 0) return KERN_INVALID_ARGUMENT;
  const thread_basic_info_data_t answer = {{(integer_t)used.tv_sec, (integer_t)(used.tv_nsec / 1000)}, {0, 0}};
  memcpy(info, &answer, sizeof answer);
  return KERN_SUCCESS;
}
