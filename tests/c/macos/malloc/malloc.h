/* The part of macOS's <malloc/malloc.h> that csrc/ uses; see ../mach/mach.h. */
#ifndef LG_TEST_MALLOC_H
#define LG_TEST_MALLOC_H

#include <stddef.h>

typedef struct malloc_zone malloc_zone_t;

typedef struct {
  unsigned blocks_in_use;
  size_t size_in_use;
  size_t max_size_in_use;
  size_t size_allocated;
} malloc_statistics_t;

void malloc_zone_statistics(malloc_zone_t *zone, malloc_statistics_t *statistics);

#endif
