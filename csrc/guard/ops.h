/* One Lua version's struct lg_ops: making and closing a state, and the table of calls for it. Once per Lua version. */
#ifndef LG_OPS_H
#define LG_OPS_H

#include "run.h"

static int lg_release_body(lua_State *L) {
  const int *ref = lua_touserdata(L, 1);
  luaL_unref(L, LUA_REGISTRYINDEX, *ref);
  return 0;
}

static int lg_collect_body(lua_State *L) {
  (void)lg_gc(L, LUA_GCCOLLECT);
  return 0;
}

static void lg_ops_release(struct lg_state *st, int ref, int collects) {
  (void)lg_protected(st->L, lg_release_body, &ref);
  if (!collects) return;
  (void)lg_protected(st->L, lg_collect_body, NULL);
  st->base_bytes = st->meter.current;
}

static int lg_open_body(lua_State *L) {
  struct lg_state *st = lua_touserdata(L, 1);
  lua_settop(L, 0);
#if LG_LUA >= 502
  lg_names_find(L, st);
#endif
  lg_env_build(L, st);
  (void)lg_gc(L, LUA_GCCOLLECT);
  return 0;
}

/* Only a bug of this project could get here: every call is protected. Say so before Lua aborts the process. */
static int lg_panic(lua_State *L) {
  (void)L;
  (void)fputs("luagauge: internal error: a Lua error outside a protected call\n", stderr);
  return 0;
}

static int lg_ops_open(struct lg_state *st) {
#if LG_JIT
  /* LuaJIT's own allocator cannot be replaced (its blocks must lie in the address range the JIT can reach): count in
   * front of it. Blocks that luaL_newstate made go back to it as all others do. */
  lua_State *L = luaL_newstate();
  if (L == NULL) return LG_NO_MEMORY;
  st->meter.chained = lua_getallocf(L, &st->meter.chained_ud);
  st->meter.current = (size_t)lua_gc(L, LUA_GCCOUNT, 0) * 1024 + (size_t)lua_gc(L, LUA_GCCOUNTB, 0);
  lua_setallocf(L, lg_meter_alloc, st);
#elif LG_LUA >= 505
  lua_State *L = lua_newstate(lg_first_alloc, st, luaL_makeseed(NULL));
#elif LG_LUA >= 502
  lua_State *L = lua_newstate(lg_first_alloc, st);
#else
  lua_State *L = lua_newstate(lg_meter_alloc, st);
#endif
  if (L == NULL) return LG_NO_MEMORY;
#if LG_LUA >= 502
  lua_setallocf(L, lg_meter_alloc, st);
#endif
  st->L = L;
  (void)lua_atpanic(L, lg_panic);
#if LG_JIT
  (void)luaJIT_setmode(L, 0, LG_JIT_ENGINE_OFF); /* compiled code never looks at hooks: no deadline could end it */
#endif
  int status = lg_protected(L, lg_open_body, st);
  if (status != LUA_OK) return LG_NO_MEMORY;
  lg_arena_seal(&st->meter.arena);
  st->base_bytes = st->meter.current;
  return LG_OK;
}

static void lg_ops_close(struct lg_state *st) {
  if (st->L == NULL) return;
#if LG_JIT
  /* lua_close tears LuaJIT's allocator down only when it finds it in place. */
  lua_setallocf(st->L, st->meter.chained, st->meter.chained_ud);
#endif
  lua_close(st->L);
  st->L = NULL;
}

static const struct lg_ops lg_ops_table = {
    LG_INSTANCE_NAME, LG_LUA, LG_JIT, lg_ops_open, lg_ops_close, lg_ops_compile, lg_ops_run, lg_ops_release, lg_ops_arm,
};

/* Fill lg_api from a loaded shared object: lookup(handle, name) is dlsym or a test's own. */
const struct lg_ops *LG_NAME(resolve)(void *(*lookup)(void *handle, const char *name), void *handle,
                                      const char **missing) {
  struct lg_api_table table;
  for (size_t i = 0; i < sizeof lg_api_entries / sizeof lg_api_entries[0]; i++) {
    void *symbol = lookup(handle, lg_api_entries[i].name);
    if (symbol == NULL) {
      *missing = lg_api_entries[i].name;
      return NULL;
    }
    memcpy((char *)&table + lg_api_entries[i].offset, &symbol, sizeof symbol);
  }
  lg_api = table;
  return &lg_ops_table;
}

#endif
