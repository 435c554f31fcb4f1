/* The bit operations: bit32 of Lua 5.2, bit of LuaJIT. Compiled once per Lua version.
 *
 * Contract: as in strlib.h. All are stock functions; those that take any number of arguments are reached through a
 * function that turns each argument into a number first and looks at the deadline in between: reading one numeral of
 * 10 MB takes some 20 ms, and a call may name the same one thousands of times. */
#ifndef LG_STDLIB_BITLIB_H
#define LG_STDLIB_BITLIB_H

#if LG_HAS_BIT || LG_HAS_BIT32

#include "args.h"

/* Upvalue 1 is the stock function. */
static int lg_bit_fold(lua_State *L) {
  struct lg_state *st = lg_state_of(L);
  int n = lua_gettop(L);
  for (int i = 1; i <= n; i++) {
    lg_poll(st, L);
    if (LG_BIT_TAKES_CDATA && lua_type(L, i) == LUA_TCDATA) continue;
    lua_Number v = luaL_checknumber(L, i);
    if (lua_type(L, i) == LUA_TNUMBER) continue;
    lua_pushnumber(L, v);
    lua_replace(L, i);
  }
  if (LG_HAS_BIT && n == 0) (void)luaL_checknumber(L, 1); /* raises: bit32's functions have a value for no arguments */
  if (!lg_stack(L, n + 1)) return luaL_error(L, "stack overflow");
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, n, 1);
  return 1;
}

/* Push the library. */
static void lg_open_bit(lua_State *L) {
  static const struct lg_reg list[] = {
      {"arshift", NULL}, {"band", NULL},    {"bnot", NULL},    {"bor", NULL},    {"bswap", NULL},   {"btest", NULL},
      {"bxor", NULL},    {"extract", NULL}, {"lrotate", NULL}, {"lshift", NULL}, {"replace", NULL}, {"rol", NULL},
      {"ror", NULL},     {"rrotate", NULL}, {"rshift", NULL},  {"tobit", NULL},  {"tohex", NULL},
  };
  static const char *const folds[] = {"band", "bor", "btest", "bxor"};
  lg_lib_new(L, lg_luaopen_bit, LG_BIT_NAME, list, sizeof list / sizeof list[0]);
  for (size_t i = 0; i < sizeof folds / sizeof folds[0]; i++) {
    (void)lua_getfield(L, -1, folds[i]);
    if (lua_isnil(L, -1)) {
      lua_pop(L, 1);
      continue;
    }
    lua_pushcclosure(L, lg_bit_fold, 1);
    lua_setfield(L, -2, folds[i]);
  }
}

#endif
#endif
