/* Slabs and the segments they are cut from: everything that an allocation or a free does rarely. */
#include "arena_slab.h"

#include <assert.h>
#include "arena_segment.h"

enum { SLAB_MIXED, SLAB_CURRENT, SLAB_PARTIAL, SLAB_FULL };

/* What `left` counts, by state (`made` blocks exist; those in the arena's `ready` count as handed out):
 *   mixed    always 1: every free is an event, since only the caller knows the block's class
 *   current  blocks handed out, so made - left are in `free`; its event means that nothing is in use
 *   partial  blocks handed out; its event means that the slab is empty and goes back to its segment
 *   full     frees until enough blocks are free for the slab to be worth taking from: then it becomes partial */

#define MIXED_AFTER_SEAL ((size_t)8192) /* small runs live beside the permanent blocks and never begin a slab */
#define CUT_BYTES ((size_t)1024)        /* cut at once: a fresh page is touched when its turn comes */

static_assert(sizeof(struct lg_slab) <= 64, "headers are 64 bytes apart");
static_assert(LG_SMALL_MAX / LG_GRANULE + 1 == LG_CLASSES, "one class for each multiple of the granule");

static struct lg_slab *slab_open(struct lg_arena *a, size_t cls, uint8_t state) {
  struct lg_slab *s = lg_segment_take(a);
  if (s == NULL) return NULL;
  s->cls = (uint8_t)cls;
  s->state = state;
  if (cls != 0) s->batch = (uint16_t)(LG_SLAB_SIZE / (cls * LG_GRANULE) / 8);
  return s;
}

static void partial_push(struct lg_arena *a, struct lg_slab *s) {
  struct lg_slab **list = &a->partial[s->cls];
  s->state = SLAB_PARTIAL;
  s->prev = NULL;
  s->next = *list;
  if (s->next != NULL) s->next->prev = s;
  *list = s;
}

static void partial_remove(struct lg_arena *a, struct lg_slab *s) {
  if (s->prev != NULL)
    s->prev->next = s->next;
  else
    a->partial[s->cls] = s->next;
  if (s->next != NULL) s->next->prev = s->prev;
}

static char *base_of(const struct lg_slab *s) { return (char *)((uintptr_t)s & ~(uintptr_t)(LG_SLAB_SIZE - 1)); }

/* Where the next blocks of `size` bytes can be cut, past the headers: the offset, and in *room how many bytes lie before
 * the headers or the slab's end. *room is less than `size` when all is cut. */
static size_t cut_offset(const struct lg_slab *s, size_t size, size_t *room) {
  size_t hole = (size_t)((const char *)s - base_of(s));
  size_t hole_end = hole + 64;
  if (s->index == 0) hole_end += (sizeof(struct lg_segment) + LG_GRANULE - 1) & ~(LG_GRANULE - 1);
  size_t at = s->cut;
  if (at + size <= hole) {
    *room = hole - at;
    return at;
  }
  if (at < hole_end) at = hole_end;
  *room = LG_SLAB_SIZE - at;
  return at;
}

/* Cut the next few blocks as a list in order of address; NULL when the slab is all cut. */
static struct lg_block *cut(struct lg_slab *s, size_t size) {
  size_t room, at = cut_offset(s, size, &room);
  uint32_t n = (uint32_t)((room < CUT_BYTES ? room : CUT_BYTES) / size);
  if (n == 0) return NULL;
  char *first = base_of(s) + at, *last = first + (n - 1) * size;
  for (char *p = first; p != last; p += size)
    lg_link((struct lg_block *)(void *)p, (struct lg_block *)(void *)(p + size));
  lg_link((struct lg_block *)(void *)last, NULL);
  LG_POISON(first, n * size);
  s->cut = (uint32_t)(at + n * size);
  s->made += n;
  s->left += n;
  return (struct lg_block *)(void *)first;
}

/* Refill `ready` from the current slab and take one block of it; NULL when too few are free and all is cut. */
static void *take(struct lg_arena *a, struct lg_slab *s) {
  size_t size = s->cls * LG_GRANULE;
  struct lg_block *b;
  if (s->made - s->left >= s->batch && s->free != NULL) {
    b = s->free;
    s->free = NULL;
    s->left = s->made;
  } else {
    b = cut(s, size);
    if (b == NULL) return NULL;
  }
  a->ready[s->cls] = lg_next(b);
  LG_UNPOISON(b, size);
  return b;
}

static void *take_mixed(struct lg_arena *a, size_t size) {
  size_t room = 0, at = a->mixed == NULL ? 0 : cut_offset(a->mixed, size, &room);
  if (room < size) {
    struct lg_slab *s = a->mixed_quota == 0 ? NULL : slab_open(a, 0, SLAB_MIXED);
    if (s == NULL) {
      if (a->mixed_quota == 0) a->mixed = NULL;
      return NULL;
    }
    s->left = 1;
    a->mixed = s;
    at = cut_offset(s, size, &room);
  }
  a->mixed->cut = (uint32_t)(at + size);
  a->mixed_quota -= a->mixed_quota < size ? a->mixed_quota : size;
  char *b = base_of(a->mixed) + at;
  LG_UNPOISON(b, size);
  return b;
}

/* The system refuses memory: a larger free block serves as well, since a slab finds its blocks by address alone. This
 * is also why making a block smaller hardly ever fails. */
static void *borrow(struct lg_arena *a, size_t cls) {
  for (size_t c = cls + 1; c < LG_CLASSES; c++) {
    struct lg_slab *s = a->current[c];
    struct lg_block *b = a->ready[c];
    if (b != NULL) {
      a->ready[c] = lg_next(b);
    } else if (s != NULL && s->free != NULL) {
      b = s->free;
      s->free = lg_next(b);
      s->left++;
    } else {
      continue;
    }
    LG_UNPOISON(b, c * LG_GRANULE);
    return b;
  }
  return NULL;
}

void *lg_slab_refill(struct lg_arena *a, size_t cls) {
  struct lg_slab *s = a->current[cls];
  assert(cls > 0 && cls < LG_CLASSES);
  if (s != NULL) {
    void *b = take(a, s);
    if (b != NULL) return b;
    s->state = SLAB_FULL;
    s->left = s->batch - (s->made - s->left);
    a->current[cls] = NULL;
  }
  if (a->mixed != NULL || a->mixed_quota != 0) {
    void *b = take_mixed(a, cls * LG_GRANULE);
    if (b != NULL) return b;
  }
  s = a->partial[cls];
  if (s != NULL)
    partial_remove(a, s);
  else
    s = slab_open(a, cls, SLAB_CURRENT);
  if (s == NULL) return borrow(a, cls);
  s->state = SLAB_CURRENT;
  a->current[cls] = s;
  return take(a, s);
}

static LG_NOINLINE void *slab_event(struct lg_arena *a, struct lg_slab *s) {
  if (s->state == SLAB_PARTIAL) {
    partial_remove(a, s);
    lg_segment_give(a, s);
  } else if (s->state == SLAB_FULL) {
    s->left = s->made - s->batch;
    partial_push(a, s);
  } /* the current slab stays though all its blocks are free: its class is in use */
  return NULL;
}

void *lg_slab_event(struct lg_arena *a, struct lg_slab *s, size_t cls) {
  struct lg_block *b = s->free;
  if (s->state != SLAB_MIXED) return slab_event(a, s);
  s->left = 1;
  s->free = NULL;
  lg_link(b, a->ready[cls]);
  a->ready[cls] = b;
  return NULL;
}

void lg_arena_seal(struct lg_arena *a) { a->mixed_quota = MIXED_AFTER_SEAL; }

/* Count the blocks in `ready` as free again, so that slabs which hold nothing else are seen to be empty. */
static void flush(struct lg_arena *a, size_t cls) {
  struct lg_block *b = a->ready[cls], *next;
  a->ready[cls] = NULL;
  for (; b != NULL; b = next) {
    struct lg_slab *s = lg_slab_of(b);
    next = lg_next(b);
    lg_link(b, s->free);
    s->free = b;
    if (--s->left == 0) (void)lg_slab_event(a, s, cls);
  }
  struct lg_slab *s = a->current[cls];
  if (s != NULL && s->left == 0) {
    a->current[cls] = NULL;
    lg_segment_give(a, s);
  }
}

void lg_slab_trim(struct lg_arena *a, size_t keep) {
  for (size_t cls = 1; cls < LG_CLASSES; cls++) flush(a, cls);
  lg_segments_return(a, keep);
  lg_segments_discard(a, keep);
}
