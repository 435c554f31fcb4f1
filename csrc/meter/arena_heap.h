/* The heap for blocks above LG_SMALL_MAX and below LG_HUGE_MIN: good fit by size lists, neighbours joined at once.
 *
 * Contract: for arena*.c only. Blocks are aligned to 16 bytes. The heap adds what it maps to, and takes what it gives
 * back from, a->reserved. */
#ifndef LG_ARENA_HEAP_H
#define LG_ARENA_HEAP_H

#include "arena.h"

/* A new block of n bytes, LG_SMALL_MAX < n < LG_HUGE_MIN; NULL when the system refuses memory. */
void *lg_heap_alloc(struct lg_arena *a, size_t n);

void lg_heap_free(struct lg_arena *a, void *p);

/* Make the block n bytes long (same bounds) where it is: 1, or 0 when its neighbour leaves no room. Making a block
 * smaller always succeeds. */
int lg_heap_resize(struct lg_arena *a, void *p, size_t n);

/* Whether an address lies in the heap; goes through its segments. */
int lg_heap_holds(const struct lg_arena *a, const void *p);

/* How many bytes the block may take where it is. */
size_t lg_heap_room(const void *p);

/* Go through a segment for an image: from `at` (NULL at first) to its next chunk, of which the `size` bytes at *from matter;
 * NULL at its end. Then to the next segment, NULL after the last. */
const void *lg_heap_next(const void *segment, const void *at, const void **from, size_t *size);
const void *lg_heap_segment_next(const void *segment);

/* Let the heap use memory that belongs to something else and is never given back by the heap. Aligned to 16 bytes. */
void lg_heap_adopt(struct lg_arena *a, void *memory, size_t size);

/* Give free segments, then the free pages inside the others, back down to `keep` idle bytes. */
void lg_heap_trim(struct lg_arena *a, size_t keep);

/* Give back the segments that lie outside the reservation. */
void lg_heap_close(struct lg_arena *a);

#endif
