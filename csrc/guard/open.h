/* Making one Lua state and closing it. Once per Lua version.
 *
 * Contract: the functions of struct lg_ops that do so (ops.h). Everything that may raise is inside a protected call. */
#ifndef LG_OPEN_H
#define LG_OPEN_H

#include <errno.h>

#include "../os/random.h"
#include "run.h"

#if LG_HAS_FFI
/* LuaJIT opens its FFI by itself at the first literal such as 1LL (lj_lex.c), and where memory is refused half-way, or the
 * library's table is collected, goes on with tables that are gone. So it is opened here, while nothing is refused, and its
 * table kept, which no script can reach. */
static void lg_open_ffi(lua_State *L) {
  lua_pushcfunction(L, luaopen_ffi);
  lua_call(L, 0, 1);
  (void)luaL_ref(L, LUA_REGISTRYINDEX);
}
#endif

static int lg_open_body(lua_State *L) {
  enum { LG_HOOK_ROOM = 2 * LUA_MINSTACK };
  struct lg_state *st = lua_touserdata(L, 1);
  lua_settop(L, 0);
#if LG_HAS_FFI
  lg_open_ffi(L);
#endif
  lg_env_build(L, st);
  lg_keep_functions(L, st);
  (void)lg_gc(L, LUA_GCCOLLECT);
  /* A hook that collects takes room on the stack, which a script that has been refused memory could not be given. */
  if (!LG_RETRIES_REFUSED) luaL_checkstack(L, LG_HOOK_ROOM, "");
  return 0;
}

/* Only a bug of this project could get here: every call is protected. Say so before Lua aborts the process. */
static int lg_panic(lua_State *L) {
  (void)L;
  (void)fputs("luagauge: internal error: a Lua error outside a protected call\n", stderr);
  return 0;
}

#if LG_HAS_OWN_ALLOCATOR
/* LuaJIT's own allocator, counted in front of: where its blocks must lie in addresses of 32 bits (all 64-bit builds of 2.0), and
 * where there is no reservation. A refusal inside lua_newstate() loses registers of its caller's (lj_vm_cpcall saves too few),
 * and only with a reservation is it certain that the first blocks are there. Blocks that luaL_newstate() made go back to it as
 * all others do. */
static lua_State *lg_new_chained(struct lg_state *st) {
  lua_State *L = luaL_newstate();
  if (L == NULL) return NULL;
  st->meter.chained = lua_getallocf(L, &st->meter.chained_ud);
  st->meter.current = (size_t)lua_gc(L, LUA_GCCOUNT, 0) * 1024 + (size_t)lua_gc(L, LUA_GCCOUNTB, 0);
  lua_setallocf(L, lg_meter_alloc, st);
  return L;
}
#endif

static lua_State *lg_new_state(struct lg_state *st, size_t range_bytes) {
#if !LG_NEWSTATE_TAKES_OURS
  (void)range_bytes;
  return lg_new_chained(st);
#else
  int reserved = lg_arena_reserve(&st->meter.arena, range_bytes);
#if LG_HAS_OWN_ALLOCATOR
  lua_State *L = reserved ? lua_newstate(lg_meter_alloc, st) : NULL;
  return L != NULL ? L : lg_new_chained(st);
#else
  (void)reserved;
#if LG_NEWSTATE_TAKES_SEED
  const struct lg_seed *seed = &st->host.seed; /* with the same one, texts lie in the same order in each table */
  unsigned hash = seed->given ? (unsigned)(seed->bits ^ seed->bits >> 32) : luaL_makeseed(NULL);
  return lua_newstate(lg_meter_alloc, st, hash);
#else
  return lua_newstate(lg_meter_alloc, st);
#endif
#endif
#endif
}

/* What was found serves a state, and is the same from then on. Under the GIL. */
static int lg_ops_taken;

static int lg_ops_open(struct lg_state *st, const struct lg_opening *how) {
  static const struct lg_opening plain = {LG_RANGE_MOST};
  unsigned char key[LG_IDENTITY_KEY];
  errno = lg_random_bytes(key, sizeof key);
  if (errno != 0) return LG_OS_ERROR;
  lg_identity_set(&st->identity, key);
  lua_State *L = lg_new_state(st, (how != NULL ? how : &plain)->range_bytes);
  if (L == NULL) return LG_NO_MEMORY;
  st->L = L;
  if (!LG_RETRIES_REFUSED) st->meter.passed = lg_state_crowded;
  (void)lua_atpanic(L, lg_panic);
#if LG_HAS_COMPILER
  (void)luaJIT_setmode(L, 0, LG_JIT_ENGINE_OFF); /* compiled code never looks at hooks: no deadline could end it */
#endif
  int status = lg_protected(L, lg_open_body, st);
  if (status != LUA_OK) return LG_NO_MEMORY;
  lg_ops_taken = 1;
  lg_arena_seal(&st->meter.arena);
  st->kept.bytes = st->kept.collected_bytes = st->meter.current;
  st->kept.stale = lg_can_keep(st); /* the first run takes the image: an engine that waits for one does without */
  return LG_OK;
}

/* All that a state has lies in its arena, and goes with that. */
static void lg_ops_close(struct lg_state *st) {
#if LG_HAS_OWN_ALLOCATOR
  if (st->L != NULL && st->meter.chained != NULL) {
    /* lua_close tears LuaJIT's allocator down only when it finds it in place. */
    lua_setallocf(st->L, st->meter.chained, st->meter.chained_ud);
    lua_close(st->L);
  }
#endif
  st->L = NULL;
}

#endif
