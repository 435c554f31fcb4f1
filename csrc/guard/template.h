/* The globals that a state offers to its runs: the allow-list, filled once, when the state is made. Once per Lua version.
 *
 * Contract: inside a protected call, before any script runs. */
#ifndef LG_TEMPLATE_H
#define LG_TEMPLATE_H

#include "../stdlib/libraries.h"
#include "mention.h"

/* Make the table on top (popped) the state's globals: what load() and new chunks see. */
static void lg_set_globals(lua_State *L) {
#if LG_HAS_GLOBALSINDEX
  lua_replace(L, LUA_GLOBALSINDEX);
#else
  lua_rawseti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
#endif
}

/* Run a luaopen_* function and leave its table on the stack. */
static void lg_open_stock(lua_State *L, lua_CFunction open, const char *name) {
  lua_pushcfunction(L, open);
  lua_pushstring(L, name);
  lua_call(L, 1, 1);
#if LG_OPENERS_SET_GLOBALS
  lua_pop(L, 1);
  lua_pushvalue(L, LUA_GLOBALSINDEX);
  (void)lua_getfield(L, -1, name[0] != '\0' ? name : "_G");
  lua_remove(L, -2);
#endif
}

/* The metatable of strings: its __index is a table no script can reach, unless env.h puts a run's own there, and it is closed
 * to getmetatable. */
static void lg_protect_strings(lua_State *L, struct lg_state *st, int master) {
  lua_pushliteral(L, "");
  if (!lua_getmetatable(L, -1)) lua_newtable(L);
  lua_pushvalue(L, -1);
  st->refs.strings = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_pushvalue(L, master);
  lua_setfield(L, -2, "__index");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  (void)lua_setmetatable(L, -2);
  lua_pop(L, 1);
}

#if LG_HAS_FENV
/* Empty the stock globals: 5.1 makes them the environment of every C function that was made so far. */
static void lg_clear_stock_globals(lua_State *L) {
  lua_pushvalue(L, LUA_GLOBALSINDEX);
  int stock = lua_gettop(L);
  lua_pushnil(L);
  while (lua_next(L, stock)) {
    lua_pop(L, 1);
    lua_pushvalue(L, -1);
    lua_pushnil(L);
    lua_rawset(L, stock);
  }
  lua_pop(L, 1);
}
#endif

/* Every library that is in a state's template. */
static const char *const lg_libraries[] = {"string",    "table", "math", "os", "coroutine",
#if LG_HAS_UTF8
                                           "utf8",
#endif
#if LG_HAS_BIT || LG_HAS_BIT32
                                           LG_BIT_NAME,
#endif
                                           NULL};

/* The registry's table of loaded modules, in which 5.2 and later look up a function's name for messages and tracebacks. A run
 * that mentions modules has one of its own in that place (own.h). */
static void lg_name_functions(lua_State *L, struct lg_state *st, int t) {
  lua_newtable(L);
#if LG_NAMES_BY_MODULE
  lua_pushvalue(L, t);
  lua_setfield(L, -2, "_G");
  for (int i = 0; lg_libraries[i] != NULL; i++) {
    (void)lua_getfield(L, t, lg_libraries[i]);
    lua_setfield(L, -2, lg_libraries[i]);
  }
#else
  (void)t;
#endif
  lua_pushvalue(L, -1);
  st->refs.names = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_setfield(L, LUA_REGISTRYINDEX, "_LOADED");
}

#if LG_INFO_BY_STOCK
/* Keep the stock debug.getinfo, which no script can reach (stdlib/debuglib.h). */
static void lg_keep_stock_info(lua_State *L, struct lg_state *st) {
  lg_open_stock(L, luaopen_debug, "debug");
  (void)lua_getfield(L, -1, "getinfo");
  st->refs.info = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_pop(L, 1);
}
#endif

/* Build the template: refs.env -> { index -> value }; a table among the values is a library. */
static void lg_env_build(lua_State *L, struct lg_state *st) {
  lua_createtable(L, 0, LG_GLOBAL_COUNT);
  int t = lua_gettop(L);
#if LG_HAS_FENV
  lg_note_library_globals(L, st);
#endif
  lg_open_stock(L, luaopen_base, "");
  lg_offer_base(L, t, t + 1);
#if LG_OPENERS_SET_GLOBALS
  (void)lua_getfield(L, t + 1, "coroutine"); /* opened with the base library */
#else
  lg_open_stock(L, luaopen_coroutine, "coroutine");
#endif
  lg_open_coroutine(L);
  lua_setfield(L, t, "coroutine");
  lg_keep_words(L);
  lg_box_open(L, st);
  lg_open_libraries(L, t);
  lg_open_files(L, st, t);
  (void)lua_getfield(L, t, "string");
  lg_protect_strings(L, st, lua_gettop(L));
  lua_settop(L, t);
  lua_createtable(L, LG_GLOBAL_io, 0);
  for (int i = 0; i < LG_GLOBAL_io; i++) {
    (void)lua_getfield(L, t, lg_globals[i]);
    lua_rawseti(L, -2, i + 1);
  }
  st->refs.env = luaL_ref(L, LUA_REGISTRYINDEX);
#if LG_INFO_BY_STOCK
  lg_keep_stock_info(L, st);
#endif
#if LG_HAS_FENV
  lg_clear_stock_globals(L);
#endif
  lua_newtable(L); /* between runs; nothing of the stock globals stays reachable */
  lua_pushvalue(L, -1);
  st->refs.idle = luaL_ref(L, LUA_REGISTRYINDEX);
  lg_set_globals(L);
  lg_name_functions(L, st, t);
  lua_pushboolean(L, 0);
  st->error.ref = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_settop(L, 0);
}

#endif
