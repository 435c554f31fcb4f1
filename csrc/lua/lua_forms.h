/* The manual's macros, and the 5.4 form of calls that older versions spell otherwise. Part of lua_api.h. */
#ifndef LG_LUA_FORMS_H
#define LG_LUA_FORMS_H

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

#if !LG_HAS_COMPARE
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
#endif

#if LG_HAS_CALLK
#define lua_call(L, n, r) lua_callk(L, (n), (r), 0, NULL)
#define lua_pcall(L, n, r, f) lua_pcallk(L, (n), (r), (f), 0, NULL)
#endif

/* Declares a continuation of a C function; it may use L only. */
#if LG_HAS_CALLK
#if LG_HAS_ROTATE
#define LG_CONTINUATION(name) static int name(lua_State *L, int status, lua_KContext context)
#define LG_CONTINUES() ((void)status, (void)context)
#else
#define LG_CONTINUATION(name) static int name(lua_State *L)
#define LG_CONTINUES() ((void)0)
#endif
#endif

#if LG_HAS_ROTATE
#define lua_insert(L, i) lua_rotate(L, (i), 1)
#define lua_remove(L, i) (lua_rotate(L, (i), -1), lua_pop(L, 1))
#define lua_replace(L, i) (lua_copy(L, -1, (i)), lua_pop(L, 1))
#endif

/* Make the table on top (popped) the globals of the Lua function at i, which is counted with the table there. */
static inline void lg_set_function_globals(lua_State *L, int i) {
#if LG_HAS_FENV
  (void)lua_setfenv(L, i);
#else
  if (lua_setupvalue(L, i, 1) == NULL) lua_pop(L, 1);
#endif
}

/* Compile a text that the reader gives. */
static inline int lg_load_with(lua_State *L, lua_Reader reader, void *data, const char *name) {
#if LG_LOAD_TAKES_MODE
  return lua_load(L, reader, data, name, "t");
#else
  return lua_load(L, reader, data, name);
#endif
}

#if LG_HAS_USER_VALUES
#define lua_newuserdata(L, n) lua_newuserdatauv(L, (n), 0)
#endif

#if LG_HAS_INTEGERS
#define lg_isinteger(L, i) lua_isinteger(L, (i))
#else
#define lg_isinteger(L, i) 0
#endif

/* lua_gc without the variadic tail, which only tuning calls use. */
static inline int lg_gc(lua_State *L, int what) { return lua_gc(L, what, 0); }

/* A step of the collector, a short one for 0; not 0 when a cycle has ended with it. The amount is in KiB where it is an int,
 * which 5.5's is not. */
static inline int lg_gc_step(lua_State *L, lua_Integer amount) {
#if LG_GC_STEP_IS_SIZE
  return lua_gc(L, LUA_GCSTEP, (size_t)amount);
#else
  return lua_gc(L, LUA_GCSTEP, (int)amount);
#endif
}

/* Resume `co` with narg values on its stack; *nres says how many values it left there (5.4's form). */
static inline int lg_resume(lua_State *co, lua_State *from, int narg, int *nres) {
#if LG_RESUME_COUNTS
  return lua_resume(co, from, narg, nres);
#else
#if LG_RESUME_TAKES_FROM
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
