/* What the tests of the arena share: blocks that know what they should hold, and a system that refuses memory.
 * A program defines test_all and is run on mappings alone, in a reservation, and in one that is soon used up. */
#ifndef LG_ARENA_CASES_H
#define LG_ARENA_CASES_H

#include <stdint.h>
#include <stdlib.h>

#include "lg_test.h"
#include "meter/arena.h"
#include "meter/arena_slab.h"
#include "meter/pages.h"

#if defined(__linux__)
#include <unistd.h>
#endif

/* What asks the system for memory, and when it refuses. */
static unsigned long maps, refuse_from = ~0ul, refuse_until = ~0ul;

static inline int fault(void) {
  unsigned long n = maps++;
  return n >= refuse_from && n < refuse_until;
}

static inline void refuse(unsigned long from, unsigned long until) {
  maps = 0;
  refuse_from = from;
  refuse_until = until;
}

/* Every test runs on mappings alone, in a reservation, and in one that is soon used up. */
#define SMALL_RESERVATION ((size_t)300000)
static size_t reservation;

static inline void begin(struct lg_arena *a) {
  lg_arena_init(a);
  CHECK_INT(lg_arena_reserve(a, reservation), reservation != 0);
}

/* A generator of our own: the same numbers everywhere. */
static uint32_t seed = 1;

static inline uint32_t draw(uint32_t below) {
  seed = seed * 1664525u + 1013904223u;
  return (seed >> 8) % below;
}

static inline unsigned char mark_of(const void *p, size_t size) {
  return (unsigned char)(((uintptr_t)p >> 4) * 31u + size);
}

/* A block knows its own place and size, so a second owner of any of its bytes is noticed. */
struct held {
  unsigned char *p;
  size_t size;
  unsigned char mark;
};

static inline void fill(struct held *h) {
  h->mark = mark_of(h->p, h->size);
  memset(h->p, h->mark, h->size);
}

static inline int intact(const unsigned char *p, size_t size, unsigned char mark) {
  for (size_t i = 0; i < size; i += size > 8192 ? 509 : 1) {
    if (p[i] != mark) return 0;
  }
  return size == 0 || p[size - 1] == mark;
}

/* Resize, make or free h; 0 when memory was refused, and then h is as before. */
static inline int resize(struct lg_arena *a, struct held *h, size_t size) {
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

static inline size_t draw_size(void) {
  switch (draw(16)) {
    case 0: return 1 + draw(3000000);
    case 1: return 1 + draw(200000);
    case 2:
    case 3: return 1 + draw(9000);
    default: return 1 + draw(300);
  }
}

#if defined(__linux__)
static inline size_t resident(void) {
  unsigned long pages = 0, rss = 0;
  FILE *f = fopen("/proc/self/statm", "r");
  if (f != NULL) {
    CHECK_INT(fscanf(f, "%lu %lu", &pages, &rss), 2);
    fclose(f);
  }
  return rss * (size_t)sysconf(_SC_PAGESIZE);
}
#else
static inline size_t resident(void) { return 0; } /* reserved is still checked */
#endif

static void test_all(void);

static inline int run_all(const char *name) {
  static const size_t reservations[] = {0, (size_t)1 << 30, SMALL_RESERVATION};
  lg_pages_fault = fault;
  for (size_t i = 0; i < sizeof reservations / sizeof reservations[0]; i++) {
    reservation = reservations[i];
    seed = 1;
    test_all();
  }
  return lg_test_finish(name);
}

#endif
