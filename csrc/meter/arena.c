#include "arena.h"

#include <stdatomic.h>
#include <string.h>

#include "arena_heap.h"
#include "arena_range.h"
#include "arena_segment.h"
#include "image.h"
#include "pages.h"
#include "reaper.h"

enum kind { NONE, SMALL, HEAP, HUGE };

/* A page costs the system as much as a hundred small blocks cost the arena, mostly for zeroing it: an engine that runs
 * again and again should find its pages again. But a thousand idle engines must not keep a thousand times as much. So
 * each may keep KEEP_OWN free bytes, and all together KEEP_SHARED more, whoever asks first: enough for an array of half a
 * million. But more than KEEP_MOST of this is left to an arena only after a run that needed as much, and was not LARGE: such
 * a run does so much that it does not miss what it leaves. */
#define KEEP_OWN ((size_t)256 * 1024)
#define KEEP_SHARED ((size_t)12 * 1024 * 1024)
#define KEEP_MOST ((size_t)5 * 1024 * 1024)
#define LARGE ((size_t)32 * 1024 * 1024)

static enum kind kind_of(size_t size) {
  if (size == 0) return NONE;
  if (size <= LG_SMALL_MAX) return SMALL;
  return size < LG_HUGE_MIN ? HEAP : HUGE;
}

/* ------------------------------------------------------------------ huge blocks */

#define HUGE_HEADER LG_HUGE_HEADER
#define HUGE_ROOM 4 /* a mapping is at most so many times as large as it needs to be */

static struct lg_huge *huge_of(void *block) { return (struct lg_huge *)(void *)((char *)block - HUGE_HEADER); }

static void huge_link(struct lg_arena *a, struct lg_huge *h) {
  h->prev = NULL;
  h->next = a->huge;
  if (h->next != NULL) h->next->prev = h;
  a->huge = h;
}

static void huge_unlink(struct lg_arena *a, struct lg_huge *h) {
  if (h->prev != NULL)
    h->prev->next = h->next;
  else
    a->huge = h->next;
  if (h->next != NULL) h->next->prev = h->prev;
}

/* Make the mapping the place of a block of n bytes. */
static void *huge_block(struct lg_arena *a, void *pages, size_t size, size_t n) {
  struct lg_huge *h = pages;
  h->size = size;
  h->used = n;
  h->in_image = 0;
  huge_link(a, h);
  return (char *)pages + HUGE_HEADER;
}

/* Making all pages of a large mapping at once takes half a millisecond for each MiB, so it goes in pieces, and only as long
 * as the run is within its time: pages that are not made now are made as they are written. */
static void prepare(const struct lg_arena *a, char *pages, size_t size) {
  const size_t piece = (size_t)16 * 1024 * 1024;
  for (size_t at = 0; at < size; at += piece) {
    if (a->due != NULL && atomic_load_explicit(a->due, memory_order_relaxed) != 0) return;
    lg_pages_prepare(pages + at, size - at < piece ? size - at : piece);
  }
}

/* Whole pages for a block of n bytes; 0 when n is larger than any object can be. */
static size_t huge_pages(size_t n) {
  if (n > (size_t)PTRDIFF_MAX - LG_PAGE_SIZE - HUGE_HEADER) return 0;
  return (n + HUGE_HEADER + LG_PAGE_SIZE - 1) / LG_PAGE_SIZE * LG_PAGE_SIZE;
}

static void spare_remove(struct lg_arena *a, unsigned i) {
  a->spare_size -= a->spare[i].size;
  memmove(&a->spare[i], &a->spare[i + 1], (LG_SPARE_MAPPINGS - 1 - i) * sizeof a->spare[0]);
  a->spare[LG_SPARE_MAPPINGS - 1].pages = NULL;
  a->spare[LG_SPARE_MAPPINGS - 1].size = 0;
}

static void pages_return(struct lg_arena *a, void *pages, size_t size) {
  a->reserved -= size;
  lg_pages_unmap(pages, size);
}

/* Give spare mappings back, the oldest first, down to `keep` bytes. */
static void spare_return(struct lg_arena *a, size_t keep) {
  for (unsigned i = LG_SPARE_MAPPINGS; i-- > 0 && a->spare_size > keep;) {
    if (a->spare[i].pages == NULL) continue;
    pages_return(a, a->spare[i].pages, a->spare[i].size);
    spare_remove(a, i);
  }
}

void lg_arena_drop_spare(struct lg_arena *a) { spare_return(a, 0); }

/* Keep a mapping for the next huge block; the oldest has to go for it. */
static void spare_push(struct lg_arena *a, void *pages, size_t size) {
  unsigned last = LG_SPARE_MAPPINGS - 1;
  if (a->spare[last].pages != NULL) {
    pages_return(a, a->spare[last].pages, a->spare[last].size);
    spare_remove(a, last);
  }
  memmove(&a->spare[1], &a->spare[0], last * sizeof a->spare[0]);
  a->spare[0].pages = pages;
  a->spare[0].size = size;
  a->spare_size += size;
}

/* The largest spare mapping of at least half of `size` and at most HUGE_ROOM times it; LG_SPARE_MAPPINGS when there is
 * none. */
static unsigned spare_find(const struct lg_arena *a, size_t size) {
  unsigned best = LG_SPARE_MAPPINGS;
  for (unsigned i = 0; i < LG_SPARE_MAPPINGS && a->spare[i].pages != NULL; i++) {
    size_t have = a->spare[i].size;
    if (have / HUGE_ROOM > size || have < size / 2) continue;
    if (best == LG_SPARE_MAPPINGS || have > a->spare[best].size) best = i;
  }
  return best;
}

/* A spare mapping of at least *size bytes, which is set to its size: made larger if need be, so that only the pages that
 * are new to it have to be made. */
static void *spare_take(struct lg_arena *a, size_t *size) {
  unsigned i = spare_find(a, *size);
  if (i == LG_SPARE_MAPPINGS) return NULL;
  size_t have = a->spare[i].size;
  void *pages = a->spare[i].pages;
  spare_remove(a, i);
  if (have >= *size) {
    *size = have;
    return pages;
  }
  void *larger = lg_arena_over(a, *size - have) ? NULL : lg_pages_resize(pages, have, *size);
  if (larger == NULL) {
    spare_push(a, pages, have);
    return NULL;
  }
  a->reserved += *size - have;
  return larger;
}

static void *huge_alloc(struct lg_arena *a, size_t n) {
  size_t size = huge_pages(n);
  if (size == 0) return NULL;
  void *pages = spare_take(a, &size);
  if (pages == NULL) {
    if (lg_arena_over(a, size)) return NULL;
    a->capped = 0;
    pages = lg_pages_map(size);
    if (pages == NULL && a->spare_size != 0) {
      spare_return(a, 0);
      pages = lg_pages_map(size);
    }
    if (pages == NULL) return NULL;
    prepare(a, pages, size); /* Lua makes no such block but to fill it: a table's slots, a long string */
    a->reserved += size;
  }
  a->huge_size += size;
  return huge_block(a, pages, size, n);
}

static void huge_free(struct lg_arena *a, void *block) {
  struct lg_huge *h = huge_of(block);
  size_t size = h->size;
  a->huge_size -= size;
  huge_unlink(a, h);
  if (h->in_image) { /* it may come back with the image */
    h->next = a->parted;
    a->parted = h;
    return;
  }
  /* The largest that the next run may be left is kept until it is known how large this run was. */
  size_t slack = size <= KEEP_SHARED ? KEEP_SHARED : LG_SLACK_BYTES;
  if (a->spare_size + size > a->huge_size + slack) {
    pages_return(a, h, size);
    return;
  }
  spare_push(a, h, size);
}

/* The block at another size, or NULL when it has to be copied. */
static void *huge_resize(struct lg_arena *a, void *block, size_t nsize) {
  struct lg_huge *h = huge_of(block);
  size_t have = h->size, size = huge_pages(nsize);
  if (size == 0) return NULL;
  if (size <= have && have / HUGE_ROOM <= size) {
    h->used = nsize;
    return block;
  }
  if (h->in_image) return NULL;
  if (size > have && size - have >= have / 2) {
    /* copying into pages that are there is faster than having as many made */
    unsigned i = spare_find(a, size);
    if (i != LG_SPARE_MAPPINGS && a->spare[i].size >= size) return NULL;
  }
  if (size > have && lg_arena_over(a, size - have)) {
    a->capped = 0; /* what is to be copied asks for all of it, and is told */
    return NULL;
  }
  huge_unlink(a, h);
  void *moved = lg_pages_resize(h, have, size);
  if (moved == NULL) {
    huge_link(a, h);
    return NULL;
  }
  a->reserved += size - have;
  a->huge_size += size - have;
  return huge_block(a, moved, size, nsize);
}

/* ------------------------------------------------------------------ any block */

static void *block_alloc(struct lg_arena *a, enum kind kind, size_t n) {
  if (kind == SMALL) return lg_small_alloc(a, lg_class_of(n));
  return kind == HEAP ? lg_heap_alloc(a, n) : huge_alloc(a, n);
}

static void block_free(struct lg_arena *a, enum kind kind, void *p, size_t n) {
  if (kind == SMALL)
    lg_small_free(a, p, lg_class_of(n));
  else if (kind == HEAP)
    lg_heap_free(a, p);
  else
    huge_free(a, p);
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

/* ------------------------------------------------------------------ strays
 *
 * A block that was to become one of a smaller kind when the system refused the place for it stays where it is, and so is not
 * where its size says. There is no bound on how many: while there are any, nothing is taken to be where its size says
 * (small_max is 0). Those in mappings are linked through these; one of a small size that lies in the heap is one. */

static enum kind place_of(const struct lg_arena *a, const void *ptr, size_t size) {
  for (const struct lg_huge *h = a->strays; h != NULL; h = h->next_stray) {
    if ((const char *)h + HUGE_HEADER == (const char *)ptr) return HUGE;
  }
  enum kind kind = kind_of(size);
  return kind == SMALL && lg_heap_holds(a, ptr) ? HEAP : kind;
}

static void stray_forget(struct lg_arena *a, void *block, enum kind place) {
  if (place == HUGE) {
    struct lg_huge *h = huge_of(block);
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
    struct lg_huge *h = huge_of(block);
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
  size_t room = place == HUGE ? huge_of(ptr)->size - HUGE_HEADER : lg_heap_room(ptr);
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
      void *moved = huge_resize(a, ptr, nsize);
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

/* ------------------------------------------------------------------ the whole arena */

static atomic_size_t shared_in_use;

static size_t idle_bytes(const struct lg_arena *a) {
  return a->slabs_warm * LG_SLAB_SIZE + a->heap.idle + a->spare_size + lg_range_idle(a);
}

size_t lg_arena_held(const struct lg_arena *a) { return a->reserved + lg_range_idle(a); }

/* Take up to `want` bytes of the shared allowance. */
static size_t shared_take(size_t want) {
  size_t used = atomic_load_explicit(&shared_in_use, memory_order_relaxed), got;
  do {
    got = KEEP_SHARED - used < want ? KEEP_SHARED - used : want;
  } while (got != 0 && !atomic_compare_exchange_weak_explicit(&shared_in_use, &used, used + got, memory_order_relaxed,
                                                              memory_order_relaxed));
  return got;
}

static void shared_return(size_t size) {
  if (size != 0) atomic_fetch_sub_explicit(&shared_in_use, size, memory_order_relaxed);
}

void lg_arena_init(struct lg_arena *a) {
  memset(a, 0, sizeof *a);
  a->small_max = LG_SMALL_MAX;
  a->mixed_quota = SIZE_MAX;
  a->reserved_max = SIZE_MAX;
  a->keep = KEEP_OWN;
}

static size_t rest(size_t of, size_t used) { return used < of ? of - used : 0; }

/* Give what the arena has of the shared allowance beyond `most` back to it. */
static void shared_keep_at_most(struct lg_arena *a, size_t most) {
  if (a->shared_keep <= most) return;
  size_t more = a->shared_keep - most;
  a->keep -= more;
  a->shared_keep = most;
  shared_return(more);
}

/* Let the arena keep what of `idle` bytes the allowances leave it; returns how many that are. */
static size_t allow_idle(struct lg_arena *a, size_t idle, size_t peak) {
  size_t most = peak < KEEP_MOST || peak > LARGE ? KEEP_MOST : KEEP_SHARED;
  shared_keep_at_most(a, most);
  if (idle <= a->keep) return a->keep;
  size_t got = shared_take(idle - a->keep < most - a->shared_keep ? idle - a->keep : most - a->shared_keep);
  a->shared_keep += got;
  a->keep += got;
  return a->keep;
}

void lg_arena_trim(struct lg_arena *a, size_t peak) {
  size_t idle = idle_bytes(a);
  /* Free places among blocks in use cannot go back and are no reason to look for more each time. */
  if (a->stuck > lg_arena_held(a) - idle) a->stuck = lg_arena_held(a) - idle;
  if (idle <= a->keep + a->stuck && a->shared_keep <= KEEP_MOST) return;
  size_t keep = allow_idle(a, idle, peak);
  if (idle > keep) {
    /* Each in turn gives back what the others leave it: slabs, which every run uses, are the last to go. */
    spare_return(a, rest(keep, idle - a->spare_size));
    lg_heap_trim(a, rest(keep, idle_bytes(a) - a->heap.idle));
    lg_slab_trim(a, rest(keep, idle_bytes(a) - a->slabs_warm * LG_SLAB_SIZE));
    lg_range_trim(a, rest(keep, idle_bytes(a) - lg_range_idle(a)));
  }
  idle = idle_bytes(a);
  a->stuck = idle > a->keep ? idle - a->keep : 0;
}

/* Mappings that go together: to the reaper one by one where they are many bytes. */
static void mapping_drop(void *pages, size_t size, size_t together) {
  if (together >= LG_REAP_MIN)
    lg_reap(pages, size, pages);
  else
    lg_pages_unmap(pages, size);
}

/* Huge blocks made since the image: the first few that an arena may keep become spare, the others go. */
static void huge_forget(struct lg_arena *a) {
  size_t together = a->huge_size;
  struct lg_huge *next;
  for (struct lg_huge *h = a->huge; h != NULL; h = next) {
    next = h->next;
    if (h->in_image) continue;
    if (a->spare_size + h->size <= KEEP_SHARED && a->spare[LG_SPARE_MAPPINGS - 1].pages == NULL)
      spare_push(a, h, h->size);
    else
      mapping_drop(h, h->size, together);
  }
}

void lg_arena_forget(struct lg_arena *a) {
  LG_UNPOISON(a->range.base, a->range.high);
  huge_forget(a);
  lg_heap_close(a);
  lg_segments_close(a);
}

void lg_arena_settle(struct lg_arena *a, size_t peak) {
  a->reserved += a->spare_size; /* an image holds none */
  size_t idle = a->spare_size + lg_range_idle(a);
  if (idle <= a->keep && a->shared_keep <= KEEP_MOST) return;
  size_t keep = allow_idle(a, idle, peak);
  if (idle <= keep) return;
  spare_return(a, rest(keep, lg_range_idle(a)));
  lg_range_trim(a, rest(keep, a->spare_size));
}

static void close_huge(struct lg_huge *list, size_t together) {
  struct lg_huge *next;
  for (; list != NULL; list = next) {
    next = list->next;
    mapping_drop(list, list->size, together);
  }
}

void lg_arena_close(struct lg_arena *a) {
  spare_return(a, 0);
  LG_UNPOISON(a->range.base, a->range.high);
  close_huge(a->parted, a->huge_size);
  close_huge(a->huge, a->huge_size);
  lg_heap_close(a); /* first: part of the heap may lie in a segment */
  lg_segments_close(a);
  lg_range_close(a);
  shared_return(a->shared_keep);
  lg_arena_init(a);
}
