/* Blocks of a meter while the system refuses calls. */
#ifndef LG_FAULTS_MEMORY_H
#define LG_FAULTS_MEMORY_H

#include "faults/refusing.h"
#include "lg_test.h"
#include "meter/meter.h"

/* Blocks of every kind, made, resized and freed; with a range, in an arena of that size. Returns the calls made. */
static unsigned long memory_of(size_t range, unsigned long at, int on) {
  enum { BLOCKS = 60 };
  static void *blocks[BLOCKS];
  static size_t sizes[BLOCKS];
  static struct lg_meter m;
  size_t expected = 0;
  lg_meter_init(&m);
  begin_faults(at, on);
  if (range != 0) CHECK(lg_arena_reserve(&m.arena, range) || atomic_load(&refusals) > 0);
  for (int i = 0; i < 6 * BLOCKS; i++) {
    int k = i % BLOCKS;
    size_t base = k % 3 == 0 ? 3000000 : k % 3 == 1 ? 20000 : 40;
    size_t wanted = i / BLOCKS == 3 ? 0 : base * (size_t)(1 + (i / BLOCKS) % 3);
    unsigned char *block = lg_meter_alloc(&m, blocks[k], blocks[k] == NULL ? 5 : sizes[k], wanted);
    if (block == NULL && wanted != 0) {
      CHECK(m.system_refused && atomic_load(&refusals) > 0);
      continue; /* what it held it still holds */
    }
    expected = expected - sizes[k] + wanted;
    blocks[k] = block;
    sizes[k] = wanted;
    if (block != NULL) block[0] = block[wanted - 1] = (unsigned char)k;
    CHECK_INT(m.current, expected);
    if (k == BLOCKS - 1) lg_arena_trim(&m.arena, m.peak);
  }
  for (int k = 0; k < BLOCKS; k++) {
    if (blocks[k] != NULL) CHECK_INT(*(unsigned char *)blocks[k], k);
    (void)lg_meter_alloc(&m, blocks[k], sizes[k], 0);
  }
  CHECK_INT(m.current, 0);
  lg_meter_close(&m);
  CHECK_INT(lg_meter_reserved(&m), 0);
  return end_faults();
}

#endif
