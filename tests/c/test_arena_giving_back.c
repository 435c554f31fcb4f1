/* The arena: what runs leave is given back to the system, or is there for the next run. */
#include "arena_cases.h"

#ifdef LG_TEST_SANITIZED
#define LARGE_RUN ((size_t)48 * 1024 * 1024)
#else
#define LARGE_RUN ((size_t)500 * 1024 * 1024)
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

static void test_all(void) {
  for (size_t i = 0; i < 4 && reservation != SMALL_RESERVATION; i++) {
    static const size_t sizes[] = {48, 3000, 200000, 5000000};
    test_large_run_goes_back(sizes[i]);
  }
  test_survivors_hold_little(64);
  test_survivors_hold_little(50000);
  test_classes_share_memory();
  test_runs_do_not_map(100);
  test_runs_do_not_map(8000);
  test_small_run_finds_its_memory_again();
  test_many_arenas();
}

int main(void) { return run_all("test_arena_giving_back"); }
