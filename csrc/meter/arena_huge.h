/* Blocks from LG_HUGE_MIN on, each in a mapping of its own, and the spare mappings that are kept for the next ones.
 *
 * Contract: for arena*.c only. Sizes are bytes. What is mapped is added to a->reserved, what is given back taken from it. */
#ifndef LG_ARENA_HUGE_H
#define LG_ARENA_HUGE_H

#include "arena.h"

/* Begins the mapping of a huge block. A mapping that is there is taken though it is larger than the block, so that a table
 * which grows to the size of the last one does so without a copy or a call of the system. */
struct lg_huge {
  size_t size; /* of the mapping */
  size_t used; /* of the block, which follows */
  struct lg_huge *next, *prev;
  struct lg_huge *next_stray, *prev_stray; /* while it is a stray */
  int in_image;
};

#define LG_HUGE_HEADER ((size_t)64) /* a cache line: what blocks this large were aligned to, they still are */

/* How many free bytes all arenas of the process may keep together, beside what each may (arena_keep.c). */
#define LG_KEEP_SHARED ((size_t)12 * 1024 * 1024)

static inline struct lg_huge *lg_huge_of(void *block) {
  return (struct lg_huge *)(void *)((char *)block - LG_HUGE_HEADER);
}

/* A new block of n bytes; NULL when the system refuses memory. */
void *lg_huge_alloc(struct lg_arena *a, size_t n);

/* Free a block: its mapping becomes spare, or goes back. */
void lg_huge_free(struct lg_arena *a, void *block);

/* The block at another size, or NULL when it has to be copied. */
void *lg_huge_resize(struct lg_arena *a, void *block, size_t nsize);

/* Give spare mappings back, the oldest first, down to `keep` bytes. */
void lg_spare_return(struct lg_arena *a, size_t keep);

/* An image is put back: of the huge blocks made since it, the first few that an arena may keep become spare, the others go. */
void lg_huge_forget(struct lg_arena *a);

/* Give every huge block back, those kept for an image too. */
void lg_huge_close(struct lg_arena *a);

#endif
