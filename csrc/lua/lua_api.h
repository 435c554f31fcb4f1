/* The Lua C API of one Lua version, found at run time in a module that the wheel carries, or lupa's.
 *
 * Included once per instance (csrc/lua/lua51.c and its siblings), after LG_LUA (501..505), LG_JIT (0, 20 or 21) and
 * LG_INSTANCE (lua51, ...) are defined. Everything written against this header is therefore compiled once per Lua
 * version, with that version's constants. Each function of the manual (lua_gettop, lua_rawget, ...) is a static pointer of
 * that name here; where versions differ in name or signature, lua_forms.h gives the 5.4 form.
 *
 * Contract: the pointers are filled once by lg_api_fill() under the GIL before any state of that version exists, and are
 * read-only from then on (any thread, any signal handler). The functions themselves follow the Lua manual; whatever
 * can raise a Lua error may only be called inside a protected call. */
#ifndef LG_LUA_API_H
#define LG_LUA_API_H

#include <limits.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifndef LG_LUA
#error "define LG_LUA, LG_JIT and LG_INSTANCE before including lua_api.h"
#endif

#include "traits.h"

#define LG_CAT_(a, b) lg_##a##_##b
#define LG_CAT(a, b) LG_CAT_(a, b)
#define LG_NAME(x) LG_CAT(LG_INSTANCE, x) /* lg_lua54_x: an external name of this instance */

typedef struct lua_State lua_State;
typedef struct lua_Debug lua_Debug;
typedef int (*lua_CFunction)(lua_State *L);
typedef void *(*lua_Alloc)(void *ud, void *ptr, size_t osize, size_t nsize);
typedef const char *(*lua_Reader)(lua_State *L, void *data, size_t *size);
typedef void (*lua_Hook)(lua_State *L, lua_Debug *ar);
typedef double lua_Number;
#if LG_LUA >= 503
typedef long long lua_Integer;
typedef unsigned long long lua_Unsigned;
typedef intptr_t lua_KContext;
typedef int (*lua_KFunction)(lua_State *L, int status, lua_KContext ctx);
#define LG_RET int
#else
typedef ptrdiff_t lua_Integer;
typedef size_t lua_Unsigned;
#define LG_RET void
#endif

#define LUA_IDSIZE 60
struct lua_Debug {
  int event;
  const char *name;
  const char *namewhat;
  const char *what;
  const char *source;
#if LG_LUA >= 504
  size_t srclen;
#endif
  int currentline;
#if LG_LUA <= 501
  int nups;
#endif
  int linedefined;
  int lastlinedefined;
#if LG_LUA >= 502
  unsigned char nups;
  unsigned char nparams;
  char isvararg;
#if LG_LUA >= 505
  unsigned char extraargs;
#endif
  char istailcall;
#if LG_LUA >= 505
  int ftransfer;
  int ntransfer;
#elif LG_LUA == 504
  unsigned short ftransfer;
  unsigned short ntransfer;
#endif
#endif
  char short_src[LUA_IDSIZE];
  void *i_ci;        /* int in 5.1: this is at least as large */
  char reserved[64]; /* room for a later point release's private part */
};

/* clang-format off */
#define LUA_OK 0
#define LUA_YIELD 1
#define LUA_ERRRUN 2
#define LUA_ERRSYNTAX 3
#define LUA_ERRMEM 4
#define LUA_ERRERR ((LG_LUA == 502 || LG_LUA == 503) ? 6 : 5)
#define LUA_MULTRET (-1)
#define LUA_TNONE (-1)
#define LUA_TNIL 0
#define LUA_TBOOLEAN 1
#define LUA_TLIGHTUSERDATA 2
#define LUA_TNUMBER 3
#define LUA_TSTRING 4
#define LUA_TTABLE 5
#define LUA_TFUNCTION 6
#define LUA_TUSERDATA 7
#define LUA_TTHREAD 8
#define LUA_TCDATA 10 /* LuaJIT's */
#define LUA_MINSTACK 20
#define LUA_GCSTOP 0
#define LUA_GCRESTART 1
#define LUA_GCCOLLECT 2
#define LUA_GCCOUNT 3
#define LUA_GCCOUNTB 4
#define LUA_GCSTEP 5
#if LG_GC_HAS_PARAM
#define LUA_GCISRUNNING 6
#define LUA_GCGEN 7
#define LUA_GCINC 8
#define LUA_GCPARAM 9
#else
#define LUA_GCSETPAUSE 6
#define LUA_GCSETSTEPMUL 7
#define LUA_GCSETMAJORINC 8
#define LUA_GCISRUNNING 9
#define LUA_GCGEN 10
#define LUA_GCINC 11
#endif
#define LUA_HOOKCOUNT 3
#define LUA_MASKCOUNT (1 << LUA_HOOKCOUNT)
#define LUA_NOREF (-2)
#define LUA_REFNIL (-1)
#if LG_LUA == 501
#define LUA_REGISTRYINDEX (-10000)
#define LUA_GLOBALSINDEX (-10002)
#define lua_upvalueindex(i) (LUA_GLOBALSINDEX - (i))
#else
#define LUA_REGISTRYINDEX (LG_LUA >= 505 ? -(INT_MAX / 2 + 1000) : -1001000)
#define lua_upvalueindex(i) (LUA_REGISTRYINDEX - (i))
#define LUA_RIDX_GLOBALS 2
#endif

/* What raises an error with a text: where luaL_error() does not do, lg_error() of guard/poll.h. */
#if LG_ERROR_DROPS_TEXT
#define LG_API_ERROR(X) X(const char *, lua_pushvfstring, (lua_State *, const char *, va_list))
#else
#define LG_API_ERROR(X) X(int, luaL_error, (lua_State *, const char *, ...))
#endif

/* X(return type, name, parameters): every function this project calls, in the form the version exports. */
#define LG_API_COMMON(X) \
  X(lua_CFunction, lua_atpanic, (lua_State *, lua_CFunction)) \
  X(int, lua_gettop, (lua_State *)) \
  X(void, lua_settop, (lua_State *, int)) \
  X(void, lua_pushvalue, (lua_State *, int)) \
  X(int, lua_checkstack, (lua_State *, int)) \
  X(void, lua_xmove, (lua_State *, lua_State *, int)) \
  X(int, lua_isstring, (lua_State *, int)) \
  X(int, lua_type, (lua_State *, int)) \
  X(const char *, lua_typename, (lua_State *, int)) \
  X(int, lua_rawequal, (lua_State *, int, int)) \
  X(int, lua_toboolean, (lua_State *, int)) \
  X(const char *, lua_tolstring, (lua_State *, int, size_t *)) \
  X(void *, lua_touserdata, (lua_State *, int)) \
  X(lua_State *, lua_tothread, (lua_State *, int)) \
  X(int, lua_iscfunction, (lua_State *, int)) \
  X(const void *, lua_topointer, (lua_State *, int)) \
  X(void, lua_pushnil, (lua_State *)) \
  X(void, lua_pushnumber, (lua_State *, lua_Number)) \
  X(void, lua_pushinteger, (lua_State *, lua_Integer)) \
  X(const char *, lua_pushfstring, (lua_State *, const char *, ...)) \
  X(void, lua_pushcclosure, (lua_State *, lua_CFunction, int)) \
  X(void, lua_pushboolean, (lua_State *, int)) \
  X(void, lua_pushlightuserdata, (lua_State *, void *)) \
  X(LG_RET, lua_gettable, (lua_State *, int)) \
  X(LG_RET, lua_getfield, (lua_State *, int, const char *)) \
  X(LG_RET, lua_rawget, (lua_State *, int)) \
  X(void, lua_createtable, (lua_State *, int, int)) \
  X(int, lua_getmetatable, (lua_State *, int)) \
  X(void, lua_setfield, (lua_State *, int, const char *)) \
  X(void, lua_rawset, (lua_State *, int)) \
  X(int, lua_setmetatable, (lua_State *, int)) \
  X(int, lua_status, (lua_State *)) \
  X(int, lua_error, (lua_State *)) \
  X(int, lua_next, (lua_State *, int)) \
  X(void, lua_concat, (lua_State *, int)) \
  X(lua_Alloc, lua_getallocf, (lua_State *, void **)) \
  X(int, lua_getstack, (lua_State *, int, lua_Debug *)) \
  X(int, lua_getinfo, (lua_State *, const char *, lua_Debug *)) \
  X(lua_Hook, lua_gethook, (lua_State *)) \
  X(int, luaL_getmetafield, (lua_State *, int, const char *)) \
  X(int, luaL_argerror, (lua_State *, int, const char *)) \
  X(int, luaL_checkoption, (lua_State *, int, const char *, const char *const[])) \
  X(const char *, luaL_checklstring, (lua_State *, int, size_t *)) \
  X(const char *, luaL_optlstring, (lua_State *, int, const char *, size_t *)) \
  X(lua_Number, luaL_checknumber, (lua_State *, int)) \
  X(lua_Integer, luaL_optinteger, (lua_State *, int, lua_Integer)) \
  X(void, luaL_checkstack, (lua_State *, int, const char *)) \
  X(void, luaL_checktype, (lua_State *, int, int)) \
  X(void, luaL_checkany, (lua_State *, int)) \
  X(void, luaL_where, (lua_State *, int)) \
  LG_API_ERROR(X) \
  X(int, luaL_ref, (lua_State *, int)) \
  X(void, luaL_unref, (lua_State *, int, int)) \
  X(int, luaopen_base, (lua_State *)) \
  X(int, luaopen_table, (lua_State *)) \
  X(int, luaopen_os, (lua_State *)) \
  X(int, luaopen_string, (lua_State *)) \
  X(int, luaopen_math, (lua_State *))

#if LG_LUA == 501
#define LG_API_VERSION(X) \
  X(int, lua_isnumber, (lua_State *, int)) \
  X(void, lua_insert, (lua_State *, int)) \
  X(void, lua_remove, (lua_State *, int)) \
  X(void, lua_replace, (lua_State *, int)) \
  X(int, lua_equal, (lua_State *, int, int)) \
  X(int, lua_lessthan, (lua_State *, int, int)) \
  X(lua_Number, lua_tonumber, (lua_State *, int)) \
  X(lua_Integer, lua_tointeger, (lua_State *, int)) \
  X(size_t, lua_objlen, (lua_State *, int)) \
  X(void, lua_pushlstring, (lua_State *, const char *, size_t)) \
  X(void, lua_pushstring, (lua_State *, const char *)) \
  X(void, lua_rawgeti, (lua_State *, int, int)) \
  X(void, lua_rawseti, (lua_State *, int, int)) \
  X(void *, lua_newuserdata, (lua_State *, size_t)) \
  X(void, lua_getfenv, (lua_State *, int)) \
  X(int, lua_setfenv, (lua_State *, int)) \
  X(void, lua_call, (lua_State *, int, int)) \
  X(int, lua_pcall, (lua_State *, int, int, int)) \
  X(int, lua_cpcall, (lua_State *, lua_CFunction, void *)) \
  X(int, lua_load, (lua_State *, lua_Reader, void *, const char *)) \
  X(int, lua_resume, (lua_State *, int)) \
  X(int, lua_gc, (lua_State *, int, int)) \
  X(int, lua_sethook, (lua_State *, lua_Hook, int, int)) \
  LG_API_51(X) LG_API_JIT(X) LG_API_JIT21(X)
#if LG_JIT
#define LG_API_51(X)
#define LG_API_JIT(X) \
  X(void, lua_close, (lua_State *)) \
  X(void, lua_setallocf, (lua_State *, lua_Alloc, void *)) \
  X(lua_State *, luaL_newstate, (void)) \
  X(lua_CFunction, lua_tocfunction, (lua_State *, int)) \
  X(int, luaopen_bit, (lua_State *)) \
  X(int, luaopen_jit, (lua_State *)) \
  X(int, luaopen_ffi, (lua_State *)) \
  X(int, luaopen_debug, (lua_State *)) \
  X(int, luaJIT_setmode, (lua_State *, int, int))
#else
#define LG_API_51(X) \
  X(lua_CFunction, lua_tocfunction, (lua_State *, int)) \
  X(lua_State *, lua_newstate, (lua_Alloc, void *)) \
  X(lua_Integer, luaL_checkinteger, (lua_State *, int))
#define LG_API_JIT(X)
#endif
#if LG_JIT == 21
#define LG_API_JIT21(X) X(lua_State *, lua_newstate, (lua_Alloc, void *))
#else
#define LG_API_JIT21(X)
#endif
#else /* 5.2 and later */
#define LG_API_VERSION(X) \
  X(int, lua_absindex, (lua_State *, int)) \
  X(lua_CFunction, lua_tocfunction, (lua_State *, int)) \
  X(int, lua_compare, (lua_State *, int, int, int)) \
  X(lua_Number, lua_tonumberx, (lua_State *, int, int *)) \
  X(lua_Integer, lua_tointegerx, (lua_State *, int, int *)) \
  X(const char *, lua_pushlstring, (lua_State *, const char *, size_t)) \
  X(const char *, lua_pushstring, (lua_State *, const char *)) \
  X(void, lua_len, (lua_State *, int)) \
  X(int, lua_load, (lua_State *, lua_Reader, void *, const char *, const char *)) \
  X(const char *, lua_setupvalue, (lua_State *, int, int)) \
  X(lua_Integer, luaL_checkinteger, (lua_State *, int)) \
  X(int, luaopen_coroutine, (lua_State *)) \
  LG_API_52(X) LG_API_53(X) LG_API_54(X)
#if LG_LUA == 502
#define LG_API_52(X) \
  X(int, lua_isnumber, (lua_State *, int)) \
  X(lua_State *, lua_newstate, (lua_Alloc, void *)) \
  X(void, lua_insert, (lua_State *, int)) \
  X(void, lua_remove, (lua_State *, int)) \
  X(void, lua_replace, (lua_State *, int)) \
  X(size_t, lua_rawlen, (lua_State *, int)) \
  X(void, lua_rawgeti, (lua_State *, int, int)) \
  X(void, lua_rawseti, (lua_State *, int, int)) \
  X(void *, lua_newuserdata, (lua_State *, size_t)) \
  X(void, lua_callk, (lua_State *, int, int, int, lua_CFunction)) \
  X(int, lua_pcallk, (lua_State *, int, int, int, int, lua_CFunction)) \
  X(int, lua_resume, (lua_State *, lua_State *, int)) \
  X(int, lua_gc, (lua_State *, int, int)) \
  X(int, lua_sethook, (lua_State *, lua_Hook, int, int)) \
  X(int, luaopen_bit32, (lua_State *))
#define LG_API_53(X)
#define LG_API_54(X)
#else /* 5.3 and later */
#define LG_API_52(X)
#define LG_API_53(X) \
  X(void, lua_rotate, (lua_State *, int, int)) \
  X(void, lua_copy, (lua_State *, int, int)) \
  X(int, lua_isinteger, (lua_State *, int)) \
  X(LG_RAWLEN, lua_rawlen, (lua_State *, int)) \
  X(int, lua_rawgeti, (lua_State *, int, lua_Integer)) \
  X(void, lua_rawseti, (lua_State *, int, lua_Integer)) \
  X(int, lua_geti, (lua_State *, int, lua_Integer)) \
  X(void, lua_seti, (lua_State *, int, lua_Integer)) \
  X(void, lua_callk, (lua_State *, int, int, lua_KContext, lua_KFunction)) \
  X(int, lua_pcallk, (lua_State *, int, int, int, lua_KContext, lua_KFunction)) \
  X(size_t, lua_stringtonumber, (lua_State *, const char *)) \
  X(void, lua_sethook, (lua_State *, lua_Hook, int, int)) \
  X(int, luaopen_utf8, (lua_State *))
#if LG_LUA == 503
#define LG_RAWLEN size_t
#define LG_API_54(X) \
  X(lua_State *, lua_newstate, (lua_Alloc, void *)) \
  X(void *, lua_newuserdata, (lua_State *, size_t)) \
  X(int, lua_resume, (lua_State *, lua_State *, int)) \
  X(int, lua_gc, (lua_State *, int, int))
#else
#define LG_RAWLEN lua_Unsigned
#define LG_API_54(X) \
  LG_API_NEWSTATE(X) \
  X(void *, lua_newuserdatauv, (lua_State *, size_t, int)) \
  X(int, lua_resume, (lua_State *, lua_State *, int, int *)) \
  X(int, lua_gc, (lua_State *, int, ...)) \
  X(int, lua_closethread, (lua_State *, lua_State *)) \
  X(int, luaL_typeerror, (lua_State *, int, const char *))
#if LG_LUA == 504
#define LG_API_NEWSTATE(X) X(lua_State *, lua_newstate, (lua_Alloc, void *))
#else
#define LG_API_NEWSTATE(X) \
  X(lua_State *, lua_newstate, (lua_Alloc, void *, unsigned)) \
  X(unsigned, luaL_makeseed, (lua_State *))
#endif
#endif
#endif
#endif
/* clang-format on */

/* What a test's driver asks for beside that. */
#ifndef LG_API_DRIVER
#define LG_API_DRIVER(X)
#endif

#define LG_API_ALL(X) LG_API_COMMON(X) LG_API_VERSION(X) LG_API_DRIVER(X)

#define LG_API_POINTER(ret, name, params) static ret(*name) params;
LG_API_ALL(LG_API_POINTER)
#undef LG_API_POINTER

/* Where each function's pointer goes. */
static const struct {
  const char *name;
  void *pointer;
} lg_api_entries[] = {
#define LG_API_ENTRY(ret, name, params) {#name, &name},
    LG_API_ALL(LG_API_ENTRY)
#undef LG_API_ENTRY
};

enum { LG_API_COUNT = sizeof lg_api_entries / sizeof lg_api_entries[0] };

typedef void *(*lg_lookup)(void *handle, const char *name);

/* Point every function at what the look-up finds in a loaded shared object. NULL; or the name of the first that is missing,
 * and then none has changed. */
static const char *lg_api_fill(lg_lookup lookup, void *handle) {
  void *found[LG_API_COUNT];
  for (int i = 0; i < LG_API_COUNT; i++) {
    found[i] = lookup(handle, lg_api_entries[i].name);
    if (found[i] == NULL) return lg_api_entries[i].name;
  }
  for (int i = 0; i < LG_API_COUNT; i++) memcpy(lg_api_entries[i].pointer, &found[i], sizeof found[i]);
  return NULL;
}

#include "lua_forms.h"

#endif
