/* The libraries that a run gets of its own, made anew when it mentions them: io, debug, package with require. Once per Lua
 * version.
 *
 * Contract: inside a protected call, before the script runs and after it. Scripts may change all of what is made here; what of it
 * is in the registry goes with the run. */
#ifndef LG_OWN_H
#define LG_OWN_H

#include "../stdlib/debuglib.h"
#include "../stdlib/iolib.h"
#include "../stdlib/package.h"
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

/* Push a table of the run's libraries by name, as package.loaded has them. A library that the run has not is the state's, whose
 * functions strings reach as methods. */
static void lg_push_loaded(lua_State *L, const struct lg_state *st, int env) {
  lua_createtable(L, 0, 16);
  (void)lua_rawgeti(L, LUA_REGISTRYINDEX, st->refs.env);
  for (int i = LG_GLOBAL_math; i < LG_GLOBAL_io; i++) {
    (void)lua_getfield(L, env, lg_globals[i]);
    if (!lua_istable(L, -1)) {
      lua_pop(L, 1);
      (void)lua_rawgeti(L, -1, i + 1);
    }
    if (lua_istable(L, -1))
      lua_setfield(L, -3, lg_globals[i]);
    else
      lua_pop(L, 1);
  }
  lua_pop(L, 1);
  lua_pushvalue(L, env);
  lua_setfield(L, -2, "_G");
  lua_pushvalue(L, -1);
  lua_setfield(L, LUA_REGISTRYINDEX, lg_modules);
}

#if LG_NAMES_BY_MODULE
/* Begin the table in which Lua looks up the names of this run's functions. Lua goes through the tables in it at one stretch, so
 * no script gets hold of any: they are copies. */
static void lg_own_names(lua_State *L, const struct lg_state *st) {
  (void)lua_rawgeti(L, LUA_REGISTRYINDEX, st->refs.names);
  lg_copy_library(L);
  lua_setfield(L, LUA_REGISTRYINDEX, "_LOADED");
}

/* Add what is on top (stays), a function or the functions of a library. */
static void lg_own_name(lua_State *L, const char *name) {
  (void)lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
  lua_pushvalue(L, -2);
  if (lua_istable(L, -1)) lg_copy_library(L);
  lua_setfield(L, -2, name);
  lua_pop(L, 1);
}
#else
static void lg_own_names(lua_State *L, const struct lg_state *st) {
  (void)L;
  (void)st;
}

static void lg_own_name(lua_State *L, const char *name) {
  (void)L;
  (void)name;
}
#endif

/* Put the library on top (popped) into the globals and among what is loaded, where the run mentions it. */
static void lg_own_offer(lua_State *L, int env, int loaded, const char *name) {
  lg_own_name(L, name);
  lua_pushvalue(L, -1);
  lua_setfield(L, loaded, name);
  lua_setfield(L, env, name);
}

/* Give the run with the globals at index env those libraries that it mentions. */
static void lg_own_push(lua_State *L, struct lg_state *st, int env, uint64_t globals) {
  st->changed |= LG_CHANGED_LOADED;
  lg_own_names(L, st);
  lg_push_loaded(L, st, env);
  int loaded = lua_gettop(L);
  if (globals >> LG_GLOBAL_io & 1) {
    lg_open_io(L, st);
    lg_own_offer(L, env, loaded, "io");
  }
  if (globals >> LG_GLOBAL_debug & 1) {
    lg_open_debug(L);
    lg_own_offer(L, env, loaded, "debug");
  }
  if (globals >> LG_GLOBAL_package & 1) {
    lg_open_package(L, env, loaded);
    lg_own_offer(L, env, loaded, "package");
    (void)lua_getfield(L, env, "require");
    lg_own_name(L, "require");
  }
  lua_settop(L, loaded - 1);
}

/* Forget what such a run left in the registry. */
static void lg_own_forget(lua_State *L, const struct lg_state *st) {
  lua_pushnil(L);
  lua_setfield(L, LUA_REGISTRYINDEX, lg_streams);
  lua_pushnil(L);
  lua_setfield(L, LUA_REGISTRYINDEX, lg_modules);
  (void)lua_rawgeti(L, LUA_REGISTRYINDEX, st->refs.names);
  lua_setfield(L, LUA_REGISTRYINDEX, "_LOADED");
}

#endif
