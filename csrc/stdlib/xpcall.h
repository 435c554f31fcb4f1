/* xpcall with a handler that no run is held up by once it is being ended. Once per Lua version.
 *
 * Contract: C functions that hostile scripts call, each on the run's thread inside the guarded call. */
#ifndef LG_STDLIB_XPCALL_H
#define LG_STDLIB_XPCALL_H

#include "load.h"

/* The script's xpcall handler, not called once the run is being ended: it would run where no hook reaches. */
static int lg_handler(lua_State *L) {
  struct lg_state *st = lg_state_of(L);
  if (lg_is_interrupted(st)) return 1;
  lg_c_stack(L);
  lua_settop(L, 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, 1, 1);
  return 1;
}

/* The arguments of xpcall after the function, with the handler wrapped. */
static int lg_wrap_handler(lua_State *L) {
#if LG_XPCALL_WANTS_VALUE
  if (lua_isnone(L, 1)) {
    luaL_where(L, 2);
    (void)lua_pushliteral(L, "bad argument #2 to 'xpcall' (value expected)");
    lua_concat(L, 2);
    return lua_error(L);
  }
#elif LG_XPCALL_WANTS_FUNC
  if (!lua_isfunction(L, 1)) { /* else the stock function's complaint would name what it is called by in template.h */
    const char *given = luaL_typename(L, 1);
    luaL_where(L, 2);
    (void)lua_pushfstring(L, "bad argument #2 to 'xpcall' (function expected, got %s)", given);
    lua_concat(L, 2);
    return lua_error(L);
  }
#endif
  if (lua_isfunction(L, 1)) {
    lua_pushvalue(L, 1);
    lua_pushcclosure(L, lg_handler, 1);
    lua_replace(L, 1);
  }
  return lua_gettop(L);
}

/* xpcall around the stock one, in Lua so that it stays a tail call: yields and messages are the stock function's. */
static void lg_offer_xpcall(lua_State *L, int t) {
  static const char source[] = "local x, w = ... return function(f, ...) return x(f, w(...)) end";
  struct lg_load_source src = {lg_state_of(L), source, sizeof source - 1, 0, NULL};
  if (lg_load_with(L, lg_read_text, &src, "=xpcall") != LUA_OK) lua_error(L);
  (void)lua_getfield(L, t, "xpcall");
  lua_pushcfunction(L, lg_wrap_handler);
  lua_call(L, 2, 1);
  lua_setfield(L, t, "xpcall");
}

#endif
