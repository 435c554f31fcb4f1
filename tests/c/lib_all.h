/* LG_DRIVER_LIBS of lib_driver.c: every sandbox library, and what the tests of them need.
 *
 * stock, ours               tables of libraries: string, table, math, os, and utf8 or bit (5.2's bit32) where there is one
 * attempt(bytes, f, ...)    f(...) in a protected call, in which the heap may grow by that much (nil: without a bound):
 *                           "ok", "error", "memory" (LUA_ERRMEM) or "interrupted", and the first result or error value
 * version                   "lua51" ... "luajit21"
 * tostring_ours             the sandbox's tostring
 * tonumber_ours             its tonumber, but for LuaJIT, which keeps the stock one
 * collect_ours              the sandbox's collectgarbage
 * own                       what a run of its own gets: io, debug, package, require, module, and the sandbox's getfenv,
 *                           setfenv, setmetatable and xpcall; without files. Its logs take 16 MiB in 100,000 entries */
#ifndef LG_LIB_ALL_H
#define LG_LIB_ALL_H

#include "guard/hooks.h"
#include "guard/own.h"
#include "stdlib/garbage.h"
#include "stdlib/strbuf.h"
#include "stdlib/find.h"
#include "stdlib/strlib.h"
#include "stdlib/tablib.h"
#include "stdlib/utf8lib.h"
#include "stdlib/mathlib.h"
#include "stdlib/oslib.h"
#include "stdlib/bitlib.h"
#include "stdlib/tonumber.h"

#define LG_STRINGIFY_(x) #x
#define LG_STRINGIFY(x) LG_STRINGIFY_(x)

static const char *const lg_all_environ[] = {"HOME", "nowhere", "EMPTY", ""};

static int lg_all_attempt(lua_State *L) {
  struct lg_meter *m = &lg_state_of(L)->meter;
  lg_meter_limit(m, lua_isnil(L, 1) ? LG_NO_LIMIT : m->current + (size_t)luaL_checknumber(L, 1));
  int status = lua_pcall(L, lua_gettop(L) - 2, 1, 0);
  lg_meter_limit(m, LG_NO_LIMIT);
  const char *what = "ok";
  if (status == LUA_ERRMEM)
    what = "memory";
  else if (status != LUA_OK)
    what = lua_touserdata(L, -1) == (void *)(uintptr_t)&lg_interrupted_mark ? "interrupted" : "error";
  (void)lua_pushstring(L, what);
  lua_insert(L, -2);
  return 2;
}

static int lg_all_tostring(lua_State *L) {
  luaL_checkany(L, 1);
  (void)lg_tostring(L, 1, NULL);
  return 1;
}

static void lg_all_global(lua_State *L, const char *name) { /* pops the value */
#if LG_HAS_GLOBALSINDEX
  lua_setfield(L, LUA_GLOBALSINDEX, name);
#else
  (void)lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
  lua_insert(L, -2);
  lua_setfield(L, -2, name);
  lua_pop(L, 1);
#endif
}

/* Set the global `own`, and what of a run these functions ask for. */
static void lg_all_own(lua_State *L, struct lg_state *st) {
  static struct lg_request request;
  static struct lg_report report;
  request.max_log_bytes = (size_t)16 << 20;
  request.max_log_entries = 100000;
  report.line = 1; /* where it ended is known: nothing else of the run is there to be noted */
  st->L = L;
  st->rq = &request;
  st->rp = &report;
  lua_newtable(L);
  st->refs.env = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_newtable(L);
  st->refs.names = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_newtable(L);
  int own = lua_gettop(L);
  lg_own_push(L, st, own, LG_OWN_LIBRARIES);
  lg_open_stock(L, luaopen_base, "");
  (void)lua_getfield(L, -1, "xpcall");
  lua_setfield(L, own, "xpcall");
  lg_offer_xpcall(L, own);
#if LG_TABLES_HAVE_FINALIZERS
  lg_offer_c(L, own, "setmetatable", lg_setmetatable);
#endif
#if LG_HAS_FENV
  lg_offer_c(L, own, "getfenv", lg_getfenv);
  lg_offer_c(L, own, "setfenv", lg_setfenv);
#endif
#if LG_INFO_BY_STOCK
  lg_keep_stock_info(L, st);
#endif
  lua_settop(L, own);
  lg_all_global(L, "own");
}

static void lg_driver_open(lua_State *L) {
  struct lg_state *st = lg_state_of(L);
  st->host.environ_count = 2;
  st->host.environ_pairs = (char **)(uintptr_t)lg_all_environ; /* only read */
  const struct {
    const char *name;
    lua_CFunction open;
    void (*ours)(lua_State *);
  } libs[] = {
      {"string", luaopen_string, lg_open_string}, {"table", luaopen_table, lg_open_table},
      {"math", luaopen_math, lg_open_math},       {"os", luaopen_os, lg_open_os},
#if LG_HAS_UTF8
      {"utf8", luaopen_utf8, lg_open_utf8},
#elif LG_HAS_BIT || LG_HAS_BIT32
      {"bit", lg_luaopen_bit, lg_open_bit},
#endif
  };
  lua_pushcfunction(L, lg_all_attempt);
  lg_all_global(L, "attempt");
  lua_pushcfunction(L, lg_all_tostring);
  lg_all_global(L, "tostring_ours");
#if !LG_TONUMBER_IS_STOCK
  lua_pushcfunction(L, lg_tonumber);
  lg_all_global(L, "tonumber_ours");
#endif
  lua_pushcfunction(L, lg_collectgarbage);
  lg_all_global(L, "collect_ours");
  lg_all_own(L, st);
  (void)lua_pushliteral(L, LG_STRINGIFY(LG_INSTANCE));
  lg_all_global(L, "version");
  lua_newtable(L);
  int stock = lua_gettop(L);
  lua_newtable(L);
  for (size_t i = 0; i < sizeof libs / sizeof libs[0]; i++) {
    lua_pushcfunction(L, libs[i].open);
    (void)lua_pushstring(L, libs[i].name);
    lua_call(L, 1, 1);
    lua_setfield(L, stock, libs[i].name);
    int before = lua_gettop(L);
    libs[i].ours(L);
    if (lua_gettop(L) != before + 1) luaL_error(L, "opening %s leaves %d values", libs[i].name, lua_gettop(L) - before);
    lua_setfield(L, stock + 1, libs[i].name);
  }
}

#endif
