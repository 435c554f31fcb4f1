/* The table library of the sandbox. Compiled once per Lua version.
 *
 * Contract: C functions that hostile scripts call, each on the run's thread inside the guarded call. Results and error
 * messages are those of the version at hand. No length is trusted: a __len may say anything, and even without
 * metamethods a table of 31 elements can have a border at 2^30; so every loop looks at the deadline at each element,
 * and positions wrap instead of overflowing. Element access may run script code that errs or changes the table. */
#ifndef LG_STDLIB_TABLIB_H
#define LG_STDLIB_TABLIB_H

#include "args.h"
#include "sort.h"
#include "strbuf.h"

/* What a value must offer to stand in for a table (5.3 and later). */
enum { LG_TAB_R = 1, LG_TAB_W = 2, LG_TAB_L = 4, LG_TAB_RW = LG_TAB_R | LG_TAB_W };

#if LG_TABLE_METAMETHODS
static int lg_has_field(lua_State *L, const char *key, int n) {
  (void)lua_pushstring(L, key);
  return lua_rawget(L, -n) != LUA_TNIL;
}

static void lg_checktab(lua_State *L, int arg, int what) {
  int type = lua_type(L, arg);
  if (type == LUA_TTABLE) return;
  int n = 1;
  int len_needed = (what & LG_TAB_L) != 0 && !(LG_STRINGS_NEED_NO_LEN && type == LUA_TSTRING);
  if (!lua_getmetatable(L, arg) || ((what & LG_TAB_R) && !lg_has_field(L, "__index", ++n)) ||
      ((what & LG_TAB_W) && !lg_has_field(L, "__newindex", ++n)) || (len_needed && !lg_has_field(L, "__len", ++n)))
    luaL_checktype(L, arg, LUA_TTABLE); /* raises */
  lua_pop(L, n);
}
#endif

/* #t for the value at index 1, as the version's own table functions take it; it may be any number. */
static lg_index lg_length(lua_State *L) {
#if !LG_TABLE_LENGTH_META
  return (int)lua_rawlen(L, 1);
#else
  int isnum = 0;
  lua_len(L, 1);
  lua_Integer n = lua_tointegerx(L, -1, &isnum);
  if (!isnum) luaL_error(L, "object length is not %s", LG_TEXT_LENGTH_KIND);
  lua_pop(L, 1);
  return (lg_index)n;
#endif
}

/* The same after the check that index 1 is a table, or can be used as one. */
static lg_index lg_table_length(lua_State *L, int what) {
#if LG_TABLE_METAMETHODS
  lg_checktab(L, 1, what | LG_TAB_L);
#else
  (void)what;
  luaL_checktype(L, 1, LUA_TTABLE);
#endif
  return lg_length(L);
}

static int lg_tab_insert(lua_State *L) {
  struct lg_state *st = lg_state_of(L);
  lg_index end = lg_next_index(lg_table_length(L, LG_TAB_RW));
  lg_index pos = end;
  int top = lua_gettop(L);
  if (top == 3) {
    pos = lg_checkindex(L, 2);
#if LG_TABLE_PLACE_WRAPS
    luaL_argcheck(L, (lua_Unsigned)pos - 1u < (lua_Unsigned)end, 2, "position out of bounds");
#elif LG_TABLE_CHECKS_PLACE
    luaL_argcheck(L, 1 <= pos && pos <= end, 2, "position out of bounds");
#endif
    for (lg_index i = end; i > pos; i--) {
      lg_poll(st, L);
      lg_geti(L, 1, i - 1);
      lg_seti(L, 1, i);
    }
  } else if (top != 2) {
    return luaL_error(L, "wrong number of arguments to 'insert'");
  }
  lg_seti(L, 1, pos);
  return 0;
}

#if !LG_TABLE_PLACE_IS_ANY
static int lg_tab_remove(lua_State *L) {
  struct lg_state *st = lg_state_of(L);
  lg_index size = lg_table_length(L, LG_TAB_RW);
  lg_index pos = lg_optindex(L, 2, size);
#if LG_TABLE_PLACE_WRAPS
  int fits = pos == size || (lua_Unsigned)pos - 1u <= (lua_Unsigned)size;
#elif LG_TABLE_CHECKS_PLACE
  int fits = pos == size || (1 <= pos && pos <= lg_next_index(size));
#else
  if (pos < 1 || pos > size) return 0;
  int fits = 1;
#endif
  luaL_argcheck(L, fits, LG_REMOVE_PLACE_ARG, "position out of bounds");
  lg_geti(L, 1, pos);
  for (; pos < size; pos++) {
    lg_poll(st, L);
    lg_geti(L, 1, pos + 1);
    lg_seti(L, 1, pos);
  }
  lua_pushnil(L);
  lg_seti(L, 1, pos);
  return 1;
}
#endif

#if LG_HAS_TABLE_MOVE && LG_HAS_INTEGERS
static int lg_tab_move(lua_State *L) {
  struct lg_state *st = lg_state_of(L);
  lua_Integer from = luaL_checkinteger(L, 2);
  lua_Integer end = luaL_checkinteger(L, 3);
  lua_Integer to = luaL_checkinteger(L, 4);
  int dest = lua_isnoneornil(L, 5) ? 1 : 5;
  lg_checktab(L, 1, LG_TAB_R);
  lg_checktab(L, dest, LG_TAB_W);
  if (end >= from) {
    luaL_argcheck(L, from > 0 || end < INT64_MAX + from, 3, "too many elements to move");
    lua_Integer n = end - from + 1;
    luaL_argcheck(L, to <= INT64_MAX - n + 1, 4, "destination wrap around");
    int upwards = to > end || to <= from || (dest != 1 && !lua_compare(L, 1, dest, LUA_OPEQ));
    for (lua_Integer k = 0; k < n; k++) {
      lua_Integer i = upwards ? k : n - 1 - k;
      lg_poll(st, L);
      lg_geti(L, 1, from + i);
      lg_seti(L, dest, to + i);
    }
  }
  lua_pushvalue(L, dest);
  return 1;
}
#endif

/* Append t[i], a string or a number. */
static void lg_concat_field(lua_State *L, struct lg_state *st, struct lg_strbuf *b, lg_index i) {
  size_t n;
  lg_poll(st, L);
  lg_geti(L, 1, i);
  const char *s = lua_tolstring(L, -1, &n); /* NULL for what is neither a string nor a number */
  if (s == NULL) {
#if LG_CONCAT_WIDE_INDEX
    luaL_error(L, "invalid value (%s) at index %I in table for 'concat'", luaL_typename(L, -1), i);
#else
    luaL_error(L, "invalid value (%s) at index %d in table for 'concat'", luaL_typename(L, -1), (int)i);
#endif
  }
  lg_sb_add(b, s, n);
  lua_pop(L, 1);
}

static int lg_tab_concat(lua_State *L) {
  size_t seplen;
#if LG_CONCAT_LENGTH_FIRST
  lg_index last = lg_table_length(L, LG_TAB_R);
  const char *sep = luaL_optlstring(L, 2, "", &seplen);
  lg_index i = lg_optindex(L, 3, 1);
  last = lg_optindex(L, 4, last);
#else
  if (LG_CONCAT_TABLE_FIRST) luaL_checktype(L, 1, LUA_TTABLE);
  const char *sep = luaL_optlstring(L, 2, "", &seplen);
  luaL_checktype(L, 1, LUA_TTABLE);
  lg_index i = lg_optindex(L, 3, 1);
  lg_index last = lua_isnoneornil(L, 4) ? lg_length(L) : lg_checkindex(L, 4);
#endif
  struct lg_state *st = lg_state_of(L);
  struct lg_strbuf b;
  lg_sb_init(L, &b);
  for (; i < last; i++) {
    lg_concat_field(L, st, &b, i);
    lg_sb_add(&b, sep, seplen);
  }
  if (i == last) lg_concat_field(L, st, &b, i);
  lg_sb_push(&b);
  return 1;
}

/* 5.1 and LuaJIT too, where it is a global. 5.1's own counts its results in an int that overflows, and optimised builds crash on
 * unpack({}, 0, 2^31 - 1) (CVE-2025-46817). LuaJIT's calls refused memory too many results. */
static int lg_tab_unpack(lua_State *L) {
  struct lg_state *st = lg_state_of(L);
#if LG_UNPACK_TABLES_ONLY
  luaL_checktype(L, 1, LUA_TTABLE);
#elif LG_UNPACK_CHECKS_TABLE
  lg_index length = lg_table_length(L, LG_TAB_R);
#endif
  lg_index i = lg_optindex(L, 2, 1);
#if LG_UNPACK_CHECKS_TABLE
  lg_index last = luaL_optinteger(L, 3, length);
#else
  lg_index last = lua_isnoneornil(L, 3) ? lg_length(L) : lg_checkindex(L, 3);
#endif
  if (i > last) return 0;
  uint64_t n = (uint64_t)last - (uint64_t)i; /* one less than the number of results */
  if (n >= LG_UNPACK_MOST || !lg_stack(L, (int)n + 1)) return luaL_error(L, "too many results to unpack");
  for (; i < last; i++) {
    lg_poll(st, L);
    lg_geti(L, 1, i);
  }
  lg_geti(L, 1, last);
  return (int)n + 1;
}

#if LG_HAS_MAXN
static int lg_tab_maxn(lua_State *L) {
  struct lg_state *st = lg_state_of(L);
  lua_Number max = 0;
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_pushnil(L);
  while (lua_next(L, 1)) {
    lg_poll(st, L);
    lua_pop(L, 1);
    if (lua_type(L, -1) != LUA_TNUMBER) continue;
    lua_Number v = lua_tonumber(L, -1);
    if (v > max) max = v;
  }
  lua_pushnumber(L, max);
  return 1;
}
#endif

static int lg_tab_sort(lua_State *L) {
  lg_index n = lg_table_length(L, LG_TAB_RW);
#if LG_SORT_IS_NEW
  if (n <= 1) return 0;
#else
  lg_stack_for(L, 40, "");
#endif
  luaL_argcheck(L, n < INT_MAX, 1, "array too big");
  if (!lua_isnoneornil(L, 2)) luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_settop(L, 2);
  lg_sort_range(L, 1, n, 0);
  return 0;
}

#if LG_HAS_FOREACH
#include "tablib51.h"
#endif

/* Push the table library. */
static void lg_open_table(lua_State *L) {
  static const struct lg_reg list[] = {
      {"concat", lg_tab_concat},
      {"insert", lg_tab_insert},
      {"remove", lg_tab_remove},
      {"sort", lg_tab_sort},
#if LG_HAS_MAXN
      {"maxn", lg_tab_maxn},
#endif
#if LG_HAS_FOREACH
      {"foreach", lg_tab_foreach},
      {"foreachi", lg_tab_foreachi},
      {"getn", lg_tab_getn},
      {"setn", NULL}, /* an error message */
#endif
#if LG_HAS_TABLE_UNPACK
      {"pack", NULL}, /* bounded by its arguments */
      {"unpack", lg_tab_unpack},
#endif
#if LG_HAS_TABLE_MOVE
      {"move", lg_tab_move},
#endif
#if LG_HAS_TABLE_CREATE
      {"create", NULL}, /* one allocation */
#endif
  };
  lg_lib_new(L, luaopen_table, "table", list, sizeof list / sizeof list[0]);
}

#endif
