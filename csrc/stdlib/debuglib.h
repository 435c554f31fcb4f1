/* debug's traceback and getinfo: what a script may know of its own functions and frames. Once per Lua version.
 *
 * Contract: C functions that hostile scripts call, each on the run's thread inside the guarded call. They give texts, numbers
 * and booleans only: no function, no variable, no table of anybody's. What is not the script's shows as a C function. Finding
 * a level takes time with its depth, and finding its name with the code of its caller; so the deadline is looked at between
 * two levels. */
#ifndef LG_STDLIB_DEBUGLIB_H
#define LG_STDLIB_DEBUGLIB_H

#include "baselib.h"
#include "strbuf.h"

/* The key in the registry of what the run has loaded, by name: package.loaded at first. */
static const char lg_modules[] = "modules";

/* The coroutine that a function of debug's is about: argument 1, if it is one; *arg is how many arguments that takes. */
static lua_State *lg_debugged(lua_State *L, int *arg) {
  *arg = lua_type(L, 1) == LUA_TTHREAD;
  return *arg ? lua_tothread(L, 1) : L;
}

/* Make a function of the library that is written in Lua look as C functions do. LuaJIT's have no lines. */
static void lg_hide_library(lua_Debug *ar) {
  if (*ar->what == 'C' || (ar->linedefined >= 0 && strcmp(ar->source, "=xpcall") != 0)) return;
  if (*ar->what == 't') return; /* 5.1's place of a lost tail call */
  ar->what = "C";
  ar->source = "=[C]";
#if LG_TELLS_SOURCE_LENGTH
  ar->srclen = 4;
#endif
  memcpy(ar->short_src, "[C]", 4);
  ar->currentline = ar->linedefined = ar->lastlinedefined = -1;
#if LG_INFO_PARAMETERS
  ar->nparams = 0;
  ar->isvararg = 1;
#endif
  ar->nups = 0;
}

/* ---- traceback ---- */

/* The last level that is the script's. Below a run's first function is the host's own, which called it. */
static int lg_last_level(lua_State *L, lua_State *of) {
  struct lg_state *st = lg_state_of(L);
  lua_Debug ar;
  int low = 1;
  int high = 1;
  for (; lua_getstack(of, high, &ar); high *= 2) {
    lg_poll(st, L);
    low = high;
  }
  while (low < high) {
    lg_poll(st, L);
    int middle = low + (high - low) / 2;
    if (lua_getstack(of, middle, &ar))
      low = middle + 1;
    else
      high = middle;
  }
  return of == st->L ? high - 2 : high - 1;
}

#if LG_NAMES_BY_MODULE
/* Push the name that the function at index `wanted` has in the table on top; 0 where it has none. */
static int lg_find_name(lua_State *L, int wanted, int levels) {
  if (levels == 0 || !lua_istable(L, -1)) return 0;
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    lg_poll(lg_state_of(L), L);
    if (lua_type(L, -2) == LUA_TSTRING) {
      if (lua_rawequal(L, wanted, -1)) {
        lua_pop(L, 1);
        return 1;
      }
      if (lg_find_name(L, wanted, levels - 1)) {
        lua_remove(L, -2);
        (void)lua_pushliteral(L, ".");
        lua_insert(L, -2);
        lua_concat(L, 3);
        return 1;
      }
    }
    lua_pop(L, 1);
  }
  return 0;
}

/* Push "in function 'name'" for a function that a library or the globals have by that name; 0 where none has. */
static int lg_push_library_name(lua_State *L, lua_Debug *ar) {
  int top = lua_gettop(L);
  lg_stack_for(L, LUA_MINSTACK, "not enough stack");
  (void)lua_getinfo(L, "f", ar);
#if LG_TRACE_NAMES_C_ONLY
  (void)lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
#else
  (void)lua_getfield(L, LUA_REGISTRYINDEX, lg_modules);
#endif
  int found = lg_find_name(L, top + 1, 2);
  if (found) {
    const char *name = lua_tostring(L, -1);
    (void)lua_pushfstring(L, "in function '%s'", strncmp(name, "_G.", 3) == 0 ? name + 3 : name);
    lua_replace(L, top + 1);
  }
  lua_settop(L, top + found);
  return found;
}
#else
static int lg_push_library_name(lua_State *L, lua_Debug *ar) {
  (void)L;
  (void)ar;
  return 0;
}
#endif

/* Push what a traceback calls the function of a level. */
static void lg_push_function_name(lua_State *L, lua_Debug *ar) {
  int is_c = *ar->what == 'C' || *ar->what == 't';
  if (LG_TRACE_NAMES_FIRST && lg_push_library_name(L, ar)) return;
  if (ar->namewhat != NULL && *ar->namewhat != '\0')
    (void)lua_pushfstring(L, "in %s '%s'", LG_TELLS_NAME_KIND ? ar->namewhat : "function", ar->name);
  else if (*ar->what == 'm')
    (void)lua_pushliteral(L, "in main chunk");
  else if (!LG_TRACE_NAMES_FIRST && (is_c || !LG_TRACE_NAMES_C_ONLY) && lg_push_library_name(L, ar))
    return;
  else if (is_c)
    (void)lua_pushstring(L, LG_TEXT_TRACE_C);
  else
    (void)lua_pushfstring(L, "in function <%s:%d>", ar->short_src, ar->linedefined);
}

/* Add one level to the text. */
static void lg_add_level(struct lg_strbuf *b, lua_State *of, lua_Debug *ar) {
  lua_State *L = b->L;
  ar->namewhat = NULL;
  LG_NOT_A_TAIL_CALL(ar);
  (void)lua_getinfo(of, LG_TELLS_TAIL_CALLS ? "Slnt" : "Sln", ar);
  lg_hide_library(ar);
  if (ar->currentline > 0)
    (void)lua_pushfstring(L, "\n\t%s:%d: ", ar->short_src, ar->currentline);
  else
    (void)lua_pushfstring(L, "\n\t%s: ", ar->short_src);
  lg_sb_addvalue(b);
  lg_push_function_name(L, ar);
  lg_sb_addvalue(b);
#if LG_TELLS_TAIL_CALLS
  if (ar->istailcall) lg_sb_add(b, "\n\t(...tail calls...)", 20);
#endif
}

/* The levels that a traceback leaves out: from *begin on, which may lie behind the last. Where it goes on. */
static int64_t lg_left_out(int64_t start, int64_t last, int64_t *begin) {
  enum { LG_SHOWN = LG_TRACE_FIRST + LG_TRACE_LAST };
#if LG_TRACE_NAMES_C_ONLY
  *begin = last > LG_SHOWN && start < LG_TRACE_FIRST ? LG_TRACE_FIRST - 1 : INT64_MAX;
  return last - LG_TRACE_LAST;
#elif LG_NAMES_BY_MODULE
  *begin = last - start > LG_SHOWN ? start + LG_TRACE_FIRST : INT64_MAX;
  return last - LG_TRACE_LAST + 1;
#else
  *begin = start > LG_TRACE_FIRST ? start : LG_TRACE_FIRST;
  if (last < *begin + LG_TRACE_LAST + 1) *begin = INT64_MAX;
  return last - LG_TRACE_LAST + 1;
#endif
}

/* Push the message, if there is one at index `message`, and the levels of `of` from `level` on. */
static void lg_push_traceback(lua_State *L, lua_State *of, int message, int level) {
  struct lg_strbuf b;
  lua_Debug ar;
  int64_t begin = 0;
  int64_t last = lg_last_level(L, of);
  int64_t resume = lg_left_out(level, last, &begin);
  lg_sb_init(L, &b);
  if (message != 0) {
    lua_pushvalue(L, message);
    lg_sb_addvalue(&b);
    lg_sb_addchar(&b, '\n');
  }
  lg_sb_add(&b, "stack traceback:", 16);
  for (int64_t at = level; at <= last && lua_getstack(of, (int)at, &ar); at++) {
    lg_poll(lg_state_of(L), L);
    if (at != begin) {
      lg_add_level(&b, of, &ar);
      continue;
    }
    lg_sb_add(&b, "\n\t...", 5);
#if LG_TRACE_COUNTS
    (void)lua_pushfstring(L, "\t(skipping %d levels)", (int)(resume - begin - 1));
    lg_sb_addvalue(&b);
#endif
    at = resume - 1;
  }
  lg_sb_push(&b);
}

/* debug.traceback([thread,] [message [, level]]) */
static int lg_traceback(lua_State *L) {
  int arg = 0;
  lua_State *of = lg_debugged(L, &arg);
  int missing = LG_TRACE_TAKES_NIL ? lua_isnoneornil(L, arg + 1) : lua_isnone(L, arg + 1);
  if (!missing && !lua_isstring(L, arg + 1)) {
    lua_settop(L, arg + 1);
    return 1;
  }
  int level = L == of;
#if LG_TRACE_TAKES_NIL
  level = (int)luaL_optinteger(L, arg + 2, level);
#elif LG_INFO_LEVELS_FIRST
  level = lg_optint(L, arg + 2, level);
#else
  if (lua_tonumber(L, arg + 2) != 0 || lua_type(L, arg + 2) == LUA_TNUMBER) level = (int)lua_tointeger(L, arg + 2);
#endif
  lg_push_traceback(L, of, missing ? 0 : arg + 1, level);
  return 1;
}

/* ---- getinfo ---- */

enum { LG_INFO_KEPT = 8 }; /* S, l, n, r, t, u and NUL */

/* Put each of the options into `kept` once, but for those that would give a function or a table, which would also put them on a
 * stack. 0 when one is none. */
static int lg_info_options(lua_State *L, int arg, const char *options, char kept[LG_INFO_KEPT]) {
  size_t n = 0;
  luaL_argcheck(L, !LG_INFO_REFUSES_MARK || options[0] != '>', arg, "invalid option '>'");
  for (size_t i = 0; options[i] != '\0'; i++) {
    if (i % LG_CHUNK == LG_CHUNK - 1) lg_poll(lg_state_of(L), L);
    if (strchr(LG_INFO_OPTIONS, options[i]) == NULL) return 0;
    if (options[i] == 'f' || options[i] == 'L' || strchr(kept, options[i]) != NULL) continue;
    kept[n++] = options[i];
    kept[n] = '\0';
  }
  return 1;
}

static void lg_info_int(lua_State *L, const char *name, int value) {
  lua_pushinteger(L, value);
  lua_setfield(L, -2, name);
}

static void lg_info_text(lua_State *L, const char *name, const char *value) {
  (void)lua_pushstring(L, value);
  lua_setfield(L, -2, name);
}

/* Fill the table on top with what options ask for. */
static void lg_fill_info(lua_State *L, const lua_Debug *ar, const char *options) {
  if (strchr(options, 'S') != NULL) {
#if LG_TELLS_SOURCE_LENGTH
    (void)lua_pushlstring(L, ar->source, ar->srclen);
    lua_setfield(L, -2, "source");
#else
    lg_info_text(L, "source", ar->source);
#endif
    lg_info_text(L, "short_src", ar->short_src);
    lg_info_int(L, "linedefined", ar->linedefined);
    lg_info_int(L, "lastlinedefined", ar->lastlinedefined);
    lg_info_text(L, "what", ar->what);
  }
  if (strchr(options, 'l') != NULL) lg_info_int(L, "currentline", ar->currentline);
  if (strchr(options, 'n') != NULL) {
    lg_info_text(L, "name", ar->name);
    lg_info_text(L, "namewhat", ar->namewhat);
  }
  if (strchr(options, 'u') != NULL) {
    lg_info_int(L, "nups", ar->nups);
#if LG_INFO_PARAMETERS
    lg_info_int(L, "nparams", ar->nparams);
    lua_pushboolean(L, ar->isvararg);
    lua_setfield(L, -2, "isvararg");
#endif
  }
#if LG_TELLS_TAIL_CALLS
  if (strchr(options, 't') != NULL) {
    lua_pushboolean(L, ar->istailcall);
    lua_setfield(L, -2, "istailcall");
#if LG_TELLS_EXTRA_ARGUMENTS
    lg_info_int(L, "extraargs", ar->extraargs);
#endif
  }
#endif
#if LG_TELLS_TRANSFERS
  if (strchr(options, 'r') != NULL) {
    lg_info_int(L, "ftransfer", (int)ar->ftransfer);
    lg_info_int(L, "ntransfer", (int)ar->ntransfer);
  }
#endif
}

/* Whether argument `arg` is a level, which it returns by *level; it complains about what is neither level nor function. */
static int lg_info_level(lua_State *L, int arg, int *level) {
#if LG_INFO_WANTS_NUMBER
  if (lua_isfunction(L, arg)) return 0;
  *level = (int)luaL_checkinteger(L, arg);
#else
  int isnum = 0;
  (void)lua_tonumberx(L, arg, &isnum);
  if (!isnum && lua_isfunction(L, arg)) return 0;
  luaL_argcheck(L, isnum, arg, "function or level expected");
  *level = (int)lua_tointeger(L, arg);
#endif
  return 1;
}

/* Find a level that is the script's. */
static int lg_info_stack(lua_State *L, lua_State *of, int level, lua_Debug *ar) {
  if (of == lg_state_of(L)->L && level >= 0 && !lua_getstack(of, level < INT_MAX ? level + 1 : level, ar)) return 0;
  return lua_getstack(of, level, ar);
}

#if LG_INFO_BY_STOCK
/* Add to the table on top how many parameters the function has that argument `arg` is, or that is at a level: the stock getinfo
 * says it, for which a level of this coroutine is one more. Of what is no Lua function of the script's only this is known. */
static void lg_stock_parameters(lua_State *L, lua_State *of, int arg, const lua_Debug *ar) {
  static const char *const fields[] = {"nparams", "isvararg"};
  int is_c = *ar->what == 'C';
  int info = lua_gettop(L);
  if (!is_c) {
    (void)lua_rawgeti(L, LUA_REGISTRYINDEX, lg_state_of(L)->refs.info);
    if (arg == 2) lua_pushvalue(L, 1);
    if (lua_isfunction(L, arg))
      lua_pushvalue(L, arg);
    else
      lua_pushinteger(L, lua_tointeger(L, arg) + (of == L));
    (void)lua_pushliteral(L, "u");
    lua_call(L, arg + 1, 1);
  }
  for (int i = 0; i < 2; i++) {
    if (!is_c)
      (void)lua_getfield(L, info + 1, fields[i]);
    else if (i == 0)
      lua_pushinteger(L, 0);
    else
      lua_pushboolean(L, 1);
    lua_setfield(L, info, fields[i]);
  }
  lua_settop(L, info);
}
#endif

/* debug.getinfo([thread,] function or level [, options]) */
static int lg_getinfo(lua_State *L) {
  int arg = 0;
  int level = 0;
  char options[2 + LG_INFO_KEPT] = ">S"; /* S tells whose it is */
  char *given = options + 2;
  lua_Debug ar;
  memset(&ar, 0, sizeof ar);
  lua_State *of = lg_debugged(L, &arg);
  int valid = lg_info_options(L, arg + 2, luaL_optlstring(L, arg + 2, LG_INFO_OPTIONS, NULL), given);
  int is_level = lg_info_level(L, arg + 1, &level);
  if (is_level && !lg_info_stack(L, of, level, &ar)) {
    lua_pushnil(L);
    return 1;
  }
  luaL_argcheck(L, valid, arg + 2, "invalid option");
  if (is_level) {
    (void)lua_getinfo(of, options + 1, &ar);
  } else {
    lua_pushvalue(L, arg + 1);
    (void)lua_getinfo(L, options, &ar);
  }
  lg_hide_library(&ar);
  lua_createtable(L, 0, 14);
  lg_fill_info(L, &ar, given);
#if LG_INFO_BY_STOCK
  if (strchr(given, 'u') != NULL) lg_stock_parameters(L, of, arg + 1, &ar);
#endif
  return 1;
}

/* Push debug for this run. */
static void lg_open_debug(lua_State *L) {
  lua_createtable(L, 0, 2);
  lg_offer_c(L, lua_gettop(L), "getinfo", lg_getinfo);
  lg_offer_c(L, lua_gettop(L), "traceback", lg_traceback);
}

#endif
