#include "kept.h"

#include "state.h"

void lg_state_keep(struct lg_state *st) {
  st->kept.dirty = 0;
  st->kept.stale = 0;
  st->kept.bytes = st->meter.current;
  if (st->meter.chained == NULL) (void)lg_image_take(&st->kept.image, &st->meter.arena);
}

void lg_state_rewind(struct lg_state *st) {
  lg_image_put_back(&st->kept.image, &st->meter.arena, st->meter.peak);
  st->meter.current = st->kept.bytes;
  st->boxes.list = NULL;
  st->kept.dirty = 0;
  st->changed = 0;
}

const char *lg_state_no_stop(const struct lg_state *st) {
  if (st->ending.no_hard_stop) return "it was turned off (hard_stop=False)";
  if (st->ops->no_stop != NULL) return st->ops->no_stop;
  if (st->meter.chained != NULL) return "this Lua brings an allocator of its own";
  if (st->meter.arena.range.size == 0) return "the system refused a reservation of addresses";
  return st->kept.image.data == NULL && !st->kept.stale ? "there was no room for an image of the state" : NULL;
}
