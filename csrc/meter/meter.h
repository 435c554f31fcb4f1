/* The counting allocator: every byte a Lua state holds, counted as Lua itself counts it, and a hard limit.
 *
 * Contract
 * - struct lg_meter is owned by whoever embeds it (struct lg_state) and must outlive the Lua state whose allocator
 *   it is.
 * - lg_meter_alloc() is a lua_Alloc (manual section 4.6): called only by the thread that runs the state, never from a
 *   signal handler. Counters are plain fields: other threads may read them for information only.
 * - Units are bytes. `current` equals collectgarbage("count") * 1024 of the state at every moment (in Lua 5.5 that
 *   count leaves out buffer-made strings; there `current` is right and Lua's figure is low).
 * - A block is refused for the arena's own bound too (arena.h, reserved_max).
 * - A block is refused (NULL) when `current` would exceed `limit`; shrinking and freeing are never refused. Lua 5.2+
 *   answers a refusal with a full collection and one more try.
 * - For a Lua that does not, there is a bound below the limit. When `current` passes it, `passed` is called, once, from within
 *   the allocator: it must neither allocate nor raise. The bound is the limit from then on, until lg_meter_aim() sets the next.
 *   `passed` is called for every refusal too. */
#ifndef LG_METER_H
#define LG_METER_H

#include <stddef.h>
#include <stdint.h>

#include "arena.h"

#define LG_NO_LIMIT SIZE_MAX

typedef void *(*lg_alloc_fn)(void *ud, void *ptr, size_t osize, size_t nsize);

struct lg_meter {
  size_t current; /* bytes live now */
  size_t peak;    /* highest `current` since lg_meter_begin() */
  size_t limit;   /* absolute bound on `current`; LG_NO_LIMIT when not enforced */
  size_t bound;   /* at most `limit`: beyond it the garbage is to be collected */
  size_t largest; /* the largest block asked for since lg_meter_begin(), but for small ones */
  void (*passed)(
      void *ud); /* the bound was passed or a block refused; ud is the allocator's. NULL: the bound is the limit */
  uint64_t allocated_bytes;  /* gross: sum of all growth since lg_meter_begin() */
  uint64_t allocation_count; /* calls that made a block or enlarged one, since lg_meter_begin() */
  uint64_t refused;          /* calls answered NULL because of `limit`, since lg_meter_begin() */
  size_t wanted;             /* what `current` would have become in the last refused call */
  int refused_last;          /* the last growing call was refused because of `limit` */
  int system_refused;        /* the operating system refused memory since lg_meter_begin() */
  uint64_t refused_at;       /* what allocation_count was at the last refusal, of either kind */
  lg_alloc_fn chained;       /* when set, blocks come from and go to this allocator; else from `arena` */
  void *chained_ud;
  void (*refusing)(struct lg_meter *m); /* NULL, or called before a block is refused; may not allocate */
  struct lg_arena arena;
};

/* Make an empty meter; never fails. */
void lg_meter_init(struct lg_meter *m);

/* Enforce a limit, LG_NO_LIMIT for none. The bound is the limit. */
void lg_meter_limit(struct lg_meter *m, size_t limit);

/* Set the bound by what is free now that there is no garbage, or little. Without `passed` it is the limit. */
void lg_meter_aim(struct lg_meter *m);

/* Give back what the arena holds, blocks in use too. Of a chained allocator every block must have been freed. */
void lg_meter_close(struct lg_meter *m);

/* Start a measured interval: peak = current, the gross counters and flags go to 0. */
void lg_meter_begin(struct lg_meter *m);

/* The lua_Alloc; ud is a struct lg_meter. */
void *lg_meter_alloc(void *ud, void *ptr, size_t osize, size_t nsize);

/* Bytes this state holds from the operating system or the C library, live or not (>= current unless chained). */
size_t lg_meter_reserved(const struct lg_meter *m);

#endif
