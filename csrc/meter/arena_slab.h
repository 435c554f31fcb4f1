/* Slabs of small blocks: the paths that every allocation and every free takes, to be inlined, and what they call else.
 *
 * Contract: for arena*.c and meter.c only. `cls` is lg_class_of() a size of 1 to LG_SMALL_MAX bytes. */
#ifndef LG_ARENA_SLAB_H
#define LG_ARENA_SLAB_H

#include "../os/compiler.h"
#include "arena.h"

#define LG_SLAB_SHIFT 14
#define LG_SLAB_SIZE ((size_t)1 << LG_SLAB_SHIFT)
#define LG_SLACK_BYTES ((size_t)4 * 1024 * 1024) /* free memory that is kept within a run beside as much as is in use */

#if defined(__SANITIZE_ADDRESS__)
#define LG_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LG_ASAN 1
#endif
#endif

/* Under AddressSanitizer a free block is poisoned as one of malloc's would be, its link included, so only these two may
 * touch links. */
#ifdef LG_ASAN
#include <sanitizer/asan_interface.h>
#define LG_POISON(p, n) __asan_poison_memory_region((p), (n))
#define LG_UNPOISON(p, n) __asan_unpoison_memory_region((p), (n))
__attribute__((no_sanitize("address"), noinline, unused)) static struct lg_block *lg_next(const struct lg_block *b) {
  return b->next;
}
__attribute__((no_sanitize("address"), noinline, unused)) static void lg_link(struct lg_block *b, struct lg_block *n) {
  b->next = n;
}
#else
#define LG_POISON(p, n) ((void)(p), (void)(n))
#define LG_UNPOISON(p, n) ((void)(p), (void)(n))
static inline struct lg_block *lg_next(const struct lg_block *b) { return b->next; }
static inline void lg_link(struct lg_block *b, struct lg_block *n) { b->next = n; }
#endif

/* A slab's header lies within its slab. `left` makes a free cheap: it counts down to the one free that needs attention,
 * whatever that is for the slab's state, so that the ordinary free has one count and one test. */
struct lg_slab {
  struct lg_block *free;       /* freed blocks, not in the arena's `ready` */
  uint32_t left;               /* frees until lg_slab_event() */
  uint32_t made;               /* blocks cut so far */
  uint32_t cut;                /* offset where the next block may be cut */
  uint16_t batch;              /* free blocks that make the slab worth taking from */
  uint8_t cls;                 /* 0 in a mixed slab */
  uint8_t state;               /* enum in arena_slab.c */
  struct lg_slab *next, *prev; /* list of partial slabs */
  struct lg_segment *segment;
  uint32_t index; /* which slab of its segment */
};

static inline size_t lg_class_of(size_t size) { return (size + LG_GRANULE - 1) / LG_GRANULE; }

/* Headers are spread over the cache sets by bits of the slab's address: all at the same offset they would compete for
 * the few lines of one set. */
static inline struct lg_slab *lg_slab_of(const void *p) {
  uintptr_t base = (uintptr_t)p & ~(uintptr_t)(LG_SLAB_SIZE - 1);
  return (struct lg_slab *)(base + ((base >> (LG_SLAB_SHIFT - 6)) & 0xfc0));
}

/* `ready` is empty: find more. Returns one block (never linked anywhere), or NULL when the system refuses memory. */
void *lg_slab_refill(struct lg_arena *a, size_t cls);

/* The free that `left` counted down to: `s->free` has the block on top, of class `cls`. Always NULL, which is
 * what an allocator answers to a free: one call less. */
void *lg_slab_event(struct lg_arena *a, struct lg_slab *s, size_t cls);

/* Move blocks from `ready` to where they can be counted, give free segments and slabs back down to `keep` bytes. */
void lg_slab_trim(struct lg_arena *a, size_t keep);

/* A block that is ready, or NULL: then lg_slab_refill(). */
static inline void *lg_small_pop(struct lg_arena *a, size_t cls) {
  struct lg_block *b = a->ready[cls];
  if (LG_UNLIKELY(b == NULL)) return NULL;
  a->ready[cls] = lg_next(b);
  LG_UNPOISON(b, cls * LG_GRANULE);
  return b;
}

/* Free a block; when `left` of the slab it returns is 0, call lg_slab_event(). */
static inline struct lg_slab *lg_small_push(void *p, size_t cls) {
  struct lg_slab *s = lg_slab_of(p);
  struct lg_block *b = p;
  lg_link(b, s->free);
  LG_POISON(b, cls * LG_GRANULE);
  s->free = b;
  s->left--;
  return s;
}

static inline void *lg_small_alloc(struct lg_arena *a, size_t cls) {
  void *b = lg_small_pop(a, cls);
  return LG_LIKELY(b != NULL) ? b : lg_slab_refill(a, cls);
}

static inline void lg_small_free(struct lg_arena *a, void *p, size_t cls) {
  struct lg_slab *s = lg_small_push(p, cls);
  if (LG_UNLIKELY(s->left == 0)) (void)lg_slab_event(a, s, cls);
}

#endif
