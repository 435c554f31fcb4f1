#include "meter.h"

#include <string.h>

#include "arena_slab.h"

void lg_meter_init(struct lg_meter *m) {
  memset(m, 0, sizeof *m);
  lg_meter_limit(m, LG_NO_LIMIT);
  lg_arena_init(&m->arena);
}

void lg_meter_close(struct lg_meter *m) { lg_arena_close(&m->arena); }

void lg_meter_begin(struct lg_meter *m) {
  m->peak = m->current;
  m->allocated_bytes = 0;
  m->allocation_count = 0;
  m->refused = 0;
  m->wanted = 0;
  m->refused_last = 0;
  m->system_refused = 0;
  m->largest = 0;
}

void lg_meter_limit(struct lg_meter *m, size_t limit) {
  m->limit = limit;
  m->bound = limit;
}

/* A collection costs as much as is live. So what may be made until the next one is a fixed share of what is free, and of what is
 * live where the limit has that. Within these, twice the largest block so far stays free: tables and texts that grow double. Where
 * little is free, the bound is the limit: a hook may take room on Lua's stack, which could be what the script lacks then. */
void lg_meter_aim(struct lg_meter *m) {
  enum { LG_LEAST_LEFT = 16 << 10 };
  size_t left = m->limit > m->current ? m->limit - m->current : 0;
  m->bound = m->limit;
  if (m->passed == NULL || m->limit == LG_NO_LIMIT || left < LG_LEAST_LEFT) return;
  size_t reserve = m->largest < left / 2 ? m->largest * 2 : left;
  size_t most = left - left / 4, least = left / 4;
  if (least < m->current / 16) least = m->current / 16;
  size_t more = left - reserve < most ? left - reserve : most;
  if (more < least) more = least;
  if (more > left - left / 16) more = left - left / 16;
  m->bound = m->current + more;
}

size_t lg_meter_reserved(const struct lg_meter *m) {
  return m->chained != NULL ? m->current : lg_arena_held(&m->arena);
}

/* A block is about to be refused. What it was refused for may be garbage as soon as the script has caught the error. */
static void refusing(struct lg_meter *m) {
  if (m->refusing != NULL) m->refusing(m);
  if (m->passed != NULL) m->passed(m);
}

/* The arena had nothing for a request that the limit allows: because of its own bound, which counts as the limit, or of the
 * system. */
static void *no_memory(struct lg_meter *m, size_t growth) {
  refusing(m);
  if (!m->arena.capped) {
    m->system_refused = 1;
    m->refused_at = m->allocation_count;
    return NULL;
  }
  m->arena.capped = 0;
  m->refused++;
  m->refused_last = 1;
  m->refused_at = m->allocation_count;
  m->wanted = growth > SIZE_MAX - m->arena.reserved ? SIZE_MAX : m->arena.reserved + growth;
  return NULL;
}

/* Whether `growth` more bytes are within the limit. */
static int allowed(struct lg_meter *m, size_t growth) {
  if (growth <= m->bound && m->current <= m->bound - growth) return 1;
  if (growth <= m->limit && m->current <= m->limit - growth) {
    m->bound = m->limit;
    m->passed(m);
    return 1;
  }
  refusing(m);
  m->refused++;
  m->refused_last = 1;
  m->refused_at = m->allocation_count;
  m->wanted = growth > SIZE_MAX - m->current ? SIZE_MAX : m->current + growth;
  return 0;
}

/* Everything but making and freeing small blocks. */
static void *resize(struct lg_meter *m, void *ptr, size_t osize, size_t nsize) {
  if (nsize > osize) {
    if (nsize > m->largest) m->largest = nsize;
    if (!allowed(m, nsize - osize)) return NULL;
  }
  size_t bound = m->arena.reserved_max;
  if (nsize < osize) m->arena.reserved_max = SIZE_MAX; /* Lua takes it that a block can always be made smaller */
  void *block = m->chained != NULL ? m->chained(m->chained_ud, ptr, osize, nsize)
                                   : lg_arena_realloc(&m->arena, ptr, osize, nsize);
  m->arena.reserved_max = bound;
  if (block == NULL && nsize != 0) {
    return no_memory(m, nsize);
  }
  m->current += nsize - osize; /* wraps correctly when shrinking */
  if (nsize > osize) {
    m->refused_last = 0;
    m->allocated_bytes += nsize - osize;
    m->allocation_count++;
    if (m->current > m->peak) m->peak = m->current;
  }
  return block;
}

/* The rare end of the common path, as a call in tail position: the common path then needs no stack frame. */
static LG_NOINLINE void *small_refill(struct lg_meter *m, size_t cls, size_t nsize) {
  void *block = lg_slab_refill(&m->arena, cls);
  if (block == NULL) {
    return no_memory(m, nsize);
  }
  m->current += nsize;
  m->refused_last = 0;
  m->allocated_bytes += nsize;
  m->allocation_count++;
  if (m->current > m->peak) m->peak = m->current;
  return block;
}

/* Nine calls in ten make or free a small block: these two are done here, without a call. */
void *lg_meter_alloc(void *ud, void *ptr, size_t osize, size_t nsize) {
  struct lg_meter *m = ud;
  if (ptr == NULL) {
    size_t after = m->current + nsize;
    if (LG_LIKELY(nsize - 1 < LG_SMALL_MAX && after <= m->bound && m->chained == NULL)) {
      size_t cls = lg_class_of(nsize);
      void *block = lg_small_pop(&m->arena, cls);
      if (LG_UNLIKELY(block == NULL)) return small_refill(m, cls, nsize);
      m->current = after;
      m->refused_last = 0;
      m->allocated_bytes += nsize;
      m->allocation_count++;
      if (after > m->peak) m->peak = after;
      return block;
    }
    return nsize == 0 ? NULL : resize(m, NULL, 0, nsize); /* Lua passes a new block's kind as its old size */
  }
  if (LG_LIKELY(nsize == 0 && osize - 1 < m->arena.small_max && m->chained == NULL)) {
    size_t cls = lg_class_of(osize);
    m->current -= osize;
    struct lg_slab *s = lg_small_push(ptr, cls);
    if (LG_UNLIKELY(s->left == 0)) return lg_slab_event(&m->arena, s, cls);
    return NULL;
  }
  return resize(m, ptr, osize, nsize);
}
