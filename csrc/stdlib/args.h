/* What the sandbox's library functions share: arguments as the version at hand reads them, and how a library's
 * table is put together. Compiled once per Lua version.
 *
 * Contract: only inside a protected call; everything here may raise a Lua error. */
#ifndef LG_STDLIB_ARGS_H
#define LG_STDLIB_ARGS_H

#include <math.h>

#include "../guard/poll.h"

#define LG_CHUNK ((size_t)1 << 15) /* bytes handled between two looks at the deadline: a few microseconds */

/* A double as an int64, what the hardware of the reference platform (x86-64) makes of a value that does not fit: Lua 5.1
 * and LuaJIT leave that to the C compiler, where it is undefined. */
static inline int64_t lg_clip_i64(lua_Number n) {
  return n >= -9223372036854775808.0 && n < 9223372036854775808.0 ? (int64_t)n : INT64_MIN;
}

/* The same for int. */
static inline int lg_clip_int(lua_Number n) { return n >= -2147483648.0 && n < 2147483648.0 ? (int)n : INT_MIN; }

#if !LG_HAS_INTEGERS
/* A C int, cut or wrapped as the version does it (luaL_checkint; LuaJIT's own check). */
static inline int lg_checkint(lua_State *L, int arg) {
#if LG_INTS_FROM_DOUBLES
  return lg_clip_int(luaL_checknumber(L, arg));
#else
  return (int)luaL_checkinteger(L, arg);
#endif
}

static inline int lg_optint(lua_State *L, int arg, int def) {
  return lua_isnoneornil(L, arg) ? def : lg_checkint(L, arg);
}
#endif

/* Positions in a table or string: int up to 5.2, lua_Integer from 5.3 on. */
#if LG_HAS_INTEGERS
typedef lua_Integer lg_index;
#define LG_INDEX_MAX INT64_MAX
#define lg_checkindex(L, arg) luaL_checkinteger(L, (arg))
#define lg_optindex(L, arg, def) luaL_optinteger(L, (arg), (def))
#else
typedef int lg_index;
#define LG_INDEX_MAX INT_MAX
#define lg_checkindex(L, arg) lg_checkint(L, (arg))
#define lg_optindex(L, arg, def) lg_optint(L, (arg), (def))
#endif

/* i + 1, wrapping: a length that a metamethod made up may be the largest integer. */
static inline lg_index lg_next_index(lg_index i) { return i == LG_INDEX_MAX ? -LG_INDEX_MAX - 1 : i + 1; }

/* t[i] onto the stack, and t[i] = the value on top (popped): with metamethods from 5.3 on, raw before. */
#if LG_TABLE_METAMETHODS
#define lg_geti(L, t, i) ((void)lua_geti(L, (t), (i)))
#define lg_seti(L, t, i) lua_seti(L, (t), (i))
#else
#define lg_geti(L, t, i) ((void)lua_rawgeti(L, (t), (i)))
#define lg_seti(L, t, i) lua_rawseti(L, (t), (i))
#endif

struct lg_reg {
  const char *name;
  lua_CFunction f; /* NULL: the stock function or value */
};

/* Push a new table with the named functions, those that the stock library of this build has. `open` is the library's
 * luaopen function. Stack: +1. */
static void lg_lib_new(lua_State *L, lua_CFunction open, const char *libname, const struct lg_reg *list, size_t n) {
  luaL_checkstack(L, 8, "library");
  lua_pushcfunction(L, open);
  (void)lua_pushstring(L, libname);
  lua_call(L, 1, 1);
  lua_createtable(L, 0, (int)n);
  for (size_t i = 0; i < n; i++) {
    (void)lua_pushstring(L, list[i].name);
    lua_rawget(L, -3);
    if (!lua_isnil(L, -1) && list[i].f != NULL) {
      lua_pop(L, 1);
      lua_pushcfunction(L, list[i].f);
    }
    lua_setfield(L, -2, list[i].name);
  }
  lua_remove(L, -2);
}

#endif
