/* The arena: placement, contents, giving back, and the system refusing memory at any point. */
#include <stdint.h>
#include <stdlib.h>

#include "lg_test.h"
#include "meter/arena.h"
#include "meter/arena_slab.h"
#include "meter/pages.h"

#if defined(__linux__)
#include <unistd.h>
#endif

#ifdef LG_TEST_SANITIZED
#define LARGE_RUN ((size_t)48 * 1024 * 1024)
#else
#define LARGE_RUN ((size_t)500 * 1024 * 1024)
#endif

/* What asks the system for memory, and when it refuses. */
static unsigned long maps, refuse_from = ~0ul, refuse_until = ~0ul;

static int fault(void) {
  unsigned long n = maps++;
  return n >= refuse_from && n < refuse_until;
}

static void refuse(unsigned long from, unsigned long until) {
  maps = 0;
  refuse_from = from;
  refuse_until = until;
}

/* Every test runs on mappings alone, in a reservation, and in one that is soon used up. */
#define SMALL_RESERVATION ((size_t)300000)
static size_t reservation;

static void begin(struct lg_arena *a) {
  lg_arena_init(a);
  CHECK_INT(lg_arena_reserve(a, reservation), reservation != 0);
}

/* A generator of our own: the same numbers everywhere. */
static uint32_t seed = 1;

static uint32_t draw(uint32_t below) {
  seed = seed * 1664525u + 1013904223u;
  return (seed >> 8) % below;
}

static unsigned char mark_of(const void *p, size_t size) { return (unsigned char)(((uintptr_t)p >> 4) * 31u + size); }

/* A block knows its own place and size, so a second owner of any of its bytes is noticed. */
struct held {
  unsigned char *p;
  size_t size;
  unsigned char mark;
};

static void fill(struct held *h) {
  h->mark = mark_of(h->p, h->size);
  memset(h->p, h->mark, h->size);
}

static int intact(const unsigned char *p, size_t size, unsigned char mark) {
  for (size_t i = 0; i < size; i += size > 8192 ? 509 : 1) {
    if (p[i] != mark) return 0;
  }
  return size == 0 || p[size - 1] == mark;
}

/* Resize, make or free h; 0 when memory was refused, and then h is as before. */
static int resize(struct lg_arena *a, struct held *h, size_t size) {
  unsigned char *p = lg_arena_realloc(a, h->p, h->size, size);
  if (size == 0) {
    CHECK(p == NULL);
    h->p = NULL;
    h->size = 0;
    return 1;
  }
  if (p == NULL) {
    CHECK(intact(h->p, h->size, h->mark));
    return 0;
  }
  CHECK(((uintptr_t)p & 15) == 0);
  CHECK(intact(p, h->size < size ? h->size : size, h->mark));
  h->p = p;
  h->size = size;
  fill(h);
  return 1;
}

static size_t draw_size(void) {
  switch (draw(16)) {
    case 0: return 1 + draw(3000000);
    case 1: return 1 + draw(200000);
    case 2:
    case 3: return 1 + draw(9000);
    default: return 1 + draw(300);
  }
}

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

#if defined(__linux__)
static size_t resident(void) {
  unsigned long pages = 0, rss = 0;
  FILE *f = fopen("/proc/self/statm", "r");
  if (f != NULL) {
    CHECK_INT(fscanf(f, "%lu %lu", &pages, &rss), 2);
    fclose(f);
  }
  return rss * (size_t)sysconf(_SC_PAGESIZE);
}
#else
static size_t resident(void) { return 0; } /* reserved is still checked */
#endif

/* Blocks chained through their first bytes, so that a test of many holds no list of its own. */
static void *chain(struct lg_arena *a, size_t total, size_t size) {
  void *head = NULL;
  for (size_t i = 0; i < total / size; i++) {
    void *p = lg_arena_realloc(a, NULL, 0, size);
    CHECK(p != NULL);
    if (p == NULL) break;
    memset(p, 1, size);
    memcpy(p, &head, sizeof head);
    head = p;
  }
  return head;
}

/* Free all, or all but every nth; returns the chain of the rest. */
static void *unchain(struct lg_arena *a, void *head, size_t size, unsigned keep_every) {
  void *kept = NULL, *next;
  for (unsigned i = 1; head != NULL; head = next, i++) {
    memcpy(&next, head, sizeof next);
    if (keep_every != 0 && i % keep_every == 0) {
      memcpy(head, &kept, sizeof kept);
      kept = head;
    } else {
      CHECK(lg_arena_realloc(a, head, size, 0) == NULL);
    }
  }
  return kept;
}

static void test_large_run_goes_back(size_t size) {
  struct lg_arena a;
  begin(&a);
  struct held first = {0};
  CHECK(resize(&a, &first, 100));
  lg_arena_seal(&a);
  size_t before = resident();
  void *head = chain(&a, LARGE_RUN, size);
  CHECK(a.reserved >= LARGE_RUN / size * size);
  CHECK(a.reserved < LARGE_RUN + LARGE_RUN / 3);
  unchain(&a, head, size, 0);
  lg_arena_trim(&a, SIZE_MAX);
  CHECK(a.reserved <= (size_t)8000000);
#if !defined LG_TEST_SANITIZED && !defined LG_TEST_EMULATED /* theirs is resident too: shadow memory, translated code */
  size_t after = resident();
  CHECK(after <= before + 8000000);
#else
  (void)before;
#endif
  CHECK(intact(first.p, first.size, first.mark));
  CHECK(resize(&a, &first, 0));
  lg_arena_close(&a);
}

/* A few survivors hold segments down but not the memory between them. */
static void test_survivors_hold_little(size_t size) {
  struct lg_arena a;
  begin(&a);
  lg_arena_seal(&a);
  size_t total = (size_t)40 * 1024 * 1024;
  unsigned every = (unsigned)(total / size / 20);
  size_t before = resident();
  void *kept = unchain(&a, chain(&a, total, size), size, every);
  lg_arena_trim(&a, SIZE_MAX);
#ifndef LG_TEST_SANITIZED
  size_t after = resident();
  CHECK(after <= before + 8000000);
#else
  (void)before;
#endif
  CHECK(unchain(&a, kept, size, 0) == NULL);
  lg_arena_trim(&a, SIZE_MAX);
  CHECK(a.reserved <= (size_t)8000000);
  lg_arena_close(&a);
}

/* What one size leaves free another uses. */
static void test_classes_share_memory(void) {
  struct lg_arena a;
  begin(&a);
  lg_arena_seal(&a);
  size_t total = (size_t)24 * 1024 * 1024;
  for (size_t size = 16; size <= 1024; size *= 2) {
    void *head = chain(&a, total, size);
    CHECK(a.reserved < total + total / 4);
    unchain(&a, head, size, 0);
  }
  lg_arena_close(&a);
  CHECK_INT(a.reserved, 0);
}

/* Run after run, of a trivial one and of one with a heap of megabytes, asks the system for nothing. */
static void test_runs_do_not_map(size_t blocks) {
  struct lg_arena a;
  begin(&a);
  static struct held held[8000];
  struct held permanent[200] = {{0}};
  for (int i = 0; i < 200; i++) CHECK(resize(&a, &permanent[i], 1 + draw(200)));
  lg_arena_seal(&a);
  refuse(~0ul, ~0ul);
  unsigned long warm = 0;
  for (int run = 0; run < 20; run++) {
    for (size_t i = 0; i < blocks; i++) CHECK(resize(&a, &held[i], 1 + i * 7 % 300));
    for (size_t i = 0; i < blocks; i++) CHECK(resize(&a, &held[i], 0));
    lg_arena_trim(&a, SIZE_MAX);
    if (run == 0) warm = maps;
  }
  CHECK_INT(maps, warm);
  for (int i = 0; i < 200; i++) CHECK(resize(&a, &permanent[i], 0));
  lg_arena_close(&a);
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

/* What a run of some megabytes held is there for the next one, in one arena of the process; a large run leaves less. */
static void test_small_run_finds_its_memory_again(void) {
  static const size_t mib = 1024 * 1024;
  struct lg_arena a, b;
  struct held h = {0}, other = {0};
  begin(&a);
  begin(&b);
  CHECK(resize(&a, &h, 8 * mib));
  CHECK(resize(&b, &other, 8 * mib));
  CHECK(resize(&a, &h, 0));
  lg_arena_trim(&a, 8 * mib);
  CHECK(a.reserved >= 8 * mib);
  CHECK(resize(&b, &other, 0));
  lg_arena_trim(&b, 8 * mib);
  CHECK(b.reserved < 5 * mib); /* the first has most of what all may keep */
  refuse(0, ~0ul);
  CHECK(resize(&a, &h, 8 * mib)); /* without asking the system */
  refuse(~0ul, ~0ul);
  CHECK(resize(&a, &h, 0));
  lg_arena_trim(&a, 100 * mib);
  CHECK(a.reserved < 6 * mib);
  lg_arena_close(&a);
  CHECK(resize(&b, &other, 8 * mib));
  CHECK(resize(&b, &other, 0));
  lg_arena_trim(&b, 8 * mib);
  CHECK(b.reserved >= 8 * mib); /* now it has what the first had */
  lg_arena_trim(&b, mib);
  CHECK(b.reserved < 6 * mib); /* the last run did without */
  lg_arena_close(&b);
  CHECK_INT(a.reserved + b.reserved, 0);
}

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

/* A thousand small arenas: none takes more than its first mapping, and all of it goes. */
static void test_many_arenas(void) {
  static struct lg_arena arenas[1000];
  static struct held held[1000][100];
  size_t before = resident();
  for (int i = 0; i < 1000; i++) {
    begin(&arenas[i]);
    for (int k = 0; k < 100; k++) CHECK(resize(&arenas[i], &held[i][k], 1 + draw(200)));
    lg_arena_seal(&arenas[i]);
    CHECK(arenas[i].reserved <= 65536);
  }
#ifndef LG_TEST_SANITIZED
  CHECK(resident() <= before + (size_t)1000 * 24 * 1024); /* 10 KiB of blocks, in whole pages */
#else
  (void)before;
#endif
  for (int i = 0; i < 1000; i++) {
    for (int k = 0; k < 100; k++) CHECK(resize(&arenas[i], &held[i][k], 0));
    lg_arena_close(&arenas[i]);
    CHECK_INT(arenas[i].reserved, 0);
  }
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
  seed = 1;
  test_every_small_size();
  test_random_use();
  test_same_class_keeps_its_place();
  test_impossible_sizes();
  for (size_t i = 0; i < 4 && reservation != SMALL_RESERVATION; i++) {
    static const size_t sizes[] = {48, 3000, 200000, 5000000};
    test_large_run_goes_back(sizes[i]);
  }
  test_survivors_hold_little(64);
  test_survivors_hold_little(50000);
  test_classes_share_memory();
  test_runs_do_not_map(100);
  test_runs_do_not_map(8000);
  test_huge_blocks();
  test_huge_room();
  test_small_run_finds_its_memory_again();
  test_refusals();
  test_shrinking_without_memory();
  test_strays();
  test_many_arenas();
#ifdef LG_ASAN
  test_free_blocks_are_poisoned();
#endif
}

int main(void) {
  static const size_t reservations[] = {0, (size_t)1 << 30, SMALL_RESERVATION};
  lg_pages_fault = fault;
  for (size_t i = 0; i < sizeof reservations / sizeof reservations[0]; i++) {
    reservation = reservations[i];
    test_all();
  }
  return lg_test_finish("test_arena");
}
