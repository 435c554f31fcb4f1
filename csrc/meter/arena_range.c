/* Spans are cut from the bottom of the reservation; what is given back is a hole for the next one that fits. */
#include "arena_range.h"

#include <stdatomic.h>
#include <string.h>

#include "arena_slab.h"
#include "pages.h"
#include "reaper.h"

/* And what all others are multiples of: the largest page that a machine here has. */
#define COMMIT_MIN ((size_t)64 * 1024)
#define COMMIT_MAX ((size_t)4 * 1024 * 1024)

/* Reservations of closed arenas, a few for the whole process: where the system has to make and clear the first pages anew,
 * an engine takes half as long again to make. A kept one begins with what is known of it. */
#define KEPT 8

struct kept {
  char *pages;
  size_t pages_size;
  size_t size;
};

static _Atomic(struct kept *) kept_ranges[KEPT];

static size_t round_up(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }

/* A kept reservation of that size, or NULL; one of another size stays for somebody else. */
static struct kept *kept_take(size_t size) {
  for (unsigned i = 0; i < KEPT; i++) {
    if (atomic_load_explicit(&kept_ranges[i], memory_order_relaxed) == NULL) continue;
    struct kept *k = atomic_exchange(&kept_ranges[i], NULL); /* nobody else reads it from here on */
    if (k == NULL || k->size == size) {
      if (k != NULL) return k;
      continue;
    }
    struct kept *none = NULL;
    if (!atomic_compare_exchange_strong(&kept_ranges[i], &none, k)) lg_pages_unmap(k->pages, k->pages_size);
  }
  return NULL;
}

static int kept_put(struct kept *k) {
  for (unsigned i = 0; i < KEPT; i++) {
    struct kept *none = NULL;
    if (atomic_compare_exchange_strong(&kept_ranges[i], &none, k)) return 1;
  }
  return 0;
}

int lg_arena_reserve(struct lg_arena *a, size_t size) {
  struct lg_range *r = &a->range;
  size = round_up(lg_pages_to_reserve(size), LG_RANGE_FIRST);
  if (size == 0 || LG_PAGES_REFUSED()) return 0;
  struct kept *k = kept_take(size);
  if (k != NULL) {
    *r = (struct lg_range){.pages = k->pages, .pages_size = k->pages_size, .base = (char *)k, .size = size};
    r->committed = r->high = LG_RANGE_FIRST;
    return 1;
  }
  size_t pages_size = size + LG_SLAB_SIZE;
  char *pages = lg_pages_reserve(pages_size);
  if (pages == NULL) return 0;
  char *base = (char *)round_up((uintptr_t)pages, LG_SLAB_SIZE);
  if (lg_pages_commit(pages, (size_t)(base - pages) + LG_RANGE_FIRST) != 0) { /* the reaper writes where it begins */
    lg_pages_unmap(pages, pages_size);
    return 0;
  }
  *r = (struct lg_range){.pages = pages, .pages_size = pages_size, .base = base, .size = size};
  r->committed = LG_RANGE_FIRST;
  return 1;
}

int lg_range_holds(const struct lg_arena *a, const void *p) {
  return (uintptr_t)p - (uintptr_t)a->range.base < a->range.size;
}

/* Make all below `end` usable: 1, or 0 when the system refuses. */
static int commit(struct lg_range *r, size_t end) {
  if (end > r->committed) {
    size_t step = r->committed / 2;
    if (step < COMMIT_MIN) step = COMMIT_MIN;
    if (step > COMMIT_MAX) step = COMMIT_MAX;
    size_t least = round_up(end, COMMIT_MIN);
    size_t to = round_up(r->committed + step, COMMIT_MIN);
    if (to < least) to = least;
    if (to > r->size) to = r->size;
    if (lg_pages_commit(r->base + r->committed, to - r->committed) != 0) {
      to = least < to ? least : to;
      if (lg_pages_commit(r->base + r->committed, to - r->committed) != 0) return 0;
    }
    r->committed = to;
  }
  if (end > r->high) r->high = end;
  return 1;
}

static void hole_remove(struct lg_spans *s, unsigned i) {
  s->hole_count--;
  memmove(&s->hole[i], &s->hole[i + 1], (s->hole_count - i) * sizeof s->hole[0]);
}

/* The lowest hole that is large enough; hole_count when there is none. */
static unsigned hole_find(const struct lg_spans *s, size_t size) {
  unsigned i = 0;
  while (i < s->hole_count && s->hole[i].size < size) i++;
  return i;
}

void *lg_range_take(struct lg_arena *a, size_t size) {
  struct lg_spans *s = &a->spans;
  size_t n = round_up(size, LG_SLAB_SIZE);
  unsigned i = hole_find(s, n);
  if (i < s->hole_count) {
    char *span = a->range.base + s->hole[i].at;
    s->hole[i].at += n;
    s->hole[i].size -= n;
    if (s->hole[i].size == 0) hole_remove(s, i);
    return span;
  }
  if (n <= a->range.size - s->top) {
    if (!commit(&a->range, s->top + n)) return NULL;
    s->top += n;
    return a->range.base + s->top - n;
  }
  void *span = lg_pages_map(size);
  if (span != NULL) a->outside++;
  return span;
}

/* Note a hole, joined with its neighbours. Where there are too many, the smallest is forgotten until an image is put back:
 * addresses are lost by that, no memory. */
static void hole_add(struct lg_spans *s, size_t at, size_t size) {
  unsigned i = 0;
  while (i < s->hole_count && s->hole[i].at < at) i++;
  if (i < s->hole_count && at + size == s->hole[i].at) {
    size += s->hole[i].size;
    hole_remove(s, i);
  }
  if (i > 0 && s->hole[i - 1].at + s->hole[i - 1].size == at) {
    at = s->hole[i - 1].at;
    size += s->hole[i - 1].size;
    hole_remove(s, --i);
  }
  if (at + size == s->top) {
    s->top = at;
    return;
  }
  if (s->hole_count == LG_RANGE_HOLES) {
    unsigned least = 0;
    for (unsigned k = 1; k < s->hole_count; k++) {
      if (s->hole[k].size < s->hole[least].size) least = k;
    }
    if (s->hole[least].size >= size) return;
    hole_remove(s, least);
    if (least < i) i--;
  }
  memmove(&s->hole[i + 1], &s->hole[i], (s->hole_count - i) * sizeof s->hole[0]);
  s->hole[i].at = at;
  s->hole[i].size = size;
  s->hole_count++;
}

void lg_range_give(struct lg_arena *a, void *span, size_t size) {
  if (!lg_range_holds(a, span)) {
    a->outside--;
    lg_pages_unmap(span, size);
    return;
  }
  size_t n = round_up(size, LG_SLAB_SIZE);
  lg_pages_discard(span, n);
  hole_add(&a->spans, (size_t)((char *)span - a->range.base), n);
}

size_t lg_range_idle(const struct lg_arena *a) {
  return a->range.high > a->spans.top ? a->range.high - a->spans.top : 0;
}

void lg_range_trim(struct lg_arena *a, size_t keep) {
  struct lg_range *r = &a->range;
  size_t end = round_up(a->spans.top + (keep < r->size - a->spans.top ? keep : r->size - a->spans.top), COMMIT_MIN);
  if (end < LG_RANGE_FIRST) end = LG_RANGE_FIRST;
  if (r->high <= end) return;
  size_t size = r->high - end;
  if (size >= LG_REAP_MIN) {
    void *detached = lg_pages_detach(r->base + end, size);
    if (detached != NULL) lg_reap(detached, size);
  }
  lg_pages_uncommit(r->base + end, r->committed - end);
  r->committed = r->high = end;
}

void lg_range_close(struct lg_arena *a) {
  struct lg_range *r = &a->range;
  if (r->size == 0) return;
  memset(&a->spans, 0, sizeof a->spans);
  if (r->committed > LG_RANGE_FIRST) {
    if (r->high - LG_RANGE_FIRST >= LG_REAP_MIN) {
      lg_reap(r->pages, r->pages_size);
      return;
    }
    lg_pages_uncommit(r->base + LG_RANGE_FIRST, r->committed - LG_RANGE_FIRST);
  }
  struct kept *k = (struct kept *)(void *)r->base;
  *k = (struct kept){.pages = r->pages, .pages_size = r->pages_size, .size = r->size};
  if (!kept_put(k)) lg_pages_unmap(r->pages, r->pages_size);
}
