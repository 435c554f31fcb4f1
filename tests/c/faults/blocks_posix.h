/* Buffers, blocks and images while the system refuses memory. */
#ifndef LG_FAULTS_BLOCKS_POSIX_H
#define LG_FAULTS_BLOCKS_POSIX_H

#include "faults/memory.h"
#include "guard/buf.h"
#include "meter/image.h"

/* A buffer that grows: what it could not take it has not taken. */
static unsigned long buffer(unsigned long at, int on) {
  struct lg_buf b = {0};
  begin_faults(at, on);
  size_t kept = 0;
  for (int i = 0; i < 40; i++) {
    static const char text[100] = "text";
    int rc = lg_buf_append(&b, text, sizeof text);
    kept += rc == 0 ? sizeof text : 0;
    CHECK_INT(b.len, kept);
    if (b.len > 0) CHECK(memcmp(b.data, text, 5) == 0);
  }
  lg_buf_reset(&b, 64);
  CHECK_INT(b.len, 0);
  lg_buf_free(&b);
  return end_faults();
}

static unsigned long memory(unsigned long at, int on) { return memory_of(0, at, on); }

static unsigned long memory_in_a_range(unsigned long at, int on) { return memory_of((size_t)1 << 28, at, on); }

/* An image that is taken and put back: what was there then is there again, and nothing else is. */
static unsigned long image(unsigned long at, int on) {
  static struct lg_meter m;
  static struct lg_image taken;
  unsigned char *blocks[3];
  static const size_t sizes[] = {40, 20000, 3000000};
  lg_meter_init(&m);
  begin_faults(at, on);
  int reserved = lg_arena_reserve(&m.arena, (size_t)1 << 28);
  CHECK(reserved || atomic_load(&refusals) > 0);
  for (int i = 0; i < 3; i++) {
    blocks[i] = lg_meter_alloc(&m, NULL, 5, sizes[i]);
    if (blocks[i] != NULL) memset(blocks[i], i + 1, sizes[i]);
  }
  size_t held = m.current;
  CHECK(lg_image_take(&taken, &m.arena) || atomic_load(&refusals) > 0);
  if (taken.data != NULL) {
    for (int i = 0; i < 3; i++) {
      if (blocks[i] != NULL) memset(blocks[i], 0xFF, sizes[i]);
      (void)lg_meter_alloc(&m, NULL, 5, sizes[i]);
    }
    lg_image_put_back(&taken, &m.arena, m.peak);
    m.current = held;
    for (int i = 0; i < 3; i++)
      if (blocks[i] != NULL) CHECK(blocks[i][0] == i + 1 && blocks[i][sizes[i] - 1] == i + 1);
  }
  for (int i = 0; i < 3; i++)
    if (blocks[i] != NULL) (void)lg_meter_alloc(&m, blocks[i], sizes[i], 0);
  CHECK_INT(m.current, 0);
  lg_image_drop(&taken, &m.arena);
  lg_meter_close(&m);
  CHECK_INT(lg_meter_reserved(&m), 0);
  return end_faults();
}

#endif
