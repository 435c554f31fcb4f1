/* Segments: mappings cut into slabs, taken from the system as the arena grows and given back as it shrinks. */
#include "arena_segment.h"

#include <string.h>

#include "arena_heap.h"
#include "arena_range.h"
#include "pages.h"

#define BOOT_SIZE LG_RANGE_FIRST
#define BOOT_SLABS 2
#define SEGMENT_MIN_SLABS 4
#define PREPARE_FROM 64 /* slabs in use from which a new one will be filled soon: before, few pages of it are touched */

static unsigned lowest_bit(uint64_t x) { return lg_low_zeros(x); }

static size_t round_up(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }

static size_t cold_slabs(const struct lg_segment *g) {
  size_t n = 0;
  for (unsigned w = 0; w < LG_SEGMENT_WORDS; w++) {
    for (uint64_t bits = g->cold[w]; bits != 0; bits &= bits - 1) n++;
  }
  return n;
}

static void segment_push(struct lg_segment **list, struct lg_segment *g) {
  g->prev = NULL;
  g->next = *list;
  if (g->next != NULL) g->next->prev = g;
  *list = g;
}

static void segment_remove(struct lg_segment **list, struct lg_segment *g) {
  if (g->prev != NULL)
    g->prev->next = g->next;
  else
    *list = g->next;
  if (g->next != NULL) g->next->prev = g->prev;
}

/* As many slabs as fit the mapping, at most `most`; where it begins decides whether one is lost to alignment. A segment's
 * header lies behind its first slab's: there is no page that holds nothing else. */
static struct lg_segment *segment_make(struct lg_arena *a, char *pages, size_t size, uint32_t most) {
  if (pages == NULL) return NULL;
  char *slabs = (char *)round_up((uintptr_t)pages, LG_SLAB_SIZE);
  struct lg_segment *g = (struct lg_segment *)(void *)(lg_slab_of(slabs) + 1);
  memset(g, 0, sizeof *g);
  g->pages = pages;
  g->size = size;
  g->slabs = slabs;
  g->count = (uint32_t)((size - (size_t)(slabs - pages)) / LG_SLAB_SIZE);
  if (g->count > most) g->count = most;
  g->idle = g->count;
  for (uint32_t i = 0; i < g->count; i++) g->free[i / 64] |= (uint64_t)1 << (i % 64);
  memcpy(g->cold, g->free, sizeof g->cold);
  a->reserved += size - g->count * LG_SLAB_SIZE;
  segment_push(&a->segments, g);
  return g;
}

/* Segments grow with what is in use, so that a small state holds little and a large one needs few mappings (the system
 * bounds their number). */
static struct lg_segment *segment_grow(struct lg_arena *a) {
  uint32_t count = SEGMENT_MIN_SLABS;
  while (count < LG_SEGMENT_SLABS && count < a->slabs_live / 2) count *= 2;
  struct lg_segment *g = segment_make(a, lg_range_take(a, count * LG_SLAB_SIZE), count * LG_SLAB_SIZE, count);
  if (g == NULL && count > SEGMENT_MIN_SLABS) {
    count = SEGMENT_MIN_SLABS;
    g = segment_make(a, lg_range_take(a, count * LG_SLAB_SIZE), count * LG_SLAB_SIZE, count);
  }
  return g;
}

int lg_segment_boot(struct lg_arena *a) {
  struct lg_segment *g = segment_make(a, lg_range_take(a, BOOT_SIZE), BOOT_SIZE, BOOT_SLABS);
  if (g == NULL) return 0;
  g->pinned = 1;
  char *rest = g->slabs + BOOT_SLABS * LG_SLAB_SIZE;
  lg_heap_adopt(a, rest, (size_t)((char *)g->pages + g->size - rest));
  return 1;
}

static void segment_return(struct lg_arena *a, struct lg_segment *g) {
  size_t cold = cold_slabs(g);
  segment_remove(&a->segments, g);
  a->slabs_warm -= g->count - cold;
  a->reserved -= g->size - cold * LG_SLAB_SIZE;
  LG_UNPOISON(g->slabs, g->count * LG_SLAB_SIZE); /* the addresses may be anybody's next */
  lg_range_give(a, g->pages, g->size);
}

void lg_segments_return(struct lg_arena *a, size_t keep) {
  struct lg_segment *next;
  for (struct lg_segment *g = a->segments; g != NULL && a->slabs_warm * LG_SLAB_SIZE > keep; g = next) {
    next = g->next;
    if (g->idle != g->count || g->pinned) continue;
    if ((a->slabs_warm - (g->count - cold_slabs(g))) * LG_SLAB_SIZE >= keep) segment_return(a, g);
  }
}

struct lg_slab *lg_segment_take(struct lg_arena *a) {
  if (a->segments == NULL && (a->reserved == 0 ? !lg_segment_boot(a) : segment_grow(a) == NULL)) return NULL;
  struct lg_segment *g = a->segments;
  uint64_t warm = 0;
  unsigned w;
  for (w = 0; w < LG_SEGMENT_WORDS && (warm = g->free[w] & ~g->cold[w]) == 0; w++) continue;
  if (warm == 0) {
    if (lg_arena_over(a, LG_SLAB_SIZE)) return NULL;
    for (w = 0; g->free[w] == 0; w++) continue;
  }
  unsigned bit = lowest_bit(warm != 0 ? warm : g->free[w]);
  uint32_t index = w * 64 + bit;
  char *slab = g->slabs + index * LG_SLAB_SIZE;
  g->free[w] &= ~((uint64_t)1 << bit);
  if (warm != 0) {
    a->slabs_warm--;
  } else {
    g->cold[w] &= ~((uint64_t)1 << bit);
    a->reserved += LG_SLAB_SIZE;
    if (a->slabs_live >= PREPARE_FROM && !lg_range_is_warm(a, slab, LG_SLAB_SIZE)) lg_pages_prepare(slab, LG_SLAB_SIZE);
  }
  if (--g->idle == 0) {
    segment_remove(&a->segments, g);
    segment_push(&a->full_segments, g);
  }
  a->slabs_live++;
  struct lg_slab *s = lg_slab_of(slab);
  *s = (struct lg_slab){.segment = g, .index = index};
  return s;
}

void lg_segment_give(struct lg_arena *a, struct lg_slab *s) {
  struct lg_segment *g = s->segment;
  segment_remove(g->idle == 0 ? &a->full_segments : &a->segments, g);
  segment_push(&a->segments, g); /* first: what was just used is warm in the caches too */
  g->free[s->index / 64] |= (uint64_t)1 << (s->index % 64);
  g->idle++;
  a->slabs_warm++;
  a->slabs_live--;
  /* A collector's heap swings between once and twice its size: giving back less than that would be mapped again. */
  if (g->idle == g->count) lg_segments_return(a, a->slabs_live * LG_SLAB_SIZE + LG_SLACK_BYTES);
}

static int is_warm(const struct lg_segment *g, uint32_t i) {
  return i < g->count && ((g->free[i / 64] & ~g->cold[i / 64]) >> (i % 64) & 1) != 0;
}

/* Give free slabs back, neighbours together, the last ones first: lg_segment_take() takes the first. Not slab 0, which holds
 * the segment's header. */
static void discard(struct lg_arena *a, struct lg_segment *g, size_t keep) {
  uint32_t end = g->count;
  while (end > 1 && a->slabs_warm * LG_SLAB_SIZE > keep) {
    uint32_t first = end;
    while (first > 1 && is_warm(g, first - 1) && (a->slabs_warm - (end - first)) * LG_SLAB_SIZE > keep) {
      first--;
      g->cold[first / 64] |= (uint64_t)1 << (first % 64);
    }
    size_t size = (end - first) * LG_SLAB_SIZE;
    if (size != 0) {
      LG_UNPOISON(g->slabs + first * LG_SLAB_SIZE, size);
      lg_pages_discard(g->slabs + first * LG_SLAB_SIZE, size);
      a->slabs_warm -= end - first;
      a->reserved -= size;
      end = first;
    } else {
      end--;
    }
  }
}

void lg_segments_discard(struct lg_arena *a, size_t keep) {
  for (struct lg_segment *g = a->segments; g != NULL && a->slabs_warm * LG_SLAB_SIZE > keep; g = g->next) {
    discard(a, g, keep);
  }
}

void lg_segments_close(struct lg_arena *a) {
  struct lg_segment **lists[] = {&a->segments, &a->full_segments};
  for (unsigned i = 0; i < 2; i++) {
    struct lg_segment *next;
    for (struct lg_segment *g = *lists[i]; g != NULL; g = next) {
      next = g->next;
      if (lg_range_holds(a, g->pages)) continue;
      LG_UNPOISON(g->pages, g->size);
      lg_pages_unmap(g->pages, g->size);
    }
    *lists[i] = NULL;
  }
}
