/* collectgarbage and setmetatable: what a script may ask of the collector. Once per Lua version.
 *
 * Contract: C functions that hostile scripts call, each on the run's thread inside the guarded call. */
#ifndef LG_STDLIB_GARBAGE_H
#define LG_STDLIB_GARBAGE_H

#include <string.h>

#include "../guard/poll.h"

/* Raise an error that, uncaught, makes the result an OperationNotAllowed for `what`. */
static int lg_forbid(lua_State *L, const char *what) {
  struct lg_state *st = lg_state_of(L);
  st->answer.path.len = 0;
  (void)lg_buf_append(&st->answer.path, what, strlen(what));
  luaL_where(L, 1);
  lua_pushfstring(L, "%s is not allowed", what);
  lua_concat(L, 2);
  lua_pushvalue(L, -1);
  lua_rawseti(L, LUA_REGISTRYINDEX, st->error.ref);
  st->error.kind = LG_ERROR_FORBIDDEN;
  return lua_error(L);
}

/* setmetatable without __gc: what a finalizer does is not the run's any more. */
static int lg_setmetatable(lua_State *L) {
  int t = lua_type(L, 2);
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_argcheck(L, t == LUA_TNIL || t == LUA_TTABLE, 2, "nil or table expected");
  if (luaL_getmetafield(L, 1, "__metatable")) return luaL_error(L, "cannot change a protected metatable");
  if (t == LUA_TTABLE) {
    lua_pushliteral(L, "__gc");
    (void)lua_rawget(L, 2);
    if (!lua_isnil(L, -1)) return lg_forbid(L, "a finalizer (__gc)");
  }
  lua_settop(L, 2);
  (void)lua_setmetatable(L, 1);
  return 1;
}

/* "count", "collect", "step": what a script may do to its own heap; the rest would change the next run's. */
static int lg_collectgarbage(lua_State *L) {
  struct lg_state *st = lg_state_of(L);
  const char *opt = luaL_optlstring(L, 1, "collect", NULL);
  if (strcmp(opt, "count") == 0) {
    lua_pushnumber(L, (lua_Number)st->meter.current / 1024.0);
    return 1;
  }
  if (strcmp(opt, "collect") == 0 || strcmp(opt, "step") == 0) {
    lg_poll(st, L);
    lg_collect_all(st, L);
    if (opt[0] == 's')
      lua_pushboolean(L, 1);
    else
      lua_pushinteger(L, 0);
    return 1;
  }
  if (strcmp(opt, "isrunning") == 0) {
    lua_pushboolean(L, 1);
    return 1;
  }
  lua_pushfstring(L, "collectgarbage('%s')", strlen(opt) > 20 ? "?" : opt);
  return lg_forbid(L, lua_tostring(L, -1));
}

#endif
