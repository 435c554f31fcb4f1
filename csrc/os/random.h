/* The system's random numbers, fit for secrets. One file per system.
 *
 * Contract: any thread; not from a signal handler. */
#ifndef LG_RANDOM_H
#define LG_RANDOM_H

#include <stddef.h>

/* Fill `size` bytes, 256 at most. 0, or the system's error code; then nothing in them is to be used. */
int lg_random_bytes(void *bytes, size_t size);

#endif
