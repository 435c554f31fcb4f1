/* Any Lua value as text, as the version's own tostring gives it, except that no address ever appears. Compiled once per
 * Lua version.
 *
 * Contract: only inside a protected call. A value without its own text (table, function, userdata, thread) reads
 * "table: 0x0123456789ab": its kind, or from Lua 5.3 on its metatable's __name, and a number that stands for it in place of
 * its address (guard/identity.h). */
#ifndef LG_STDLIB_TOSTRING_H
#define LG_STDLIB_TOSTRING_H

#include "../guard/cstack.h"

/* Push the text of the value at idx without looking at __tostring. */
static void lg_push_plain(lua_State *L, int idx) {
  switch (lua_type(L, idx)) {
    case LUA_TNUMBER:
    case LUA_TSTRING:
      lua_pushvalue(L, idx);
      (void)lua_tolstring(L, -1, NULL); /* turns the copy of a number into its text */
      break;
    case LUA_TBOOLEAN: (void)lua_pushstring(L, lua_toboolean(L, idx) ? "true" : "false"); break;
    case LUA_TNIL: (void)lua_pushliteral(L, "nil"); break;
    default: {
      char identity[LG_IDENTITY_TEXT];
      lg_identity_write(&lg_state_of(L)->identity, lua_topointer(L, idx), identity);
#if LG_HAS_TYPE_NAMES
      int tt = luaL_getmetafield(L, idx, "__name");
      const char *kind = tt == LUA_TSTRING ? lua_tolstring(L, -1, NULL) : luaL_typename(L, idx);
      (void)lua_pushfstring(L, "%s: %s", kind, identity);
      if (tt != LUA_TNIL) lua_remove(L, -2);
#else
      (void)lua_pushfstring(L, "%s: %s", luaL_typename(L, idx), identity);
#endif
    }
  }
}

/* Push the text of the value at idx and return it; *len (may be NULL) is its length in bytes.
 * A __tostring metamethod decides, as in the version at hand. When it returns something that is no string: from Lua 5.3
 * on that is an error; before, NULL is returned (*len is 0) and what it returned is left on the stack, which is what
 * those versions' tostring() hands to the script (5.2 first turns a number into its text). */
static const char *lg_tostring(lua_State *L, int idx, size_t *len) {
  idx = lua_absindex(L, idx);
  if (luaL_getmetafield(L, idx, "__tostring")) {
    lg_c_stack(L);
    lua_pushvalue(L, idx);
    lua_call(L, 1, 1);
#if LG_TOSTRING_CHECKED
    if (!lua_isstring(L, -1)) luaL_error(L, "'__tostring' must return a string");
#elif LG_TOSTRING_ANYTHING
    if (lua_type(L, -1) != LUA_TSTRING) {
      if (len != NULL) *len = 0;
      return NULL;
    }
#endif
  } else {
    lg_push_plain(L, idx);
  }
  return lua_tolstring(L, -1, len);
}

static int lg_base_tostring(lua_State *L) {
  luaL_checkany(L, 1);
  (void)lg_tostring(L, 1, NULL);
  return 1;
}

#endif
