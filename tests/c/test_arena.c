/* The arena: where blocks lie, and what they hold. */
#include "arena_cases.h"

static void test_every_small_size(void) {
  struct lg_arena a;
  begin(&a);
  for (int sealed = 0; sealed < 2; sealed++) {
    static struct held held[4000];
    for (size_t i = 0; i < 4000; i++) {
      held[i] = (struct held){0};
      CHECK(resize(&a, &held[i], i + 1));
    }
    for (size_t i = 0; i < 4000; i++) CHECK(intact(held[i].p, held[i].size, held[i].mark));
    for (size_t i = 0; i < 4000; i++) CHECK(resize(&a, &held[i], 4000 - i));
    for (size_t i = 0; i < 4000; i++) CHECK(intact(held[i].p, held[i].size, held[i].mark));
    for (size_t i = 0; i < 4000; i++) CHECK(resize(&a, &held[i], 0));
    lg_arena_seal(&a);
  }
  lg_arena_close(&a);
  CHECK_INT(a.reserved, 0);
}

static void test_random_use(void) {
  struct lg_arena a;
  begin(&a);
  static struct held held[1500];
  for (int i = 0; i < 120000; i++) {
    struct held *h = &held[draw(1500)];
    CHECK(resize(&a, h, draw(3) == 0 ? 0 : draw_size()));
    if (i == 500) lg_arena_seal(&a);
    if (i % 9973 == 0) lg_arena_trim(&a, SIZE_MAX);
  }
  size_t live = 0;
  for (int i = 0; i < 1500; i++) live += held[i].size;
  CHECK(a.reserved >= live);
  for (int i = 0; i < 1500; i++) {
    CHECK(intact(held[i].p, held[i].size, held[i].mark));
    CHECK(resize(&a, &held[i], 0));
  }
  lg_arena_trim(&a, SIZE_MAX);
  CHECK(a.reserved < (size_t)8 * 1024 * 1024);
  lg_arena_close(&a);
  CHECK_INT(a.reserved, 0);
}

static void test_same_class_keeps_its_place(void) {
  struct lg_arena a;
  begin(&a);
  void *p = lg_arena_realloc(&a, NULL, 0, 33);
  CHECK(lg_arena_realloc(&a, p, 33, 48) == p);
  CHECK(lg_arena_realloc(&a, p, 48, 34) == p);
  void *q = lg_arena_realloc(&a, p, 34, 49);
  CHECK(q != p);
  CHECK(lg_arena_realloc(&a, NULL, 0, 40) == p); /* what was freed last is used first */
  CHECK(lg_arena_realloc(&a, p, 40, 0) == NULL);
  CHECK(lg_arena_realloc(&a, q, 49, 0) == NULL);
  CHECK(lg_arena_realloc(&a, NULL, 7, 0) == NULL); /* the old size of no block means nothing */
  lg_arena_close(&a);
}

static void test_impossible_sizes(void) {
  struct lg_arena a;
  begin(&a);
  const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 15, SIZE_MAX - 4095, (size_t)PTRDIFF_MAX + 1, (size_t)PTRDIFF_MAX};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    CHECK(lg_arena_realloc(&a, NULL, 0, sizes[i]) == NULL);
    struct held h = {0};
    CHECK(resize(&a, &h, (size_t)600000));
    CHECK(!resize(&a, &h, sizes[i]));
    CHECK(resize(&a, &h, 0));
  }
  lg_arena_close(&a);
  CHECK_INT(a.reserved, 0);
}

/* A huge block that is freed serves the next one; one that grows keeps its bytes. */
static void test_huge_blocks(void) {
  struct lg_arena a;
  begin(&a);
  struct held h = {0};
  for (size_t size = LG_HUGE_MIN; size < (size_t)64 * 1024 * 1024; size *= 2) CHECK(resize(&a, &h, size));
  CHECK(resize(&a, &h, LG_HUGE_MIN + 5));
  CHECK(resize(&a, &h, LG_HUGE_MIN - 5));
  CHECK(resize(&a, &h, 300));
  CHECK(resize(&a, &h, (size_t)3000000));
  CHECK(resize(&a, &h, 0));
  refuse(0, ~0ul);
  CHECK(resize(&a, &h, (size_t)3000000)); /* without asking the system */
  refuse(~0ul, ~0ul);
  CHECK(resize(&a, &h, 0));
  lg_arena_close(&a);
  CHECK_INT(a.reserved, 0);
}

/* A huge block that takes a larger mapping grows in it, without moving and without asking the system; but it takes none
 * that is more than four times what it needs. */
static void test_huge_room(void) {
  struct lg_arena a;
  begin(&a);
  struct held h = {0};
  CHECK(resize(&a, &h, 4 * LG_HUGE_MIN - 100));
  CHECK(resize(&a, &h, 0));
  size_t reserved = a.reserved;
  refuse(0, ~0ul);
  CHECK(resize(&a, &h, LG_HUGE_MIN));
  const void *at = h.p;
  CHECK(resize(&a, &h, 2 * LG_HUGE_MIN));
  CHECK(resize(&a, &h, 4 * LG_HUGE_MIN - 100));
  CHECK(resize(&a, &h, LG_HUGE_MIN));
  CHECK(h.p == at);
  CHECK_INT(a.reserved, reserved);
  refuse(~0ul, ~0ul);
  CHECK(resize(&a, &h, 5 * LG_HUGE_MIN));
  refuse(0, ~0ul);
  CHECK(resize(&a, &h, LG_HUGE_MIN + 1)); /* the system refuses to shorten it: then it stays as it is */
  CHECK(resize(&a, &h, 0));
#if defined(__linux__) /* where no mapping can grow, the one that it grew out of is kept for the next */
  CHECK(!resize(&a, &h, LG_HUGE_MIN));
  CHECK_INT(a.reserved, 0);
#endif
  refuse(~0ul, ~0ul);
  lg_arena_close(&a);
}

#ifdef LG_ASAN
static void test_free_blocks_are_poisoned(void) {
  struct lg_arena a;
  begin(&a);
  for (int sealed = 0; sealed < 2; sealed++) {
    const size_t sizes[] = {1, 16, 40, 300, 1024};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
      char *p = lg_arena_realloc(&a, NULL, 0, sizes[i]);
      CHECK(__asan_region_is_poisoned(p, sizes[i]) == NULL);
      lg_arena_realloc(&a, p, sizes[i], 0);
      CHECK(__asan_address_is_poisoned(p));
      CHECK(__asan_address_is_poisoned(p + sizes[i] - 1));
    }
    lg_arena_seal(&a);
  }
  char *p = lg_arena_realloc(&a, NULL, 0, 5000);
  lg_arena_realloc(&a, p, 5000, 0);
  CHECK(__asan_address_is_poisoned(p + 2000));
  lg_arena_close(&a);
}
#endif

static void test_all(void) {
  test_every_small_size();
  test_random_use();
  test_same_class_keeps_its_place();
  test_impossible_sizes();
  test_huge_blocks();
  test_huge_room();
#ifdef LG_ASAN
  test_free_blocks_are_poisoned();
#endif
}

int main(void) { return run_all("test_arena"); }
