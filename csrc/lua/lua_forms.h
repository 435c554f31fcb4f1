/* Maps the manual's names to lg_api's entries, and gives older versions the 5.4 form of a call. Part of lua_api.h. */
#ifndef LG_LUA_NAMES_H
#define LG_LUA_NAMES_H

/* clang-format off */
#define lua_close lg_api.lua_close
#define lua_newthread lg_api.lua_newthread
#define lua_atpanic lg_api.lua_atpanic
#define lua_gettop lg_api.lua_gettop
#define lua_settop lg_api.lua_settop
#define lua_pushvalue lg_api.lua_pushvalue
#define lua_checkstack lg_api.lua_checkstack
#define lua_xmove lg_api.lua_xmove
#define lua_isnumber lg_api.lua_isnumber
#define lua_isstring lg_api.lua_isstring
#define lua_iscfunction lg_api.lua_iscfunction
#define lua_type lg_api.lua_type
#define lua_typename lg_api.lua_typename
#define lua_rawequal lg_api.lua_rawequal
#define lua_toboolean lg_api.lua_toboolean
#define lua_tolstring lg_api.lua_tolstring
#define lua_touserdata lg_api.lua_touserdata
#define lua_tothread lg_api.lua_tothread
#define lua_tocfunction lg_api.lua_tocfunction
#define lua_topointer lg_api.lua_topointer
#define lua_pushnil lg_api.lua_pushnil
#define lua_pushnumber lg_api.lua_pushnumber
#define lua_pushinteger lg_api.lua_pushinteger
#define lua_pushfstring lg_api.lua_pushfstring
#define lua_pushcclosure lg_api.lua_pushcclosure
#define lua_pushboolean lg_api.lua_pushboolean
#define lua_pushlightuserdata lg_api.lua_pushlightuserdata
#define lua_pushthread lg_api.lua_pushthread
#define lua_gettable lg_api.lua_gettable
#define lua_getfield lg_api.lua_getfield
#define lua_rawget lg_api.lua_rawget
#define lua_createtable lg_api.lua_createtable
#define lua_getmetatable lg_api.lua_getmetatable
#define lua_settable lg_api.lua_settable
#define lua_setfield lg_api.lua_setfield
#define lua_rawset lg_api.lua_rawset
#define lua_setmetatable lg_api.lua_setmetatable
#define lua_status lg_api.lua_status
#define lua_error lg_api.lua_error
#define lua_next lg_api.lua_next
#define lua_concat lg_api.lua_concat
#define lua_getallocf lg_api.lua_getallocf
#define lua_setallocf lg_api.lua_setallocf
#define lua_getstack lg_api.lua_getstack
#define lua_getinfo lg_api.lua_getinfo
#define lua_gethook lg_api.lua_gethook
#define lua_getupvalue lg_api.lua_getupvalue
#define lua_setupvalue lg_api.lua_setupvalue
#define luaL_getmetafield lg_api.luaL_getmetafield
#define luaL_argerror lg_api.luaL_argerror
#define luaL_checklstring lg_api.luaL_checklstring
#define luaL_optlstring lg_api.luaL_optlstring
#define luaL_checknumber lg_api.luaL_checknumber
#define luaL_optnumber lg_api.luaL_optnumber
#define luaL_checkinteger lg_api.luaL_checkinteger
#define luaL_optinteger lg_api.luaL_optinteger
#define luaL_checkstack lg_api.luaL_checkstack
#define luaL_checktype lg_api.luaL_checktype
#define luaL_checkany lg_api.luaL_checkany
#define luaL_where lg_api.luaL_where
#define luaL_error lg_api.luaL_error
#define luaL_ref lg_api.luaL_ref
#define luaL_unref lg_api.luaL_unref
#define luaopen_base lg_api.luaopen_base
#define luaopen_table lg_api.luaopen_table
#define luaopen_io lg_api.luaopen_io
#define luaopen_os lg_api.luaopen_os
#define luaopen_string lg_api.luaopen_string
#define luaopen_math lg_api.luaopen_math
#define lua_newstate lg_api.lua_newstate
#define lua_pushlstring lg_api.lua_pushlstring
#define lua_pushstring lg_api.lua_pushstring
#define lua_rawgeti lg_api.lua_rawgeti
#define lua_rawseti lg_api.lua_rawseti
#define lua_load lg_api.lua_load
#define lua_resume lg_api.lua_resume
#define lua_gc lg_api.lua_gc
#define lua_sethook lg_api.lua_sethook
#if LG_LUA == 501
#define lua_equal lg_api.lua_equal
#define lua_lessthan lg_api.lua_lessthan
#define lua_tonumber lg_api.lua_tonumber
#define lua_tointeger lg_api.lua_tointeger
#define lua_objlen lg_api.lua_objlen
#define lua_getfenv lg_api.lua_getfenv
#define lua_setfenv lg_api.lua_setfenv
#define lua_call lg_api.lua_call
#define lua_pcall lg_api.lua_pcall
#define lua_cpcall lg_api.lua_cpcall
#endif
#if LG_JIT
#define luaJIT_setmode lg_api.luaJIT_setmode
#define luaopen_bit lg_api.luaopen_bit
#define luaopen_jit lg_api.luaopen_jit
#define luaopen_ffi lg_api.luaopen_ffi
#endif
#if LG_JIT || LG_LUA == 501
#define luaL_newstate lg_api.luaL_newstate
#endif
#if LG_JIT || LG_LUA >= 502
#define luaL_traceback lg_api.luaL_traceback
#endif
#if LG_LUA <= 502
#define lua_insert lg_api.lua_insert
#define lua_remove lg_api.lua_remove
#define lua_replace lg_api.lua_replace
#endif
#if LG_LUA <= 501
#define lua_yield lg_api.lua_yield
#endif
#if LG_LUA <= 503
#define lua_newuserdata lg_api.lua_newuserdata
#endif
#if LG_LUA >= 502
#define lua_absindex lg_api.lua_absindex
#define lua_compare lg_api.lua_compare
#define lua_tonumberx lg_api.lua_tonumberx
#define lua_tointegerx lg_api.lua_tointegerx
#define lua_len lg_api.lua_len
#define lua_arith lg_api.lua_arith
#define luaL_tolstring lg_api.luaL_tolstring
#define luaopen_coroutine lg_api.luaopen_coroutine
#define lua_copy lg_api.lua_copy
#define lua_rawlen lg_api.lua_rawlen
#define lua_callk lg_api.lua_callk
#define lua_pcallk lg_api.lua_pcallk
#define lua_yieldk lg_api.lua_yieldk
#endif
#if LG_LUA == 502
#define lua_getctx lg_api.lua_getctx
#define luaopen_bit32 lg_api.luaopen_bit32
#endif
#if LG_LUA >= 503
#define lua_rotate lg_api.lua_rotate
#define lua_isinteger lg_api.lua_isinteger
#define lua_geti lg_api.lua_geti
#define lua_seti lg_api.lua_seti
#define lua_isyieldable lg_api.lua_isyieldable
#define lua_stringtonumber lg_api.lua_stringtonumber
#define luaopen_utf8 lg_api.luaopen_utf8
#endif
#if LG_LUA >= 504
#define lua_newuserdatauv lg_api.lua_newuserdatauv
#define lua_toclose lg_api.lua_toclose
#define lua_closethread lg_api.lua_closethread
#define luaL_typeerror lg_api.luaL_typeerror
#endif
#if LG_LUA >= 505
#define luaL_makeseed lg_api.luaL_makeseed
#endif
/* clang-format on */

#define lua_pop(L, n) lua_settop(L, -(n) - 1)
#define lua_newtable(L) lua_createtable(L, 0, 0)
#define lua_pushcfunction(L, f) lua_pushcclosure(L, (f), 0)
#define lua_pushliteral(L, s) lua_pushlstring(L, "" s, sizeof(s) - 1)
#define lua_tostring(L, i) lua_tolstring(L, (i), NULL)
#define lua_isfunction(L, n) (lua_type(L, (n)) == LUA_TFUNCTION)
#define lua_istable(L, n) (lua_type(L, (n)) == LUA_TTABLE)
#define lua_isnil(L, n) (lua_type(L, (n)) == LUA_TNIL)
#define lua_isnone(L, n) (lua_type(L, (n)) == LUA_TNONE)
#define lua_isnoneornil(L, n) (lua_type(L, (n)) <= 0)
#define luaL_checkstring(L, n) luaL_checklstring(L, (n), NULL)
#define luaL_typename(L, i) lua_typename(L, lua_type(L, (i)))
#define luaL_argcheck(L, cond, arg, msg) ((void)((cond) || luaL_argerror(L, (arg), (msg))))

#if LG_LUA == 501
#define lua_rawlen(L, i) lua_objlen(L, (i))
#define LUA_OPEQ 0
#define LUA_OPLT 1
static inline int lg_compare(lua_State *L, int a, int b, int op) {
  return op == LUA_OPEQ ? lua_equal(L, a, b) : lua_lessthan(L, a, b);
}
#define lua_compare(L, a, b, op) lg_compare(L, (a), (b), (op))
static inline int lg_absindex(lua_State *L, int i) {
  return (i > 0 || i <= LUA_REGISTRYINDEX) ? i : lua_gettop(L) + i + 1;
}
#define lua_absindex(L, i) lg_absindex(L, (i))
static inline lua_Number lg_tonumberx(lua_State *L, int i, int *isnum) {
  lua_Number n = lua_tonumber(L, i);
  if (isnum != NULL) *isnum = (n != 0 || lua_isnumber(L, i));
  return n;
}
#define lua_tonumberx(L, i, p) lg_tonumberx(L, (i), (p))
#else
#define LUA_OPEQ 0
#define LUA_OPLT 1
#define lua_tonumber(L, i) lua_tonumberx(L, (i), NULL)
#define lua_tointeger(L, i) lua_tointegerx(L, (i), NULL)
#if LG_LUA == 502
#define lua_call(L, n, r) lua_callk(L, (n), (r), 0, NULL)
#define lua_pcall(L, n, r, f) lua_pcallk(L, (n), (r), (f), 0, NULL)
#else
#define lua_call(L, n, r) lua_callk(L, (n), (r), 0, NULL)
#define lua_pcall(L, n, r, f) lua_pcallk(L, (n), (r), (f), 0, NULL)
#define lua_insert(L, i) lua_rotate(L, (i), 1)
#define lua_remove(L, i) (lua_rotate(L, (i), -1), lua_pop(L, 1))
#define lua_replace(L, i) (lua_copy(L, -1, (i)), lua_pop(L, 1))
#endif
#endif

#if LG_LUA >= 504
#define lua_newuserdata(L, n) lua_newuserdatauv(L, (n), 0)
#endif

#if LG_LUA >= 503
#define lg_isinteger(L, i) lua_isinteger(L, (i))
#else
#define lg_isinteger(L, i) 0
#endif

/* lua_gc without the variadic tail, which only tuning calls use. */
static inline int lg_gc(lua_State *L, int what) { return lua_gc(L, what, 0); }

/* One short step of the collector; not 0 when a cycle has ended with it. 5.5 reads a size_t. */
static inline int lg_gc_step(lua_State *L) {
#if LG_LUA >= 505
  return lua_gc(L, LUA_GCSTEP, (size_t)0);
#else
  return lua_gc(L, LUA_GCSTEP, 0);
#endif
}

/* Resume `co` with narg values on its stack; *nres says how many values it left there (5.4's form). */
static inline int lg_resume(lua_State *co, lua_State *from, int narg, int *nres) {
#if LG_LUA >= 504
  return lua_resume(co, from, narg, nres);
#else
#if LG_LUA >= 502
  int status = lua_resume(co, from, narg);
#else
  int status = lua_resume(co, narg);
  (void)from;
#endif
  *nres = lua_gettop(co);
  return status;
#endif
}

#endif
