/* Which release of Lua was found, as its own headers name it: "Lua 5.4.8", "LuaJIT 2.1.1774638290". Once per Lua version.
 *
 * Contract: lg_lua_release() after lg_api_fill(), on any thread, under the GIL. */
#ifndef LG_RELEASE_H
#define LG_RELEASE_H

#include <string.h>

#include "lua_api.h"

/* Copy the words of `from` up to the end of the one that the version's number ends. */
static void lg_copy_release(char *to, size_t size, const char *from) {
  size_t n = strcspn(from, " ");
  if (from[n] == ' ') n += 1 + strcspn(from + n + 1, " ");
  if (n >= size) n = size - 1;
  memcpy(to, from, n);
  to[n] = '\0';
}

#if LG_HAS_JIT_VERSION
/* What the jit library calls its version: the symbol that LuaJIT exports has the number in its name. */
static int lg_version_body(lua_State *L) {
  char *to = lua_touserdata(L, 1);
  size_t size = (size_t)lua_tointeger(L, 2);
  lua_pushcfunction(L, luaopen_jit);
  lua_call(L, 0, 0);
  (void)lua_getfield(L, LUA_GLOBALSINDEX, "jit");
  (void)lua_getfield(L, -1, "version");
  const char *version = lua_tolstring(L, -1, NULL);
  if (version != NULL) lg_copy_release(to, size, version);
  return 0;
}

static void lg_read_release(char *to, size_t size) {
  lua_State *L = luaL_newstate();
  if (L == NULL) return;
  lua_pushcfunction(L, lg_version_body);
  lua_pushlightuserdata(L, to);
  lua_pushinteger(L, (lua_Integer)size);
  (void)lua_pcall(L, 2, 0, 0);
  lua_close(L);
}
#endif

/* An empty text where the Lua does not say. */
static void lg_lua_release(lg_lookup lookup, void *handle, char *to, size_t size) {
  to[0] = '\0';
  const char *said = lookup(handle, "luagauge_release"); /* a module that the wheel carries */
  if (said != NULL) {
    lg_copy_release(to, size, said);
    return;
  }
#if LG_HAS_JIT_VERSION
  lg_read_release(to, size);
#else
  /* "$LuaVersion: Lua 5.4.8  Copyright ...": lapi.c, since 5.1. */
  said = lookup(handle, "lua_ident");
  if (said != NULL) said = strstr(said, "Lua 5.");
  if (said != NULL) lg_copy_release(to, size, said);
#endif
}

#endif
