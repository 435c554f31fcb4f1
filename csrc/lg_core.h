/* What the CPython entry module (_fast) may use of the core, which is linked into the cffi module (_native).
 *
 * One copy of the C core exists per process, inside _native. _native hands out the address of a struct lg_core,
 * luagauge._binding gives it to _fast once at import, and _fast checks `magic` and `size` before it uses anything:
 * both modules come from one build, so a mismatch means two builds were mixed on disk. */
#ifndef LG_CORE_H
#define LG_CORE_H

#include <stddef.h>
#include <stdint.h>

#include "probe/lg_probe.h"

#define LG_CORE_MAGIC 0x6c756167u /* "luag" */

struct lg_ops;   /* guard/ops.h */
struct lg_state; /* guard/state.h */

/* What a state holds and did. */
struct lg_core_figures {
  size_t live_bytes, reserved_bytes;
  uint64_t hard_stops;
  const char *no_hard_stop; /* NULL, or why its runs have no hard stop */
};

struct lg_core {
  uint32_t magic; /* LG_CORE_MAGIC */
  uint32_t size;  /* sizeof(struct lg_core) of the build that made it */
  int (*probe_read)(struct lg_probe_reading *out, int *os_error);
  /* guard/state.h; NULL in a build without the guard (core_probe.c) */
  struct lg_state *(*state_new)(const struct lg_ops *ops, int function_count, const char *const *function_names,
                                int environ_count, const char *const *environ_pairs);
  void (*state_free)(struct lg_state *st);
  int (*state_interrupt)(struct lg_state *st, int reason);
  void (*state_figures)(const struct lg_state *st, struct lg_core_figures *figures);
  int (*ops_resolve)(const char *instance, const char *path, const struct lg_ops **ops, const char **why);
};

/* The one instance. Never freed; any thread. */
const struct lg_core *lg_core_get(void);

#endif
