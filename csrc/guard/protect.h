/* The protected call that everything goes through which touches a Lua state. Once per Lua version.
 *
 * Contract: on the thread that uses the state. An error, the limit or a refusal by the operating system ends in a status, never
 * in Lua's panic. */
#ifndef LG_PROTECT_H
#define LG_PROTECT_H

#include "failure.h"

/* What a protected call came to: LUA_OK or a status, whose text is taken off the stack, and kept where nothing more is known. */
static int lg_ended(lua_State *L, int status) {
  if (status == LUA_OK) return status;
  struct lg_buf *message = &lg_state_of(L)->answer.message;
  size_t n = 0;
  const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &n) : NULL;
  if (text != NULL && message->len == 0) lg_keep_text(message, text, n);
  lua_pop(L, 1);
  return status;
}

/* Call fn(L) protected, with ud as its only argument; leaves the stack as it was, whatever happens. */
static int lg_protected(lua_State *L, lua_CFunction fn, void *ud) {
#if LG_HAS_CPCALL
  return lg_ended(L, lua_cpcall(L, fn, ud)); /* takes memory for a closure */
#else
  lua_pushcfunction(L, fn); /* a C function without upvalues: pushing it allocates nothing */
  lua_pushlightuserdata(L, ud);
  return lg_ended(L, lua_pcall(L, 1, 0, 0));
#endif
}

/* The same for a function that the registry keeps: the call itself takes no memory on any Lua. */
static int lg_protected_kept(lua_State *L, int ref, void *ud) {
  (void)lua_rawgeti(L, LUA_REGISTRYINDEX, ref);
  lua_pushlightuserdata(L, ud);
  return lg_ended(L, lua_pcall(L, 1, 0, 0));
}

#endif
