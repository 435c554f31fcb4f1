/* The table functions that only Lua 5.1 and LuaJIT have, and LuaJIT 2.1's own remove and move. Part of tablib.h.
 *
 * Contract: as in tablib.h. LuaJIT 2.1 writes these functions in Lua, where positions are numbers of any kind, cut
 * to integers where they become keys. Here they are C functions that look at the deadline. */
#ifndef LG_STDLIB_TABLIB51_H
#define LG_STDLIB_TABLIB51_H

/* The arguments as a function with n parameters has them. */
static void lg_parameters(lua_State *L, int n) {
  if (LG_TABLE_IS_LUA) lua_settop(L, n);
}

static int lg_tab_getn(lua_State *L) {
  lg_parameters(L, 1);
  lua_pushinteger(L, lg_table_length(L, LG_TAB_R));
  return 1;
}

/* f(key, value) for the pair below the top; pops both. 1 when it returned something but nil, which is left on top. */
static int lg_foreach_call(lua_State *L, int keep_key) {
  lg_c_stack(L);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, -3);
  lua_pushvalue(L, -3);
  lua_call(L, 2, 1);
  if (!lua_isnil(L, -1)) return 1;
  lua_pop(L, keep_key ? 2 : 3);
  return 0;
}

static int lg_tab_foreach(lua_State *L) {
  struct lg_state *st = lg_state_of(L);
  lg_parameters(L, 2);
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_pushnil(L);
  while (lua_next(L, 1)) {
    lg_poll(st, L);
    if (lg_foreach_call(L, 1)) return 1;
  }
  return 0;
}

static int lg_tab_foreachi(lua_State *L) {
  struct lg_state *st = lg_state_of(L);
  lg_parameters(L, 2);
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  int n = lg_length(L);
  for (int i = 1; i <= n; i = lg_next_index(i)) {
    lg_poll(st, L);
    lua_pushinteger(L, i);
    lg_geti(L, 1, i);
    if (lg_foreach_call(L, 0)) return 1;
    if (i == n) break;
  }
  return 0;
}

#if LG_TABLE_PLACE_IS_ANY
static void lg_copy_element(lua_State *L, int a, lua_Number to, int b, lua_Number from) {
  lg_geti(L, b, lg_clip_int(from));
  lg_seti(L, a, lg_clip_int(to));
}

static int lg_tab_remove(lua_State *L) {
  struct lg_state *st = lg_state_of(L);
  lg_parameters(L, 2);
  lua_Number n = lg_table_length(L, LG_TAB_RW);
  lua_Number pos = n;
  if (lua_isnoneornil(L, 2)) {
    if (n == 0) return 0;
  } else {
    pos = luaL_checknumber(L, 2);
    if (!(pos >= 1 && pos <= n)) return 0;
  }
  lg_geti(L, 1, lg_clip_int(pos));
  for (lua_Number i = pos + 1; i <= n; i++) {
    lg_poll(st, L);
    lg_copy_element(L, 1, i - 1, 1, i);
  }
  lua_pushnil(L);
  lg_seti(L, 1, (int)n);
  return 1;
}

static int lg_tab_move(lua_State *L) {
  struct lg_state *st = lg_state_of(L);
  lg_parameters(L, 5);
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_Number from = luaL_checknumber(L, 2);
  lua_Number end = luaL_checknumber(L, 3);
  lua_Number to = luaL_checknumber(L, 4);
  if (lua_isnil(L, 5)) {
    lua_pushvalue(L, 1);
    lua_replace(L, 5);
  }
  luaL_checktype(L, 5, LUA_TTABLE);
  if (!(end >= from)) return 1;
  lua_Number by = to - from;
  if (to > end || to <= from || !lua_compare(L, 1, 5, LUA_OPEQ)) {
    for (lua_Number i = from; i <= end; i++) {
      lg_poll(st, L);
      lg_copy_element(L, 5, i + by, 1, i);
    }
  } else {
    for (lua_Number i = end; i >= from; i--) {
      lg_poll(st, L);
      lg_copy_element(L, 5, i + by, 1, i);
    }
  }
  return 1;
}
#endif

#endif
