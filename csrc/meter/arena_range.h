/* The addresses that an arena's segments lie at: one reservation for each arena, so that a run finds the same ones as the run
 * before, an image of them (image.h) can be put back, and all of them go back in one call.
 *
 * Contract
 * - For arena*.c and image.c only. Sizes are bytes; spans are aligned to LG_SLAB_SIZE.
 * - Where the reservation was refused or is used up (it is small under RLIMIT_AS and on 32-bit machines), a span is a mapping
 *   of its own; a->outside counts these.
 * - Which span is handed out depends on what was taken and given since the arena was empty, or its image put back: never on
 *   the system, nor on what is resident. What is resident is known apart from it (struct lg_range), and no image changes it. */
#ifndef LG_ARENA_RANGE_H
#define LG_ARENA_RANGE_H

#include "arena.h"

/* A span of at least `size` bytes, its contents undefined; NULL when the system refuses memory. */
void *lg_range_take(struct lg_arena *a, size_t size);

/* Give a span back. Its memory goes back to the system at once. */
void lg_range_give(struct lg_arena *a, void *span, size_t size);

/* Whether an address lies in the reservation. */
int lg_range_holds(const struct lg_arena *a, const void *p);

/* Bytes above all spans that are resident, for the next ones. */
size_t lg_range_idle(const struct lg_arena *a);

/* Of these, keep only `keep`; large remains are given to the reaper. */
void lg_range_trim(struct lg_arena *a, size_t keep);

/* Whether memory at this address was resident in an earlier run already. */
static inline int lg_range_is_warm(const struct lg_arena *a, const void *p, size_t size) {
  return (uintptr_t)p - (uintptr_t)a->range.base < a->range.high &&
         (uintptr_t)p + size - (uintptr_t)a->range.base <= a->range.high;
}

/* Give the whole reservation back, or keep it with the first of its memory for the next arena. No span is in use any more. */
void lg_range_close(struct lg_arena *a);

#endif
