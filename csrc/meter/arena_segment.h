/* The mappings that slabs are cut from.
 *
 * Contract: for arena*.c only. What is taken from the system is added to a->reserved, slab by slab as they come into use,
 * and a->slabs_live and a->slabs_warm are kept. */
#ifndef LG_ARENA_SEGMENT_H
#define LG_ARENA_SEGMENT_H

#include "arena_slab.h"

#define LG_SEGMENT_SLABS 256 /* at most */
#define LG_SEGMENT_WORDS (LG_SEGMENT_SLABS / 64)

/* Lies behind the header of its first slab. */
struct lg_segment {
  struct lg_segment *next, *prev;
  void *pages;
  size_t size;    /* of the mapping */
  char *slabs;    /* first slab */
  uint32_t count; /* slabs */
  uint32_t idle;  /* slabs not in use */
  int pinned;     /* holds part of the heap */
  uint64_t free[LG_SEGMENT_WORDS];
  uint64_t cold[LG_SEGMENT_WORDS]; /* free slabs that hold no memory: never used, or discarded */
};

/* The arena's first memory: two slabs and the first part of the heap in one small mapping. 0 when refused. */
int lg_segment_boot(struct lg_arena *a);

/* A free slab, of which only `segment` and `index` are set; NULL when the system refuses memory. */
struct lg_slab *lg_segment_take(struct lg_arena *a);

/* Make a slab free; may give its segment back. */
void lg_segment_give(struct lg_arena *a, struct lg_slab *s);

/* Give wholly free segments back as long as `keep` bytes of free slabs that hold memory remain. */
void lg_segments_return(struct lg_arena *a, size_t keep);

/* Give the memory of free slabs back, down to `keep` bytes, and keep their addresses. */
void lg_segments_discard(struct lg_arena *a, size_t keep);

/* Give back what lies outside the reservation. */
void lg_segments_close(struct lg_arena *a);

#endif
