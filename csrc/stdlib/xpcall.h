/* xpcall with a handler that no run is held up by once it is being ended. Once per Lua version.
 *
 * The handler is called by Lua itself, where no hook runs. So a handler that is a Lua function is wrapped: the wrapper looks
 * whether the run is being ended, and hands on to the handler by a tail call. A tail call is no level of its own to error()
 * and the like (but in 5.1), and takes no more of Lua's C levels, so that handlers that fail nest as deep as in stock Lua.
 * A C function needs no wrapper: the sandbox's own look at the flag where they call anything.
 *
 * Contract: C functions that hostile scripts call, each on the run's thread inside the guarded call. */
#ifndef LG_STDLIB_XPCALL_H
#define LG_STDLIB_XPCALL_H

#include "../guard/cstack.h"
#include "load.h"

/* Whether a handler is not to be called. Raises where the C stack is used up. */
static int lg_handlers_are_off(lua_State *L) {
  struct lg_state *st = lg_state_of(L);
  if (!lg_is_interrupted(st)) lg_c_stack(L);
  lua_pushboolean(L, lg_is_interrupted(st));
  return 1;
}

/* Put the wrapper of the handler at idx in its place; upvalue `maker` makes one. */
static void lg_wrap_handler(lua_State *L, int idx, int maker) {
  if (!lua_isfunction(L, idx) || lua_iscfunction(L, idx)) return;
  lua_pushvalue(L, lua_upvalueindex(maker));
  lua_pushvalue(L, idx);
  lua_call(L, 1, 1);
  lua_replace(L, idx);
}

#if LG_XPCALL_IS_C
/* The stock function's code runs in this frame, as if it had been called itself: so it can be yielded across, and what it
 * complains of names this function. Upvalue 1 is the stock xpcall, 2 makes wrappers. */
static int lg_xpcall(lua_State *L) {
  lg_wrap_handler(L, 2, 2);
  return lua_tocfunction(L, lua_upvalueindex(1))(L);
}
#else
/* LuaJIT's xpcall is no C function. Its tail call replaces the frame of the Lua function that makes it: what that returns to
 * it are its arguments. Upvalue 1 makes wrappers. */
static int lg_xpcall_arguments(lua_State *L) {
  lg_wrap_handler(L, 2, 1);
  return lua_gettop(L);
}
#endif

/* Load a text of ours and call it with the values on top: one value stays. */
static void lg_run_own(lua_State *L, const char *source, const char *name, int args) {
  struct lg_load_source src = {lg_state_of(L), source, strlen(source), 0, NULL};
  if (lg_load_with(L, lg_read_text, &src, name) != LUA_OK) lua_error(L);
  lua_insert(L, -args - 1);
  lua_call(L, args, 1);
}

/* Put xpcall into the table at t, which has the stock one. */
static void lg_offer_xpcall(lua_State *L, int t) {
  (void)lua_getfield(L, t, "xpcall");
  lua_pushcfunction(L, lg_handlers_are_off);
  lg_run_own(L, "local off = ... return function(h) return function(e) if off() then return e end return h(e) end end",
             "=xpcall", 1);
#if LG_XPCALL_IS_C
  lua_pushcclosure(L, lg_xpcall, 2);
#else
  lua_pushcclosure(L, lg_xpcall_arguments, 1);
  lg_run_own(L, "local x, w = ... return function(...) return x(w(...)) end", "=xpcall", 2);
#endif
  lua_setfield(L, t, "xpcall");
}

#endif
