/* What an arena keeps of its free memory between runs, and how it begins and ends. */
#include "arena.h"

#include <stdatomic.h>
#include <string.h>

#include "arena_heap.h"
#include "arena_huge.h"
#include "arena_range.h"
#include "arena_segment.h"
#include "image.h"

/* A page costs the system as much as a hundred small blocks cost the arena, mostly for zeroing it: an engine that runs
 * again and again should find its pages again. But a thousand idle engines must not keep a thousand times as much. So
 * each may keep KEEP_OWN free bytes, and all together LG_KEEP_SHARED more, whoever asks first: enough for an array of half a
 * million. But more than KEEP_MOST of this is left to an arena only after a run that needed as much, and was not LARGE: such
 * a run does so much that it does not miss what it leaves. */
#define KEEP_OWN ((size_t)256 * 1024)
#define KEEP_MOST ((size_t)5 * 1024 * 1024)
#define LARGE ((size_t)32 * 1024 * 1024)

static atomic_size_t shared_in_use;

static size_t idle_bytes(const struct lg_arena *a) {
  return a->slabs_warm * LG_SLAB_SIZE + a->heap.idle + a->spare_size + lg_range_idle(a);
}

size_t lg_arena_held(const struct lg_arena *a) { return a->reserved + lg_range_idle(a); }

/* Take up to `want` bytes of the shared allowance. */
static size_t shared_take(size_t want) {
  size_t used = atomic_load_explicit(&shared_in_use, memory_order_relaxed), got;
  do {
    got = LG_KEEP_SHARED - used < want ? LG_KEEP_SHARED - used : want;
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
  size_t most = peak < KEEP_MOST || peak > LARGE ? KEEP_MOST : LG_KEEP_SHARED;
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
    lg_spare_return(a, rest(keep, idle - a->spare_size));
    lg_heap_trim(a, rest(keep, idle_bytes(a) - a->heap.idle));
    lg_slab_trim(a, rest(keep, idle_bytes(a) - a->slabs_warm * LG_SLAB_SIZE));
    lg_range_trim(a, rest(keep, idle_bytes(a) - lg_range_idle(a)));
  }
  idle = idle_bytes(a);
  a->stuck = idle > a->keep ? idle - a->keep : 0;
}

void lg_arena_forget(struct lg_arena *a) {
  LG_UNPOISON(a->range.base, a->range.high);
  if (a->huge != NULL) lg_huge_forget(a);
  lg_heap_close(a);
  lg_segments_close(a);
}

void lg_arena_settle(struct lg_arena *a, size_t peak) {
  a->reserved += a->spare_size; /* an image holds none */
  size_t idle = a->spare_size + lg_range_idle(a);
  if (idle <= a->keep && a->shared_keep <= KEEP_MOST) return;
  size_t keep = allow_idle(a, idle, peak);
  if (idle <= keep) return;
  lg_spare_return(a, rest(keep, lg_range_idle(a)));
  lg_range_trim(a, rest(keep, a->spare_size));
}

void lg_arena_close(struct lg_arena *a) {
  lg_spare_return(a, 0);
  LG_UNPOISON(a->range.base, a->range.high);
  lg_huge_close(a);
  lg_heap_close(a); /* first: part of the heap may lie in a segment */
  lg_segments_close(a);
  lg_range_close(a);
  shared_return(a->shared_keep);
  lg_arena_init(a);
}
