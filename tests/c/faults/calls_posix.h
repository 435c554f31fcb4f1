/* In front of the functions of a POSIX system that the core calls; run.py links each with -Wl,--wrap. */
#ifndef LG_FAULTS_CALLS_POSIX_H
#define LG_FAULTS_CALLS_POSIX_H

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "faults/refusing.h"

/* A function that answers with an error number. */
#define WRAP_CODE(name, code, parameters, arguments)                                                                   \
  int __real_##name parameters;                                                                                        \
  int __wrap_##name parameters;                                                                                        \
  int __wrap_##name parameters { return refuse() ? (code) : __real_##name arguments; }

/* A function that sets errno and answers `bad`. */
#define WRAP_ERRNO(type, name, bad, code, parameters, arguments)                                                       \
  type __real_##name parameters;                                                                                       \
  type __wrap_##name parameters;                                                                                       \
  type __wrap_##name parameters {                                                                                      \
    if (!refuse()) return __real_##name arguments;                                                                     \
    errno = (code);                                                                                                    \
    return (bad);                                                                                                      \
  }

WRAP_CODE(pthread_create, EAGAIN, (pthread_t * t, const pthread_attr_t *a, void *(*f)(void *), void *p), (t, a, f, p))
WRAP_CODE(pthread_attr_init, ENOMEM, (pthread_attr_t * a), (a))
WRAP_CODE(pthread_condattr_init, ENOMEM, (pthread_condattr_t * a), (a))
WRAP_CODE(pthread_condattr_setclock, EINVAL, (pthread_condattr_t * a, clockid_t c), (a, c))
WRAP_CODE(pthread_cond_init, EAGAIN, (pthread_cond_t * c, const pthread_condattr_t *a), (c, a))
WRAP_CODE(pthread_atfork, ENOMEM, (void (*b)(void), void (*p)(void), void (*c)(void)), (b, p, c))
WRAP_CODE(pthread_sigmask, EINVAL, (int how, const sigset_t *s, sigset_t *o), (how, s, o))
WRAP_CODE(pthread_getcpuclockid, ENOENT, (pthread_t t, clockid_t *c), (t, c))
WRAP_CODE(pthread_getattr_np, ENOENT, (pthread_t t, pthread_attr_t *a), (t, a))
WRAP_CODE(pthread_attr_getstack, EINVAL, (const pthread_attr_t *a, void **p, size_t *n), (a, p, n))
WRAP_CODE(pthread_attr_getguardsize, EINVAL, (const pthread_attr_t *a, size_t *n), (a, n))
WRAP_CODE(pthread_key_create, EAGAIN, (pthread_key_t * k, void (*f)(void *)), (k, f))
WRAP_CODE(pthread_setspecific, ENOMEM, (pthread_key_t k, const void *p), (k, p))
WRAP_ERRNO(int, sigaction, -1, EINVAL, (int s, const struct sigaction *n, struct sigaction *o), (s, n, o))
WRAP_ERRNO(int, clock_gettime, -1, EINVAL, (clockid_t c, struct timespec *t), (c, t))
WRAP_ERRNO(int, munmap, -1, ENOMEM, (void *p, size_t n), (p, n))
WRAP_ERRNO(int, mprotect, -1, ENOMEM, (void *p, size_t n, int a), (p, n, a))
WRAP_ERRNO(int, madvise, -1, EAGAIN, (void *p, size_t n, int a), (p, n, a))
WRAP_ERRNO(void *, mmap, MAP_FAILED, ENOMEM, (void *p, size_t n, int a, int b, int f, off_t o), (p, n, a, b, f, o))
WRAP_ERRNO(void *, malloc, NULL, ENOMEM, (size_t n), (n))
WRAP_ERRNO(void *, calloc, NULL, ENOMEM, (size_t n, size_t m), (n, m))
WRAP_ERRNO(void *, realloc, NULL, ENOMEM, (void *p, size_t n), (p, n))

void *__real_mremap(void *p, size_t o, size_t n, int f, ...);
void *__wrap_mremap(void *p, size_t o, size_t n, int f, ...);
void *__wrap_mremap(void *p, size_t o, size_t n, int f, ...) {
  if (!refuse()) return __real_mremap(p, o, n, f);
  errno = ENOMEM;
  return MAP_FAILED;
}

#endif
