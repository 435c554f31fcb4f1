#include "arena.h"

#include <string.h>

#include "arena_heap.h"
#include "arena_huge.h"
#include "arena_slab.h"

enum kind { NONE, SMALL, HEAP, HUGE };

static enum kind kind_of(size_t size) {
  if (size == 0) return NONE;
  if (size <= LG_SMALL_MAX) return SMALL;
  return size < LG_HUGE_MIN ? HEAP : HUGE;
}

static void *block_alloc(struct lg_arena *a, enum kind kind, size_t n) {
  if (kind == SMALL) return lg_small_alloc(a, lg_class_of(n));
  return kind == HEAP ? lg_heap_alloc(a, n) : lg_huge_alloc(a, n);
}

static void block_free(struct lg_arena *a, enum kind kind, void *p, size_t n) {
  if (kind == SMALL)
    lg_small_free(a, p, lg_class_of(n));
  else if (kind == HEAP)
    lg_heap_free(a, p);
  else
    lg_huge_free(a, p);
}

/* From one small size, not 0, to another. */
static void *small_resize(struct lg_arena *a, void *p, size_t osize, size_t nsize) {
  size_t from = lg_class_of(osize), to = lg_class_of(nsize);
  if (from == to) return p;
  void *block = lg_small_alloc(a, to);
  /* A block may be smaller than its place: rather that than a refusal, which Lua does not expect when it shrinks one. */
  if (block == NULL) return to < from ? p : NULL;
  memcpy(block, p, osize < nsize ? osize : nsize);
  lg_small_free(a, p, from);
  return block;
}

/* Strays.
 *
 * A block that was to become one of a smaller kind when the system refused the place for it stays where it is, and so is not
 * where its size says. There is no bound on how many: while there are any, nothing is taken to be where its size says
 * (small_max is 0). Those in mappings are linked through these; one of a small size that lies in the heap is one. */

static enum kind place_of(const struct lg_arena *a, const void *ptr, size_t size) {
  for (const struct lg_huge *h = a->strays; h != NULL; h = h->next_stray) {
    if ((const char *)h + LG_HUGE_HEADER == (const char *)ptr) return HUGE;
  }
  enum kind kind = kind_of(size);
  return kind == SMALL && lg_heap_holds(a, ptr) ? HEAP : kind;
}

static void stray_forget(struct lg_arena *a, void *block, enum kind place) {
  if (place == HUGE) {
    struct lg_huge *h = lg_huge_of(block);
    if (h->prev_stray != NULL)
      h->prev_stray->next_stray = h->next_stray;
    else
      a->strays = h->next_stray;
    if (h->next_stray != NULL) h->next_stray->prev_stray = h->prev_stray;
  }
  if (--a->stray_count == 0) a->small_max = LG_SMALL_MAX;
}

/* Let a block stay in a place of a larger kind; returns it. */
static void *stray_note(struct lg_arena *a, void *block, enum kind place) {
  if (place == HUGE) {
    struct lg_huge *h = lg_huge_of(block);
    h->prev_stray = NULL;
    h->next_stray = a->strays;
    if (h->next_stray != NULL) h->next_stray->prev_stray = h;
    a->strays = h;
  }
  a->stray_count++;
  a->small_max = 0;
  return block;
}

static void *resize_any(struct lg_arena *a, void *ptr, size_t osize, size_t nsize);

/* resize_any() while there are strays. A stray is resized as what its place was made for; then it is one no longer, or it
 * is still there, and still has room. */
static LG_NOINLINE void *resize_beside_strays(struct lg_arena *a, void *ptr, size_t osize, size_t nsize) {
  enum kind place = ptr == NULL ? NONE : place_of(a, ptr, osize);
  if (place == kind_of(osize)) return resize_any(a, ptr, osize, nsize);
  size_t room = place == HUGE ? lg_huge_of(ptr)->size - LG_HUGE_HEADER : lg_heap_room(ptr);
  stray_forget(a, ptr, place);
  void *block = resize_any(a, ptr, room, nsize); /* one that stays is noted anew */
  if (block == NULL && nsize != 0) (void)stray_note(a, ptr, place);
  return block;
}

void *lg_arena_realloc(struct lg_arena *a, void *ptr, size_t osize, size_t nsize) {
  if (ptr == NULL) osize = 0;
  if (LG_LIKELY(osize - 1 < a->small_max && nsize - 1 < a->small_max)) return small_resize(a, ptr, osize, nsize);
  return a->stray_count == 0 ? resize_any(a, ptr, osize, nsize) : resize_beside_strays(a, ptr, osize, nsize);
}

static void *resize_any(struct lg_arena *a, void *ptr, size_t osize, size_t nsize) {
  enum kind from = kind_of(osize), to = kind_of(nsize);
  if (to == NONE) {
    if (from != NONE) block_free(a, from, ptr, osize);
    return NULL;
  }
  if (from == to) {
    if (to == SMALL) return small_resize(a, ptr, osize, nsize);
    if (to == HEAP && lg_heap_resize(a, ptr, nsize)) return ptr;
    if (to == HUGE) {
      void *moved = lg_huge_resize(a, ptr, nsize);
      if (moved != NULL) return moved;
    }
  }
  void *block = block_alloc(a, to, nsize);
  if (block == NULL) {
    if (nsize > osize) return NULL;
    return from == to ? ptr : stray_note(a, ptr, from); /* a place of its own kind may be too large for it */
  }
  if (from != NONE) {
    memcpy(block, ptr, osize < nsize ? osize : nsize);
    block_free(a, from, ptr, osize);
  }
  return block;
}
