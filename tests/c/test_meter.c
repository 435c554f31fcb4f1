/* The counting allocator: exact to the byte, a hard limit, and the same figures whatever lies underneath. */
#include <stdint.h>
#include <stdlib.h>

#include "lg_test.h"
#include "meter/meter.h"
#include "meter/pages.h"

static int refusing;

static int fault(void) { return refusing; }

static uint32_t seed = 1;

static uint32_t draw(uint32_t below) {
  seed = seed * 1664525u + 1013904223u;
  return (seed >> 8) % below;
}

static size_t draw_size(void) { return 1 + (draw(8) == 0 ? draw(700000) : draw(8) == 1 ? draw(5000) : draw(200)); }

/* An allocator to chain to, which checks what it is told. */
struct plain {
  size_t current;
  unsigned calls;
};

static void *plain_alloc(void *ud, void *ptr, size_t osize, size_t nsize) {
  struct plain *p = ud;
  p->calls++;
  if (ptr == NULL) osize = 0;
  if (nsize == 0) {
    p->current -= osize;
    free(ptr);
    return NULL;
  }
  void *block = realloc(ptr, nsize);
  if (block != NULL) p->current += nsize - osize;
  return block;
}

/* What the meter should say, by the manual's meaning of a lua_Alloc. */
struct expected {
  size_t current, peak;
  uint64_t allocated_bytes, allocation_count, refused;
};

static void compare(const struct lg_meter *m, const struct expected *e) {
  CHECK_INT(m->current, e->current);
  CHECK_INT(m->peak, e->peak);
  CHECK_INT(m->allocated_bytes, e->allocated_bytes);
  CHECK_INT(m->allocation_count, e->allocation_count);
  CHECK_INT(m->refused, e->refused);
}

struct held {
  void *p;
  size_t size;
};

/* One call and what it should have done; returns whether it was answered. */
static int call(struct lg_meter *m, struct expected *e, struct held *h, size_t nsize) {
  size_t growth = nsize > h->size ? nsize - h->size : 0;
  int allowed = growth == 0 || (growth <= m->limit && e->current <= m->limit - growth);
  size_t kind = draw(9); /* Lua passes the kind of object when it makes one */
  void *p = lg_meter_alloc(m, h->p, h->p == NULL ? kind : h->size, nsize);
  CHECK_INT(p != NULL, allowed && nsize != 0);
  if (!allowed) {
    e->refused++;
    CHECK(m->refused_last);
    CHECK_INT(m->wanted, e->current + growth);
    return 0;
  }
  e->current = e->current - h->size + nsize;
  if (growth != 0) {
    e->allocated_bytes += growth;
    e->allocation_count++;
    CHECK(!m->refused_last);
  }
  if (e->current > e->peak) e->peak = e->current;
  h->p = p;
  h->size = nsize;
  if (p != NULL) memset(p, 1, nsize < 64 ? nsize : 64);
  return 1;
}

static void random_use(struct lg_meter *m) {
  static struct held held[500];
  struct expected e = {0};
  for (int i = 0; i < 30000; i++) {
    if (i == 300) lg_arena_seal(&m->arena);
    if (i % 5000 == 0) {
      lg_meter_limit(m, i % 10000 == 0 ? LG_NO_LIMIT : m->current + 100000);
      lg_meter_begin(m);
      e = (struct expected){.current = e.current, .peak = e.current};
    }
    (void)call(m, &e, &held[draw(500)], draw(3) == 0 ? 0 : draw_size());
    compare(m, &e);
    CHECK(m->limit == LG_NO_LIMIT || m->current <= m->limit);
  }
  CHECK(lg_meter_reserved(m) >= m->current);
  for (int i = 0; i < 500; i++) (void)call(m, &e, &held[i], 0);
  compare(m, &e);
  CHECK_INT(m->current, 0);
}

static void test_counts_are_exact(void) {
  struct lg_meter m;
  lg_meter_init(&m);
  CHECK_INT(m.current, 0);
  CHECK(m.limit == LG_NO_LIMIT);
  random_use(&m);
  lg_meter_close(&m);
  CHECK_INT(lg_meter_reserved(&m), 0);
}

static void test_chained_counts_are_the_same(void) {
  struct lg_meter m;
  struct plain plain = {0};
  lg_meter_init(&m);
  m.chained = plain_alloc;
  m.chained_ud = &plain;
  random_use(&m);
  CHECK(plain.calls > 10000);
  CHECK_INT(plain.current, 0);
  CHECK_INT(m.arena.reserved, 0);
  lg_meter_close(&m);
}

/* To the byte: what reaches the limit is given, one byte more is not; freeing makes room at once. */
static void test_limit_is_hard(void) {
  struct lg_meter m;
  lg_meter_init(&m);
  lg_meter_limit(&m, 1000);
  void *a = lg_meter_alloc(&m, NULL, 5, 600);
  CHECK(a != NULL);
  CHECK(lg_meter_alloc(&m, NULL, 5, 401) == NULL);
  CHECK_INT(m.wanted, 1001);
  CHECK(lg_meter_alloc(&m, a, 600, 1001) == NULL);
  CHECK(lg_meter_alloc(&m, NULL, 0, SIZE_MAX) == NULL);
  CHECK_INT(m.wanted, SIZE_MAX);
  CHECK_INT(m.refused, 3);
  CHECK_INT(m.current, 600);
  void *b = lg_meter_alloc(&m, NULL, 5, 400);
  CHECK(b != NULL);
  CHECK_INT(m.current, 1000);
  CHECK_INT(m.system_refused, 0);
  lg_meter_limit(&m, 10); /* below what is held: growing stops, shrinking does not */
  b = lg_meter_alloc(&m, b, 400, 30);
  CHECK(b != NULL);
  CHECK(lg_meter_alloc(&m, b, 30, 31) == NULL);
  CHECK(lg_meter_alloc(&m, a, 600, 0) == NULL);
  CHECK(lg_meter_alloc(&m, b, 30, 0) == NULL);
  CHECK_INT(m.current, 0);
  CHECK_INT(m.peak, 1000);
  lg_meter_close(&m);
}

static int passed_times;

static void count_passed(void *ud) {
  (void)ud;
  passed_times++;
}

/* The bound is heard of once, and refuses nothing; every refusal is heard of; the limit is as hard as without it. What is free decides the bound, and twice
 * the largest block so far, where there is room for it. */
static void test_bound_is_passed_once_and_limit_is_hard(void) {
  struct lg_meter m;
  lg_meter_init(&m);
  m.passed = count_passed;
  passed_times = 0;
  void *live = lg_meter_alloc(&m, NULL, 5, 64000);
  lg_meter_begin(&m);
  lg_meter_limit(&m, 128000);
  lg_meter_aim(&m);
  CHECK_INT(m.bound, 112000); /* three quarters of what is free */
  void *block = lg_meter_alloc(&m, NULL, 5, 24000);
  CHECK(block != NULL);
  CHECK_INT(passed_times, 0);
  CHECK(lg_meter_alloc(&m, block, 24000, 0) == NULL);
  lg_meter_aim(&m);
  CHECK_INT(m.bound, 80000); /* twice the block leaves the same: a quarter of what is free */
  block = lg_meter_alloc(&m, NULL, 5, 24000);
  CHECK(block != NULL);
  CHECK_INT(passed_times, 1);
  CHECK_INT(m.bound, 128000);
  void *more = lg_meter_alloc(&m, NULL, 5, 40000);
  CHECK(more != NULL);
  CHECK_INT(m.current, 128000);
  CHECK_INT(passed_times, 1);
  CHECK(lg_meter_alloc(&m, NULL, 5, 1) == NULL);
  CHECK_INT(m.refused, 1);
  CHECK_INT(passed_times, 2);
  lg_meter_aim(&m); /* nothing is free */
  CHECK_INT(m.bound, 128000);
  CHECK(lg_meter_alloc(&m, more, 40000, 0) == NULL);
  lg_meter_aim(&m); /* twice the largest block is more than what is free */
  CHECK_INT(m.bound, 88000 + 10000);
  m.passed = NULL;
  lg_meter_aim(&m);
  CHECK_INT(m.bound, 128000);
  CHECK(lg_meter_alloc(&m, block, 24000, 0) == NULL);
  CHECK(lg_meter_alloc(&m, live, 64000, 0) == NULL);
  lg_meter_close(&m);
}

/* A refusal by the system is told apart from one by the limit, and counts nothing. */
static void test_system_refusal_is_told_apart(void) {
  const size_t sizes[] = {40, 5000, 2000000};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    struct lg_meter m;
    lg_meter_init(&m);
    refusing = 1;
    CHECK(lg_meter_alloc(&m, NULL, 5, sizes[i]) == NULL);
    CHECK(m.system_refused);
    CHECK_INT(m.refused + m.current + m.peak + m.allocated_bytes + m.allocation_count, 0);
    refusing = 0;
    lg_meter_begin(&m);
    CHECK(!m.system_refused);
    void *p = lg_meter_alloc(&m, NULL, 5, sizes[i]);
    CHECK(p != NULL);
    CHECK_INT(m.current, sizes[i]);
    CHECK(lg_meter_alloc(&m, p, sizes[i], 0) == NULL);
    lg_meter_close(&m);
  }
}

/* The arena's own bound, for blocks of one kind: it is never crossed, what does not fit counts as refused by the limit
 * and not by the system, shrinking goes on, and what is freed can be had again. */
static void arena_at_its_limit(size_t size) {
  enum { BLOCKS = 4000 };
  static void *blocks[BLOCKS];
  const size_t bound = (size_t)8 << 20;
  struct lg_meter m;
  lg_meter_init(&m);
  m.arena.reserved_max = bound;
  size_t n = 0;
  for (int again = 0; again < 2; again++) {
    for (n = 0; n < BLOCKS && (blocks[n] = lg_meter_alloc(&m, NULL, 5, size)) != NULL; n++)
      CHECK(m.arena.reserved <= bound);
    CHECK(n > 0 && n < BLOCKS);
    CHECK(m.arena.reserved <= bound && m.arena.reserved > bound - 2 * size - 200000);
    CHECK_INT(m.refused, again + 1);
    CHECK(m.refused_last && m.wanted > bound && !m.system_refused);
    for (size_t i = 0; i < n; i++) {
      void *shorter = lg_meter_alloc(&m, blocks[i], size, size / 2);
      CHECK(shorter != NULL);
      CHECK(lg_meter_alloc(&m, shorter, size / 2, 0) == NULL);
    }
    CHECK_INT(m.current, 0);
  }
  lg_meter_close(&m);
  CHECK_INT(m.arena.reserved, 0);
}

int main(void) {
  lg_pages_fault = fault;
  test_counts_are_exact();
  test_chained_counts_are_the_same();
  test_limit_is_hard();
  test_bound_is_passed_once_and_limit_is_hard();
  test_system_refusal_is_told_apart();
  arena_at_its_limit(3000);
  arena_at_its_limit(100000);
  arena_at_its_limit(LG_HUGE_MIN + 1000);
  return lg_test_finish("test_meter");
}
