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

/* The first pages of closed arenas, a few for the whole process, to be moved into new reservations: where the system has to
 * make and clear them anew, an engine takes half as long again to make. */
#define KEPT 8

static _Atomic(void *) kept_pages[KEPT];

static size_t round_up(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }

static void *kept_take(void) {
  for (unsigned i = 0; i < KEPT; i++) {
    if (atomic_load_explicit(&kept_pages[i], memory_order_relaxed) == NULL) continue;
    void *pages = atomic_exchange(&kept_pages[i], NULL);
    if (pages != NULL) return pages;
  }
  return NULL;
}

static int kept_put(void *pages) {
  for (unsigned i = 0; i < KEPT; i++) {
    void *none = NULL;
    if (atomic_compare_exchange_strong(&kept_pages[i], &none, pages)) return 1;
  }
  return 0;
}

/* Make the first of a reservation's memory usable. Returns how many bytes of it are resident; -1 when refused. */
static int64_t begin_memory(char *base) {
  void *kept = kept_take();
  if (kept != NULL) {
    if (lg_pages_move(kept, LG_RANGE_FIRST, base)) return (int64_t)LG_RANGE_FIRST;
    lg_pages_unmap(kept, LG_RANGE_FIRST);
  }
  return lg_pages_commit(base, LG_RANGE_FIRST) == 0 ? 0 : -1;
}

int lg_arena_reserve(struct lg_arena *a, size_t size) {
  struct lg_range *r = &a->range;
  size = round_up(lg_pages_to_reserve(size), LG_RANGE_FIRST);
  if (size == 0) return 0;
  size_t pages_size = size + LG_SLAB_SIZE;
  char *pages = lg_pages_reserve(pages_size);
  if (pages == NULL) return 0;
  char *base = (char *)round_up((uintptr_t)pages, LG_SLAB_SIZE);
  int64_t resident = begin_memory(base);
  if (resident < 0) {
    lg_pages_unmap(pages, pages_size);
    return 0;
  }
  *r = (struct lg_range){.pages = pages, .pages_size = pages_size, .base = base, .size = size};
  r->committed = LG_RANGE_FIRST;
  r->high = (size_t)resident;
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
    if (detached != NULL) lg_reap(detached, size, detached);
  }
  lg_pages_uncommit(r->base + end, r->committed - end);
  r->committed = r->high = end;
}

void lg_range_close(struct lg_arena *a) {
  struct lg_range *r = &a->range;
  if (r->size == 0) return;
  memset(&a->spans, 0, sizeof a->spans);
  if (r->high >= LG_RANGE_FIRST + LG_REAP_MIN) {
    lg_reap(r->pages, r->pages_size, r->base);
    return;
  }
  /* The addresses go back too: a host may limit them (RLIMIT_AS) once its engines are closed. */
  if (r->high == 0 || !kept_put(r->base)) {
    lg_pages_unmap(r->pages, r->pages_size);
    return;
  }
  size_t before = (size_t)(r->base - r->pages);
  if (before != 0) lg_pages_unmap(r->pages, before);
  lg_pages_unmap(r->base + LG_RANGE_FIRST, r->pages_size - before - LG_RANGE_FIRST);
}
