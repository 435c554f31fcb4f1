#include "arena_huge.h"

#include <stdatomic.h>
#include <string.h>

#include "arena_slab.h"
#include "pages.h"
#include "reaper.h"

#define HUGE_ROOM 4 /* a mapping is at most so many times as large as it needs to be */

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
  return (char *)pages + LG_HUGE_HEADER;
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
  if (n > (size_t)PTRDIFF_MAX - LG_PAGE_SIZE - LG_HUGE_HEADER) return 0;
  return (n + LG_HUGE_HEADER + LG_PAGE_SIZE - 1) / LG_PAGE_SIZE * LG_PAGE_SIZE;
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

void lg_spare_return(struct lg_arena *a, size_t keep) {
  for (unsigned i = LG_SPARE_MAPPINGS; i-- > 0 && a->spare_size > keep;) {
    if (a->spare[i].pages == NULL) continue;
    pages_return(a, a->spare[i].pages, a->spare[i].size);
    spare_remove(a, i);
  }
}

void lg_arena_drop_spare(struct lg_arena *a) { lg_spare_return(a, 0); }

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

void *lg_huge_alloc(struct lg_arena *a, size_t n) {
  size_t size = huge_pages(n);
  if (size == 0) return NULL;
  void *pages = spare_take(a, &size);
  if (pages == NULL) {
    if (lg_arena_over(a, size)) return NULL;
    a->capped = 0;
    pages = lg_pages_map(size);
    if (pages == NULL && a->spare_size != 0) {
      lg_spare_return(a, 0);
      pages = lg_pages_map(size);
    }
    if (pages == NULL) return NULL;
    prepare(a, pages, size); /* Lua makes no such block but to fill it: a table's slots, a long string */
    a->reserved += size;
  }
  a->huge_size += size;
  return huge_block(a, pages, size, n);
}

void lg_huge_free(struct lg_arena *a, void *block) {
  struct lg_huge *h = lg_huge_of(block);
  size_t size = h->size;
  a->huge_size -= size;
  huge_unlink(a, h);
  if (h->in_image) { /* it may come back with the image */
    h->next = a->parted;
    a->parted = h;
    return;
  }
  /* The largest that the next run may be left is kept until it is known how large this run was. */
  size_t slack = size <= LG_KEEP_SHARED ? LG_KEEP_SHARED : LG_SLACK_BYTES;
  if (a->spare_size + size > a->huge_size + slack) {
    pages_return(a, h, size);
    return;
  }
  spare_push(a, h, size);
}

void *lg_huge_resize(struct lg_arena *a, void *block, size_t nsize) {
  struct lg_huge *h = lg_huge_of(block);
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

/* Mappings that go together: to the reaper one by one where they are many bytes. */
static void mapping_drop(void *pages, size_t size, size_t together) {
  if (together >= LG_REAP_MIN)
    lg_reap(pages, size, pages);
  else
    lg_pages_unmap(pages, size);
}

void lg_huge_forget(struct lg_arena *a) {
  size_t together = a->huge_size;
  struct lg_huge *next;
  for (struct lg_huge *h = a->huge; h != NULL; h = next) {
    next = h->next;
    if (h->in_image) continue;
    if (a->spare_size + h->size <= LG_KEEP_SHARED && a->spare[LG_SPARE_MAPPINGS - 1].pages == NULL)
      spare_push(a, h, h->size);
    else
      mapping_drop(h, h->size, together);
  }
}

static void close_list(struct lg_huge *list, size_t together) {
  struct lg_huge *next;
  for (; list != NULL; list = next) {
    next = list->next;
    mapping_drop(list, list->size, together);
  }
}

void lg_huge_close(struct lg_arena *a) {
  close_list(a->parted, a->huge_size);
  close_list(a->huge, a->huge_size);
}
