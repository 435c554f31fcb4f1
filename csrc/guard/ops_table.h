/* One Lua version's struct lg_ops: the table of its calls, filled when its module is found. Once per Lua version. */
#ifndef LG_OPS_TABLE_H
#define LG_OPS_TABLE_H

#include "../lua/release.h"
#include "open.h"

/* What a script touched is put back first, so that only what the host compiled is collected here. */
static void lg_ops_release(struct lg_state *st, int ref, int collects) {
  if (st->kept.dirty) lg_state_rewind(st);
  (void)lg_protected_kept(st->L, st->refs.release, &ref);
  if (!collects) return;
  lg_collect_state(st);
  lg_state_keep(st);
}

/* Written by lg_..._resolve() alone, before the first state is made; see lua_api.h. */
static struct lg_ops lg_ops_table = {
    .instance = LG_INSTANCE_NAME,
    .max_int = LG_HAS_INTEGERS ? INT64_MAX : (int64_t)1 << 53,
    .compiler_off = LG_HAS_COMPILER,
    .open = lg_ops_open,
    .close = lg_ops_close,
    .compile = lg_ops_compile,
    .run = lg_ops_run,
    .release = lg_ops_release,
    .arm = lg_ops_arm,
};

/* Fill the API's pointers from a loaded shared object: lookup(handle, name) is lg_library_find() or a test's own. Once a
 * state of this Lua was made, what it stands on cannot be exchanged: NULL goes to *missing then, else the name of what is
 * missing. */
const struct lg_ops *LG_NAME(resolve)(lg_lookup lookup, void *handle, const char **missing) {
  static void *from;
  if (lg_ops_taken && handle != from) {
    *missing = NULL;
    return NULL;
  }
  *missing = lg_api_fill(lookup, handle);
  if (*missing != NULL) return NULL;
  from = handle;
  lg_lua_release(lookup, handle, lg_ops_table.lua_release, sizeof lg_ops_table.lua_release);
  const void *const *own = lookup(handle, "luagauge_text");
  lg_ops_table.no_stop = lg_stop_find_text((const void *)(uintptr_t)lua_gettop, own, &lg_ops_table.text);
  return &lg_ops_table;
}

#endif
