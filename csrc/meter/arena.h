/* Where a metered state's blocks live: size classes without headers, a heap for larger blocks, pages for huge ones.
 *
 * Contract
 * - Lua passes every block's size when it frees or resizes it, so small blocks need no header. `osize` must be the size
 *   the block was last asked with (0 for NULL); a small block may be freed as a smaller one, which is what LuaJIT does with a
 *   closure whose making was refused half-way (func_newL in its lj_func.c). One thread at a time; never from a signal handler.
 * - Blocks are aligned to max_align_t. All memory comes from pages.h and goes back there: whole segments while a run
 *   shrinks, everything that is free at lg_arena_trim(), the rest at lg_arena_close() (but for 64 KiB each of a few
 *   closed arenas, in which new ones begin), whether or not its blocks were freed.
 * - Segments lie in one reservation of addresses (arena_range.h), huge blocks in mappings of their own: a mapping grows by
 *   moving its page tables, which would leave a hole in the reservation, for anybody's next mapping.
 * - When the system refuses memory the request alone fails, with NULL; a block that was to be resized is unchanged. One
 *   that was to be made smaller stays where it is then, and that is no failure: Lua makes some smaller outside every
 *   protected call.
 *
 * How blocks are found
 *   up to LG_SMALL_MAX   in a slab of 16 KiB for one class of multiples of 16 bytes, with its own list of free blocks and
 *                        count; the address masked gives the slab. Blocks made before lg_arena_seal() share mixed slabs
 *                        instead, packed one after the other, because an idle engine has few blocks of many sizes.
 *   below LG_HUGE_MIN    in a heap with a header per block, good fit, neighbours joined at once (arena_heap.c).
 *   from LG_HUGE_MIN     in a mapping of its own, which may be larger than the block: growing moves page table entries,
 *                        not bytes, or nothing at all. */
#ifndef LG_ARENA_H
#define LG_ARENA_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define LG_GRANULE ((size_t)16)
#define LG_SMALL_MAX ((size_t)1024)
#define LG_CLASSES 65 /* class c holds blocks of 16 * c bytes; class 0 is not used */
#define LG_HUGE_MIN ((size_t)512 * 1024)

#define LG_HEAP_ROWS 15 /* powers of two from 512 bytes on */
#define LG_HEAP_COLS 8  /* equal steps within one */
#define LG_SPARE_MAPPINGS 8

struct lg_block {
  struct lg_block *next; /* meaningful only while the block is free */
};

#define LG_RANGE_FIRST ((size_t)64 * 1024) /* what a reservation holds from the start */
#define LG_RANGE_HOLES 32

struct lg_slab;
struct lg_segment;
struct lg_chunk;
struct lg_heap_segment;
struct lg_huge;

struct lg_heap {
  uint32_t rows;              /* bit r: some list of row r is not empty */
  uint8_t cols[LG_HEAP_ROWS]; /* bit c: list [r][c] is not empty */
  struct lg_chunk *lists[LG_HEAP_ROWS][LG_HEAP_COLS];
  struct lg_heap_segment *segments;
  size_t size; /* bytes of all chunks */
  size_t idle; /* of these, bytes of free chunks that still hold memory */
};

/* Which addresses of the reservation are in use (arena_range.c), as offsets from its base. */
struct lg_spans {
  size_t top; /* all above is free */
  unsigned hole_count;
  struct {
    size_t at, size;
  } hole[LG_RANGE_HOLES]; /* free below `top`, in order */
};

/* The reservation itself. */
struct lg_range {
  char *pages; /* the mapping */
  size_t pages_size;
  char *base;       /* in it, aligned to LG_SLAB_SIZE */
  size_t size;      /* 0 when there is none */
  size_t committed; /* usable from the base on */
  size_t high;      /* may be resident from the base on */
};

struct lg_arena {
  size_t small_max;                    /* LG_SMALL_MAX; 0 while there are strays: nothing is taken to be small unseen */
  size_t reserved;                     /* bytes of memory held from the operating system, in use or not */
  struct lg_block *ready[LG_CLASSES];  /* blocks to hand out next; their slabs count them as handed out */
  struct lg_slab *current[LG_CLASSES]; /* the slab `ready` is refilled from */
  struct lg_slab *partial[LG_CLASSES]; /* other slabs with enough free blocks */
  struct lg_slab *mixed;               /* the mixed slab that blocks are cut from, or NULL */
  size_t mixed_quota;                  /* bytes that may still be cut before no new mixed slab is begun */
  struct lg_segment *segments;         /* with a free slab */
  struct lg_segment *full_segments;    /* without */
  size_t slabs_live;                   /* slabs in use */
  size_t slabs_warm;                   /* free slabs that still hold memory */
  struct lg_heap heap;
  struct lg_spans spans;
  size_t outside;         /* segments that are mappings of their own */
  struct lg_huge *huge;   /* huge blocks in use, linked */
  struct lg_huge *parted; /* huge blocks that are free, but kept for the image they are part of */
  size_t huge_size;       /* bytes of huge blocks in use */
  size_t stray_count;     /* blocks that are not where their size says (arena.c) */
  struct lg_huge *strays; /* those of them that are in mappings of their own, linked */
  struct lg_range range;  /* from here on: what putting an image back leaves as it is */
  struct {
    void *pages;
    size_t size;
  } spare[LG_SPARE_MAPPINGS]; /* freed huge blocks kept for the next one, most recent first */
  size_t spare_size;
  size_t reserved_max;   /* `reserved` may not go beyond this; SIZE_MAX for no bound */
  int capped;            /* a request failed because of reserved_max; whoever reads it resets it */
  size_t keep;           /* free bytes that lg_arena_trim() leaves alone */
  size_t stuck;          /* free bytes beyond `keep` that it last found no way to give back */
  size_t shared_keep;    /* of these, bytes out of what all arenas of the process share */
  const atomic_int *due; /* NULL, or not 0 when the run is to end: then no memory is made in advance */
};

#define LG_ARENA_BOOKS offsetof(struct lg_arena, range) /* what an image of an arena holds of this struct */

/* Give spare mappings back. */
void lg_arena_drop_spare(struct lg_arena *a);

/* Whether `more` bytes from the system would go beyond reserved_max: a script could otherwise pin a slab or segment with
 * each of a few blocks, and hold many times its limit. */
static inline int lg_arena_over(struct lg_arena *a, size_t more) {
  if (more <= a->reserved_max && a->reserved <= a->reserved_max - more) return 0;
  lg_arena_drop_spare(a); /* what an earlier run left decides nothing */
  if (more <= a->reserved_max && a->reserved <= a->reserved_max - more) return 0;
  a->capped = 1;
  return 1;
}

/* An empty arena; holds no memory until the first block. */
void lg_arena_init(struct lg_arena *a);

/* Reserve addresses for the segments of an empty arena: `size` bytes, or less where the process may not have many. 1, or 0
 * when the system refuses: the arena then does without. */
int lg_arena_reserve(struct lg_arena *a, size_t size);

/* Give everything back, blocks in use too. */
void lg_arena_close(struct lg_arena *a);

/* Bytes held from the system: `reserved`, and what lies ready for the next run. */
size_t lg_arena_held(const struct lg_arena *a);

/* lua_Alloc's meaning without the counting: `nsize` 0 frees and returns NULL. */
void *lg_arena_realloc(struct lg_arena *a, void *ptr, size_t osize, size_t nsize);

/* The blocks that live as long as the state have been made: from now on each class fills slabs of its own. */
void lg_arena_seal(struct lg_arena *a);

/* Give free memory back, but for a little that the next run may use again. Call between runs, after a full collection;
 * costs two comparisons when there is nothing to do. `peak`: the most bytes that were in use since the last call; what
 * that was decides how much is kept. */
void lg_arena_trim(struct lg_arena *a, size_t peak);

#endif
