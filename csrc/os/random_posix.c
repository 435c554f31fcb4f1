/* getentropy: glibc 2.25, musl 1.1.20, macOS 10.12, and the BSDs. */
#define _DEFAULT_SOURCE /* for getentropy() in unistd.h */
#include "random.h"

#include <errno.h>
#include <unistd.h>
#ifdef __APPLE__
#include <sys/random.h>
#endif

int lg_random_bytes(void *bytes, size_t size) { return getentropy(bytes, size) == 0 ? 0 : errno; }
