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

#include "own.h"

/* context when the host gave none: empty request, response and metadata. */
static void lg_push_empty_context(lua_State *L) {
  static const char *const fields[] = {"request", "response", "metadata"};
  lua_createtable(L, 0, 3);
  for (int i = 0; i < 3; i++) {
    lua_newtable(L);
    lua_setfield(L, -2, fields[i]);
  }
}

/* Make strings' methods those of the library on top (stays). The metatable has the key already, so this asks for no memory. */
static void lg_set_string_methods(lua_State *L, const struct lg_state *st) {
  (void)lua_rawgeti(L, LUA_REGISTRYINDEX, st->refs.strings);
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}

/* Replace library number i of the template, which is on top, by the run's own copy. A script that can change its string library
 * sees the change in strings' methods. */
static void lg_own_library(lua_State *L, struct lg_state *st, int i) {
  lg_copy_library(L);
  if (i == LG_GLOBAL_math) {
    lg_random_begin(st);
  } else if (i == LG_GLOBAL_os) {
    lg_clock_begin(st);
  } else if (i == LG_GLOBAL_string) {
    st->changed |= LG_CHANGED_STRINGS;
    lg_set_string_methods(L, st);
  }
}

/* Strings' methods are the template's again. */
static void lg_reset_string_methods(lua_State *L, const struct lg_state *st) {
  (void)lua_rawgeti(L, LUA_REGISTRYINDEX, st->refs.env);
  (void)lua_rawgeti(L, -1, LG_GLOBAL_string + 1);
  lg_set_string_methods(L, st);
  lua_pop(L, 2);
}

/* Push the globals of one run and make them the state's. */
static void lg_env_push(lua_State *L, struct lg_state *st, uint64_t globals) {
  lua_createtable(L, 0, 8 + st->host.function_count);
  int env = lua_gettop(L);
  (void)lua_rawgeti(L, LUA_REGISTRYINDEX, st->refs.env);
  for (uint64_t left = globals & (((uint64_t)1 << LG_GLOBAL_io) - 1); left != 0; left &= left - 1) {
    int i = (int)lg_low_zeros(left);
    (void)lua_rawgeti(L, env + 1, i + 1);
    if (lua_istable(L, -1)) lg_own_library(L, st, i);
    lua_setfield(L, env, lg_globals[i]);
  }
  lua_settop(L, env);
  if (globals & LG_OWN_LIBRARIES) lg_own_push(L, st, env, globals);
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
