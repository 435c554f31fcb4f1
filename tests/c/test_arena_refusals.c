/* The arena: the system refuses memory at any point. */
#include "arena_cases.h"

/* One life of an arena, the same each time; returns how many requests for blocks were refused. */
static unsigned scenario(unsigned long from, unsigned long until, unsigned long *asked) {
  struct lg_arena a;
  static struct held held[900];
  unsigned refused = 0;
  begin(&a);
  seed = 7;
  refuse(from, until);
  for (int i = 0; i < 7000; i++) {
    struct held *h = &held[draw(900)];
    size_t size = draw(3) == 0 ? 0 : draw_size();
    int shrinks = h->size != 0 && size <= h->size;
    if (i == 200) lg_arena_seal(&a);
    if (!resize(&a, h, size)) {
      CHECK(!shrinks);
      refused++;
    }
    if (i % 700 == 0) lg_arena_trim(&a, SIZE_MAX);
  }
  *asked = maps;
  refuse(~0ul, ~0ul);
  for (int i = 0; i < 900; i++) { /* usable again */
    CHECK(resize(&a, &held[i], 1 + draw(5000)));
    CHECK(intact(held[i].p, held[i].size, held[i].mark));
    CHECK(resize(&a, &held[i], 0));
  }
  lg_arena_trim(&a, SIZE_MAX);
  lg_arena_close(&a);
  CHECK_INT(a.reserved, 0);
  return refused;
}

/* Every request for memory refused in turn, alone and with all that follow. */
static void test_refusals(void) {
  unsigned long total, asked;
  unsigned refused = 0;
  CHECK_INT(scenario(~0ul, ~0ul, &total), 0);
  CHECK(total > 80);
  for (unsigned long k = 0; k < total; k += k < 40 ? 1 : 11) {
    refused += scenario(k, k + 1, &asked);
    CHECK(asked > k);
  }
  CHECK(refused > 10);
  for (unsigned long k = 0; k < total - 20; k += k < 20 ? 1 : 23) CHECK(scenario(k, ~0ul, &asked) > 0);
}

/* While the system refuses, making small blocks smaller still works, and larger free blocks stand in for smaller. */
static void test_shrinking_without_memory(void) {
  struct lg_arena a;
  begin(&a);
  lg_arena_seal(&a);
  static struct held held[2000];
  for (int i = 0; i < 2000; i++) CHECK(resize(&a, &held[i], (size_t)(513 + i % 500)));
  struct held large = {0};
  CHECK(resize(&a, &large, 100000));
  refuse(0, ~0ul);
  for (int i = 0; i < 2000; i++) CHECK(resize(&a, &held[i], (size_t)(1 + i % 500)));
  CHECK(resize(&a, &large, 5000));
  CHECK(resize(&a, &large, 700));
  CHECK(resize(&a, &large, 7));
  for (int i = 0; i < 2000; i++) CHECK(intact(held[i].p, held[i].size, held[i].mark));
  refuse(~0ul, ~0ul);
  for (int i = 0; i < 2000; i++) CHECK(resize(&a, &held[i], 0));
  CHECK(resize(&a, &large, 0));
  lg_arena_close(&a);
  CHECK_INT(a.reserved, 0);
}

/* While the system refuses, a block that would become one of a smaller kind stays where it is, content and all, until it is
 * freed, or grown where there is memory. */
static void test_strays(void) {
  enum { BLOCKS = 400 };
  static const size_t from[] = {3 << 20, 600000, 100000, 1025}, to[] = {400000, 2000, 700, 1024};
  struct lg_arena a;
  begin(&a);
  lg_arena_seal(&a);
  static struct held held[BLOCKS];
  struct held other[20] = {{0}};
  for (size_t i = 0; i < BLOCKS; i++) CHECK(resize(&a, &held[i], from[i % 4]));
  refuse(0, ~0ul);
  for (size_t i = 0; i < BLOCKS; i++) CHECK(resize(&a, &held[i], to[i % 4]));
  CHECK(a.stray_count > BLOCKS / 2);
  CHECK_INT(a.small_max, 0);
  for (size_t i = 0; i < BLOCKS; i++) CHECK(resize(&a, &held[i], to[i % 4] / 7));
  for (size_t i = 0; i < BLOCKS; i++) CHECK(resize(&a, &held[i], to[i % 4] / 7 + 3)); /* there is room where they are */
  for (size_t i = 0; i < BLOCKS; i++) CHECK(intact(held[i].p, held[i].size, held[i].mark));
  for (size_t i = 0; i < BLOCKS; i += 3) CHECK(resize(&a, &held[i], 0));
  for (size_t i = 0; i < 20; i++) (void)resize(&a, &other[i], 20 + 40 * i); /* beside them */
  refuse(~0ul, ~0ul);
  for (size_t i = 0; i < 20; i++) CHECK(resize(&a, &other[i], 20 + 4000 * i));
  for (size_t i = 0; i < BLOCKS; i++) CHECK(resize(&a, &held[i], 1 + 100 * i));
  for (size_t i = 0; i < BLOCKS; i++) CHECK(intact(held[i].p, held[i].size, held[i].mark));
  for (size_t i = 0; i < BLOCKS; i++) CHECK(resize(&a, &held[i], 0));
  for (size_t i = 0; i < 20; i++) CHECK(resize(&a, &other[i], 0));
  CHECK_INT(a.stray_count, 0);
  CHECK_INT(a.small_max, LG_SMALL_MAX);
  lg_arena_close(&a);
  CHECK_INT(a.reserved, 0);
}

static void test_all(void) {
  test_refusals();
  test_shrinking_without_memory();
  test_strays();
}

int main(void) { return run_all("test_arena_refusals"); }
