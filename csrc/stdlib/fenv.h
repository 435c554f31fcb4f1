/* getfenv and setfenv for the functions and frames of the script's own. Once per Lua version; 5.1 and LuaJIT have them.
 *
 * Contract: C functions that hostile scripts call, each on the run's thread inside the guarded call.
 *
 * A function that belongs to the library may be written in Lua: some of LuaJIT's own are, and so is what wraps an error handler
 * (xpcall.h). Its environment is neither shown nor changed: it counts as a C function. It is told by that environment, the
 * globals that the library was made in. No script can get hold of that table, so no script can make a function look like one of
 * these. A name would not do, because a script names its chunks as it likes. */
#ifndef LG_STDLIB_FENV_H
#define LG_STDLIB_FENV_H

#include "args.h"

#if LG_HAS_FENV
/* Make the globals of the moment those by which the library's functions are told from the script's. When the state is made. */
static void lg_note_library_globals(lua_State *L, struct lg_state *st) {
  lua_pushvalue(L, LUA_GLOBALSINDEX);
  st->refs.library_globals = lua_topointer(L, -1);
  lua_pop(L, 1);
}

/* Whether the function on top is one of the script's own; its environment is on top of it then. */
static int lg_push_own_globals(lua_State *L) {
  if (lua_iscfunction(L, -1)) return 0;
  lua_getfenv(L, -1);
  if (lua_topointer(L, -1) != lg_state_of(L)->refs.library_globals) return 1;
  lua_pop(L, 1);
  return 0;
}

/* Push the function that argument 1 is or means by its level. */
static void lg_push_meant(lua_State *L, int level_is_optional) {
  if (lua_isfunction(L, 1)) {
    lua_pushvalue(L, 1);
    return;
  }
  lua_Debug ar;
  int level = level_is_optional ? lg_optint(L, 1, 1) : lg_checkint(L, 1);
  if (LG_NEGATIVE_LEVEL_TOLD) luaL_argcheck(L, level >= 0, 1, "level must be non-negative");
  if (level < 0 || !lua_getstack(L, level, &ar)) luaL_argerror(L, 1, "invalid level");
  (void)lua_getinfo(L, "f", &ar);
  if (lua_isnil(L, -1)) luaL_error(L, "no function environment for tail call at level %d", level);
}

static int lg_getfenv(lua_State *L) {
  lg_push_meant(L, 1);
  if (!lg_push_own_globals(L)) lua_pushvalue(L, LUA_GLOBALSINDEX);
  return 1;
}

/* Level 0 means the globals of the coroutine that runs: what it loads from now on sees them. */
static int lg_setfenv(lua_State *L) {
  luaL_checktype(L, 2, LUA_TTABLE);
  if (!lua_isfunction(L, 1) && (LG_LEVEL_ZERO_IS_CUT ? lg_checkint(L, 1) : luaL_checknumber(L, 1)) == 0) {
    lua_pushvalue(L, 2);
    lua_replace(L, LUA_GLOBALSINDEX);
    return 0;
  }
  lg_push_meant(L, 0);
  if (!lg_push_own_globals(L)) return luaL_error(L, "'setfenv' cannot change environment of given object");
  lua_pop(L, 1);
  lua_pushvalue(L, 2);
  (void)lua_setfenv(L, -2);
  return 1;
}
#endif

#endif
