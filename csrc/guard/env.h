/* The globals of a run: fresh for every run, taken from an allow-list, private copies of the libraries. Once per Lua
 * version.
 *
 * What a script can name is decided when it is compiled: its source is scanned for the identifiers of the allow-list,
 * and a run gets only those globals (everything when it mentions _G, _ENV or load, through which any name could be
 * reached). A run of a script that uses math and print thus pays for one table of mathematics and one entry, not for
 * 150 entries, and no metatable stands between a script and its globals or its libraries: look-ups cost what they cost
 * in plain Lua. Libraries are copied because a shared one could be changed by a run, and a read-only proxy would cost
 * every call through it. */
#ifndef LG_ENV_H
#define LG_ENV_H

#include "template.h"

/* Push a copy of the table on top (replaced by it). */
static void lg_copy_library(lua_State *L) {
  int from = lua_gettop(L);
  lua_createtable(L, 0, 32);
  lua_pushnil(L);
  while (lua_next(L, from)) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, from + 1);
  }
  lua_remove(L, from);
}

/* context when the host gave none: empty request, response and metadata. */
static void lg_push_empty_context(lua_State *L) {
  static const char *const fields[] = {"request", "response", "metadata"};
  lua_createtable(L, 0, 3);
  for (int i = 0; i < 3; i++) {
    lua_newtable(L);
    lua_setfield(L, -2, fields[i]);
  }
}

/* Push the globals of one run and make them the state's. */
static void lg_env_push(lua_State *L, struct lg_state *st, uint64_t globals) {
  lua_createtable(L, 0, 8 + st->host.function_count);
  int env = lua_gettop(L);
  (void)lua_rawgeti(L, LUA_REGISTRYINDEX, st->refs.env);
  for (int i = 0; i < LG_GLOBAL_context; i++) {
    if ((globals >> i & 1) == 0) continue;
    (void)lua_rawgeti(L, env + 1, i + 1);
    if (lua_istable(L, -1)) lg_copy_library(L);
    if (i == LG_GLOBAL_math) lg_random_begin(st);
    if (i == LG_GLOBAL_os) lg_clock_begin(st);
    lua_setfield(L, env, lg_globals[i]);
  }
  lua_settop(L, env);
  if (globals >> LG_GLOBAL_context & 1) {
    lg_push_empty_context(L);
    lua_setfield(L, env, "context");
  }
  for (int i = 0; i < st->host.function_count; i++) {
    if (lg_is_internal(st->host.function_names[i])) continue;
    lg_push_function(L, i);
    lua_setfield(L, env, st->host.function_names[i]);
  }
  if (globals == lg_all_globals) {
    lua_pushvalue(L, env);
    lua_setfield(L, env, "_G");
  }
  lua_pushvalue(L, env);
  lg_set_globals(L);
}

/* Give the function on top the globals at index env. */
static void lg_bind_globals(lua_State *L, int env) {
  lua_pushvalue(L, env);
  lg_set_function_globals(L, -2);
}

#endif
