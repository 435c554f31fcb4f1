/* The heap for blocks of more than LG_SMALL_MAX bytes. Every chunk knows its size and the chunk below it, so joining
 * neighbours, and thus giving whole segments back, costs a constant. */
#include "arena_heap.h"

#include <assert.h>
#include <string.h>

#include "../os/compiler.h"
#include "arena_range.h"
#include "arena_segment.h"
#include "pages.h"

#define CHUNK_FREE ((size_t)1)
#define CHUNK_LAST ((size_t)2) /* nothing above it in its segment */
#define CHUNK_COLD ((size_t)4) /* free, and its inner pages were given back */
#define CHUNK_FLAGS ((size_t)15)
#define CHUNK_LISTED ((size_t)512) /* free chunks below this are of use only joined */
#define CHUNK_SPLIT ((size_t)64)
#define ROW_SHIFT 9 /* row 0 begins at 2^9 */
#define SEGMENT_MIN ((size_t)65536)
#define SEGMENT_MAX ((size_t)8 * 1024 * 1024)
#define DISCARD_MIN ((size_t)16384)
#define NEAR_FIT 4 /* chunks of the request's own list that are looked at before a list where all fit */

struct lg_chunk {
  struct lg_chunk *below;             /* NULL in the first of a segment */
  size_t size_flags;                  /* with this header; a multiple of 16 */
  _Alignas(16) struct lg_chunk *next; /* only while free and listed; else the block begins here */
  struct lg_chunk *prev;
};

struct lg_heap_segment {
  struct lg_heap_segment *next, *prev;
  size_t size;   /* of the mapping */
  size_t pinned; /* adopted: not the heap's to give back */
};

#define HEADER offsetof(struct lg_chunk, next)

static_assert(sizeof(struct lg_heap_segment) % 16 == 0 && HEADER == 16, "blocks are aligned to 16 bytes");
static_assert(SEGMENT_MAX < (CHUNK_LISTED << LG_HEAP_ROWS), "every chunk has a list");
static_assert(LG_HUGE_MIN * 2 < SEGMENT_MAX, "every block fits a segment");

static size_t size_of(const struct lg_chunk *c) { return c->size_flags & ~CHUNK_FLAGS; }

static struct lg_chunk *above(struct lg_chunk *c) {
  return (c->size_flags & CHUNK_LAST) != 0 ? NULL : (struct lg_chunk *)(void *)((char *)c + size_of(c));
}

static unsigned highest_bit(size_t x) { return 63u - lg_high_zeros(x); }

static unsigned lowest_bit(unsigned x) { return lg_low_zeros(x); }

/* The list for chunks of `size`: its row is the power of two, its column the eighth of that. */
static void list_of(size_t size, unsigned *row, unsigned *col) {
  unsigned high = highest_bit(size);
  *row = high - ROW_SHIFT;
  *col = (unsigned)(size >> (high - 3)) & 7;
}

/* The whole pages inside a free chunk; what begins it must stay. */
static size_t inner_pages(struct lg_chunk *c, void **pages) {
  uintptr_t from = ((uintptr_t)(c + 1) + LG_PAGE_SIZE - 1) & ~(uintptr_t)(LG_PAGE_SIZE - 1);
  uintptr_t to = ((uintptr_t)c + size_of(c)) & ~(uintptr_t)(LG_PAGE_SIZE - 1);
  *pages = (void *)from;
  return to > from ? to - from : 0;
}

static void discard(struct lg_arena *a, struct lg_chunk *c) {
  void *pages;
  size_t size = inner_pages(c, &pages);
  c->size_flags |= CHUNK_COLD;
  lg_pages_discard(pages, size);
  a->heap.idle -= size;
  a->reserved -= size;
}

/* The pages come back as they are written: counted as if all were. */
static void undiscard(struct lg_arena *a, struct lg_chunk *c) {
  void *pages;
  size_t size = inner_pages(c, &pages);
  c->size_flags &= ~CHUNK_COLD;
  a->heap.idle += size;
  a->reserved += size;
}

static void list_push(struct lg_heap *h, struct lg_chunk *c) {
  unsigned row, col;
  h->idle += size_of(c);
  if (size_of(c) < CHUNK_LISTED) return;
  list_of(size_of(c), &row, &col);
  c->prev = NULL;
  c->next = h->lists[row][col];
  if (c->next != NULL) c->next->prev = c;
  h->lists[row][col] = c;
  h->cols[row] |= (uint8_t)(1u << col);
  h->rows |= 1u << row;
}

static void list_remove(struct lg_arena *a, struct lg_chunk *c) {
  struct lg_heap *h = &a->heap;
  unsigned row, col;
  if ((c->size_flags & CHUNK_COLD) != 0) undiscard(a, c);
  h->idle -= size_of(c);
  if (size_of(c) < CHUNK_LISTED) return;
  list_of(size_of(c), &row, &col);
  if (c->next != NULL) c->next->prev = c->prev;
  if (c->prev != NULL) {
    c->prev->next = c->next;
    return;
  }
  h->lists[row][col] = c->next;
  if (c->next != NULL) return;
  h->cols[row] &= (uint8_t)~(1u << col);
  if (h->cols[row] == 0) h->rows &= ~(1u << row);
}

/* Make a chunk free (it is in no list) and join it with free neighbours; the joined chunk is listed. */
static struct lg_chunk *join(struct lg_arena *a, struct lg_chunk *c) {
  struct lg_chunk *up = above(c), *down = c->below;
  if (up != NULL && (up->size_flags & CHUNK_FREE) != 0) {
    list_remove(a, up);
    c->size_flags = (size_of(c) + size_of(up)) | (up->size_flags & CHUNK_LAST);
  }
  if (down != NULL && (down->size_flags & CHUNK_FREE) != 0) {
    list_remove(a, down);
    down->size_flags = (size_of(down) + size_of(c)) | (c->size_flags & CHUNK_LAST);
    c = down;
  }
  c->size_flags |= CHUNK_FREE;
  up = above(c);
  if (up != NULL) up->below = c;
  list_push(&a->heap, c);
  LG_POISON((char *)c + sizeof *c, size_of(c) - sizeof *c);
  return c;
}

/* Cut a chunk in use down to `size` bytes when the rest is worth a chunk. */
static void split(struct lg_arena *a, struct lg_chunk *c, size_t size) {
  size_t rest = size_of(c) - size;
  if (rest < CHUNK_SPLIT) return;
  struct lg_chunk *r = (struct lg_chunk *)(void *)((char *)c + size);
  LG_UNPOISON(r, sizeof *r);
  r->below = c;
  r->size_flags = rest | (c->size_flags & CHUNK_LAST);
  c->size_flags = size;
  join(a, r);
}

static struct lg_chunk *segment_begin(struct lg_arena *a, void *memory, size_t size, size_t pinned) {
  struct lg_heap_segment *g = memory;
  struct lg_chunk *c = (struct lg_chunk *)(void *)(g + 1);
  *g = (struct lg_heap_segment){.next = a->heap.segments, .size = size, .pinned = pinned};
  if (g->next != NULL) g->next->prev = g;
  a->heap.segments = g;
  c->below = NULL;
  c->size_flags = ((size - sizeof *g) & ~CHUNK_FLAGS) | CHUNK_LAST;
  a->heap.size += size_of(c);
  return c;
}

void lg_heap_adopt(struct lg_arena *a, void *memory, size_t size) { join(a, segment_begin(a, memory, size, 1)); }

/* A segment that can hold a chunk of `size`, as large as fits the heap's own size: its only chunk, in use. */
static struct lg_chunk *segment_grow(struct lg_arena *a, size_t size) {
  size_t least = (size + sizeof(struct lg_heap_segment) + LG_PAGE_SIZE - 1) / LG_PAGE_SIZE * LG_PAGE_SIZE;
  size_t want = SEGMENT_MIN;
  while (want < SEGMENT_MAX && want < a->heap.size / 2) want *= 2;
  if (want < least) want = least;
  if (lg_arena_over(a, want)) {
    want = least;
    if (lg_arena_over(a, want)) return NULL;
    a->capped = 0;
  }
  void *memory = lg_range_take(a, want);
  if (memory == NULL && want > least) memory = lg_range_take(a, want = least);
  if (memory == NULL) return NULL;
  a->reserved += want;
  return segment_begin(a, memory, want, 0);
}

static void segment_return(struct lg_arena *a, struct lg_chunk *c) {
  struct lg_heap_segment *g = (struct lg_heap_segment *)(void *)c - 1;
  list_remove(a, c);
  a->heap.size -= size_of(c);
  if (g->prev != NULL)
    g->prev->next = g->next;
  else
    a->heap.segments = g->next;
  if (g->next != NULL) g->next->prev = g->prev;
  a->reserved -= g->size;
  size_t size = g->size;
  LG_UNPOISON(g, size);
  lg_range_give(a, g, size);
}

/* Give wholly free segments back until at most `keep` bytes are idle. */
static void segments_return(struct lg_arena *a, size_t keep) {
  struct lg_heap_segment *next;
  for (struct lg_heap_segment *g = a->heap.segments; g != NULL && a->heap.idle > keep; g = next) {
    struct lg_chunk *first = (struct lg_chunk *)(void *)(g + 1);
    next = g->next;
    if (!g->pinned && (first->size_flags & (CHUNK_FREE | CHUNK_LAST)) == (CHUNK_FREE | CHUNK_LAST))
      segment_return(a, first);
  }
}

/* A free chunk of at least `size`, taken off its list. The request's own list is looked at first, though not all of it
 * fits: a program that frees and makes blocks of one size would else never get the same ones again. */
static struct lg_chunk *find(struct lg_arena *a, size_t size) {
  struct lg_heap *h = &a->heap;
  unsigned row, col, tries = NEAR_FIT;
  list_of(size, &row, &col);
  for (struct lg_chunk *c = h->lists[row][col]; c != NULL && tries-- > 0; c = c->next) {
    if (size_of(c) < size) continue;
    list_remove(a, c);
    return c;
  }
  unsigned cols = h->cols[row] & (unsigned)(0xfeu << col);
  if (cols == 0) {
    uint32_t rows = row + 1 < LG_HEAP_ROWS ? h->rows >> (row + 1) << (row + 1) : 0;
    if (rows == 0) return NULL;
    row = lowest_bit(rows);
    cols = h->cols[row];
  }
  struct lg_chunk *c = h->lists[row][lowest_bit(cols)];
  list_remove(a, c);
  return c;
}

static size_t chunk_size(size_t n) { return (n + HEADER + 15) & ~(size_t)15; }

void *lg_heap_alloc(struct lg_arena *a, size_t n) {
  size_t size = chunk_size(n);
  if (a->reserved == 0 && !lg_segment_boot(a)) return NULL;
  struct lg_chunk *c = find(a, size);
  if (c == NULL) c = segment_grow(a, size);
  if (c == NULL) return NULL;
  c->size_flags &= ~CHUNK_FREE;
  split(a, c, size);
  LG_UNPOISON((char *)c + HEADER, size_of(c) - HEADER);
  return (char *)c + HEADER;
}

void lg_heap_free(struct lg_arena *a, void *p) {
  struct lg_chunk *c = (struct lg_chunk *)(void *)((char *)p - HEADER);
  assert((c->size_flags & CHUNK_FREE) == 0);
  c = join(a, c);
  /* As with slabs, what a collector frees will be asked for again, up to twice what remains. */
  if (c->below == NULL && (c->size_flags & CHUNK_LAST) != 0) {
    segments_return(a, (a->heap.size - a->heap.idle) + LG_SLACK_BYTES);
  }
}

int lg_heap_resize(struct lg_arena *a, void *p, size_t n) {
  struct lg_chunk *c = (struct lg_chunk *)(void *)((char *)p - HEADER);
  struct lg_chunk *up = above(c);
  size_t size = chunk_size(n);
  if (size_of(c) < size) {
    if (up == NULL || (up->size_flags & CHUNK_FREE) == 0 || size_of(c) + size_of(up) < size) return 0;
    list_remove(a, up);
    LG_UNPOISON(up, size_of(up));
    c->size_flags = (size_of(c) + size_of(up)) | (up->size_flags & CHUNK_LAST);
    up = above(c);
    if (up != NULL) up->below = c;
  }
  split(a, c, size);
  return 1;
}

int lg_heap_holds(const struct lg_arena *a, const void *p) {
  for (const struct lg_heap_segment *g = a->heap.segments; g != NULL; g = g->next) {
    if ((uintptr_t)p - (uintptr_t)g < g->size) return 1;
  }
  return 0;
}

size_t lg_heap_room(const void *p) {
  size_t room = size_of((const struct lg_chunk *)(const void *)((const char *)p - HEADER)) - HEADER;
  return room < LG_HUGE_MIN ? room : LG_HUGE_MIN - 1; /* what is left over of a split may make it a little more */
}

const void *lg_heap_next(const void *segment, const void *at, const void **from, size_t *size) {
  const struct lg_heap_segment *g = segment;
  const struct lg_chunk *c =
      at == NULL ? (const struct lg_chunk *)(const void *)(g + 1) : above((struct lg_chunk *)(uintptr_t)at);
  if (c == NULL) return NULL;
  size_t used = (c->size_flags & CHUNK_FREE) != 0 ? sizeof *c : size_of(c);
  size_t before = at == NULL ? sizeof *g : 0; /* the segment's own header comes with its first chunk */
  *from = (const char *)c - before;
  *size = before + used;
  return c;
}

const void *lg_heap_segment_next(const void *segment) { return ((const struct lg_heap_segment *)segment)->next; }

void lg_heap_trim(struct lg_arena *a, size_t keep) {
  segments_return(a, keep);
  for (struct lg_heap_segment *g = a->heap.segments; g != NULL; g = g->next) {
    for (struct lg_chunk *c = (struct lg_chunk *)(void *)(g + 1); c != NULL; c = above(c)) {
      if (a->heap.idle <= keep) return;
      if ((c->size_flags & (CHUNK_FREE | CHUNK_COLD)) == CHUNK_FREE && size_of(c) >= DISCARD_MIN) discard(a, c);
    }
  }
}

void lg_heap_close(struct lg_arena *a) {
  struct lg_heap_segment *next;
  for (struct lg_heap_segment *g = a->heap.segments; g != NULL; g = next) {
    next = g->next;
    if (g->pinned || lg_range_holds(a, g)) continue;
    size_t size = g->size;
    LG_UNPOISON(g, size);
    lg_pages_unmap(g, size);
  }
}
