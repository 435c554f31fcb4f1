#define _GNU_SOURCE
/* Images of an arena: put back, it is the arena it was, whatever happened in between; and giving back on the reaper's
 * thread. */
#include <stdint.h>
#include <stdlib.h>
#if defined(__linux__)
#include <sys/wait.h>
#include <unistd.h>
#endif

#include "lg_test.h"
#include "meter/arena.h"
#include "meter/arena_slab.h"
#include "meter/image.h"
#include "meter/pages.h"
#include "meter/reaper.h"

#define HELD 700
#define MIB ((size_t)1 << 20)

/* When set, the system refuses one request in so many. */
static unsigned refuse_every;
static unsigned long asked;

static int fault(void) { return refuse_every != 0 && ++asked % refuse_every == 0; }

static uint32_t seed = 1;

static uint32_t draw(uint32_t below) {
  seed = seed * 1664525u + 1013904223u;
  return (seed >> 8) % below;
}

struct held {
  unsigned char *p;
  size_t size;
};

static unsigned char mark_at(const struct held *h, size_t i) { return (unsigned char)((h->size * 31 + i) * 7 + 1); }

static void fill(const struct held *h) {
  for (size_t i = 0; i < h->size; i += i < 256 ? 1 : 97) h->p[i] = mark_at(h, i);
}

static void check_filled(const struct held *h) {
  for (size_t i = 0; i < h->size; i += i < 256 ? 1 : 97) {
    if (h->p[i] != mark_at(h, i)) {
      CHECK(h->p[i] == mark_at(h, i));
      return;
    }
  }
}

static size_t draw_size(void) {
  switch (draw(24)) {
    case 0: return 1 + draw(3000000);
    case 1:
    case 2: return 1 + draw(200000);
    case 3:
    case 4: return 1 + draw(9000);
    default: return 1 + draw(300);
  }
}

static void change(struct lg_arena *a, struct held *h, size_t size) {
  unsigned char *p = lg_arena_realloc(a, h->p, h->size, size);
  if (p == NULL && size != 0) return; /* refused */
  h->p = p;
  h->size = size;
  fill(h);
}

static void use(struct lg_arena *a, struct held *held, int times) {
  for (int i = 0; i < times; i++) change(a, &held[draw(HELD)], draw(3) == 0 ? 0 : draw_size());
}

/* Where the next blocks of a fixed sequence lie: the same for an arena in the same state. */
static uintptr_t trace(struct lg_arena *a) {
  uintptr_t sum = 0;
  for (unsigned i = 1; i < 3000; i++) {
    size_t size = i * 7919 % (i % 10 == 0 ? 30000 : 900) + 1;
    uintptr_t p = (uintptr_t)lg_arena_realloc(a, NULL, 0, size);
    sum = sum * 31 + (p - (uintptr_t)a->range.base);
  }
  return sum;
}

static void begin(struct lg_arena *a) {
  lg_arena_init(a);
  CHECK(lg_arena_reserve(a, 512 * MIB));
}

static void free_all(struct lg_arena *a, struct held *held) {
  for (int i = 0; i < HELD; i++) change(a, &held[i], 0);
}

/* Random use, an image, random use, the image back: many times over, and images taken of what came of it. */
static void test_put_back(unsigned refusals) {
  struct lg_arena a;
  struct lg_image image = {0};
  static struct held held[HELD], saved[HELD];
  memset(held, 0, sizeof held);
  begin(&a);
  seed = 3;
  use(&a, held, 100);
  lg_arena_seal(&a);
  for (int round = 0; round < 12; round++) {
    use(&a, held, 600);
    refuse_every = 0;
    CHECK(lg_image_take(&image, &a));
    memcpy(saved, held, sizeof held);
    uintptr_t first = 0;
    size_t reserved = a.reserved;
    for (int back = 0; back < 6; back++) {
      refuse_every = refusals;
      use(&a, held, back % 2 == 0 ? 1500 : 20);
      if (back % 3 == 0) lg_arena_trim(&a, SIZE_MAX);
      if (back % 3 == 1) free_all(&a, held);
      refuse_every = 0;
      lg_image_put_back(&image, &a, back % 2 == 0 ? MIB : 100 * MIB);
      memcpy(held, saved, sizeof held);
      for (int i = 0; i < HELD; i++) check_filled(&held[i]);
      CHECK_INT(a.reserved - a.spare_size, reserved);
      if (back >= 4) {
        uintptr_t now = trace(&a);
        if (back == 4) first = now;
        CHECK_INT(now, first);
        lg_image_put_back(&image, &a, MIB);
      }
    }
    refuse_every = refusals;
    use(&a, held, 300);
  }
  refuse_every = 0;
  free_all(&a, held);
  lg_image_drop(&image, &a);
  lg_arena_trim(&a, MIB);
  CHECK(a.reserved < 20 * MIB);
  lg_arena_close(&a);
}

/* An image needs a reservation that holds every segment, and memory for itself. */
static void test_no_image(void) {
  struct lg_arena a;
  struct lg_image image = {0};
  lg_arena_init(&a);
  CHECK(lg_arena_realloc(&a, NULL, 0, 100) != NULL);
  CHECK(!lg_image_take(&image, &a));
  lg_arena_close(&a);
  lg_arena_init(&a);
  CHECK(lg_arena_reserve(&a, 3 * LG_RANGE_FIRST));
  CHECK(lg_arena_realloc(&a, NULL, 0, 100) != NULL);
  CHECK(lg_image_take(&image, &a));
  for (int i = 0; i < 1000; i++) CHECK(lg_arena_realloc(&a, NULL, 0, 900) != NULL);
  CHECK(a.outside > 0);
  lg_image_put_back(&image, &a, MIB); /* what lay outside is gone */
  CHECK_INT(a.outside, 0);
  for (int i = 0; i < 1000; i++) CHECK(lg_arena_realloc(&a, NULL, 0, 900) != NULL);
  CHECK(!lg_image_take(&image, &a));
  CHECK(image.data == NULL);
  lg_arena_close(&a);
}

/* The reservation itself may be refused, or the first of its memory. */
static void test_reservation_refused(void) {
  struct lg_arena a;
  for (unsigned every = 1; every <= 3; every++) {
    lg_arena_init(&a);
    asked = 0;
    refuse_every = every;
    int reserved = lg_arena_reserve(&a, 640 * MIB + every * 65536);
    CHECK(every > 1 || !reserved);
    refuse_every = 0;
    CHECK(lg_arena_realloc(&a, NULL, 0, 100) != NULL);
    lg_arena_close(&a);
  }
}

#if defined(__linux__)
static size_t statm(int field) {
  unsigned long pages[2] = {0, 0};
  FILE *f = fopen("/proc/self/statm", "r");
  if (f != NULL) {
    CHECK_INT(fscanf(f, "%lu %lu", &pages[0], &pages[1]), 2);
    fclose(f);
  }
  return pages[field] * (size_t)sysconf(_SC_PAGESIZE);
}

static void fill_up(struct lg_arena *a, size_t bytes, size_t block) {
  for (size_t i = 0; i < bytes / block; i++) {
    void *p = lg_arena_realloc(a, NULL, 0, block);
    CHECK(p != NULL);
    if (p == NULL) return;
    memset(p, 1, block);
  }
}

static void wait_for_reaper(void) {
  for (int i = 0; i < 2000 && lg_reap_waiting() != 0; i++) usleep(1000);
  CHECK_INT(lg_reap_waiting(), 0);
}

/* Whatever filled the memory, it goes back, and addresses with it. */
static void test_memory_goes_back(size_t block) {
  struct lg_arena a;
  struct lg_image image = {0};
  begin(&a);
  CHECK(lg_arena_realloc(&a, NULL, 0, 100) != NULL);
  CHECK(lg_image_take(&image, &a));
  wait_for_reaper();
  size_t rss = statm(1), size = statm(0);
  for (int i = 0; i < 5; i++) {
    fill_up(&a, 60 * MIB, block);
    lg_image_put_back(&image, &a, 60 * MIB);
    wait_for_reaper();
    CHECK(lg_arena_held(&a) < 6 * MIB);
#ifndef LG_TEST_SANITIZED
    CHECK(statm(1) < rss + 8 * MIB);
#else
    (void)rss;
#endif
    CHECK(statm(0) < size + 8 * MIB);
  }
  lg_image_drop(&image, &a);
  fill_up(&a, 60 * MIB, block);
  lg_arena_close(&a);
  wait_for_reaper();
  CHECK(statm(0) < size + MIB);
}

/* A fork finds no reaper, and both sides get a new one. */
static void test_fork(void) {
  struct lg_arena a;
  struct lg_image image = {0};
  begin(&a);
  CHECK(lg_arena_realloc(&a, NULL, 0, 100) != NULL);
  CHECK(lg_image_take(&image, &a));
  for (int i = 0; i < 20; i++) {
    fill_up(&a, 20 * MIB, 500);
    lg_image_put_back(&image, &a, 60 * MIB);
    pid_t child = fork();
    if (child == 0) {
      int failed = lg_reap_waiting() != 0;
      fill_up(&a, 20 * MIB, 600000);
      lg_image_put_back(&image, &a, 60 * MIB);
      wait_for_reaper();
      _exit(failed || lg_test_failures != 0);
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
  }
  lg_image_drop(&image, &a);
  lg_arena_close(&a);
}
#endif

int main(void) {
  lg_pages_fault = fault;
  test_reservation_refused();
  if (sizeof(void *) <= 4) return lg_test_finish("test_image"); /* its reservations are too small for what follows */
  test_put_back(0);
  test_put_back(5);
  test_no_image();
#if defined(__linux__)
  test_memory_goes_back(48);
  test_memory_goes_back(3000);
  test_memory_goes_back(100000);
  test_memory_goes_back(700000);
  test_memory_goes_back(20 * MIB);
  test_fork();
#endif
  return lg_test_finish("test_image");
}
