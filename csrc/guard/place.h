/* Where a script is: its line, and its call stack as text. Once per Lua version.
 *
 * Contract: on the run's thread, inside its protected call. All text goes to the state's buffers, which are the C library's
 * memory: without memory less is kept, and nothing raises for it. */
#ifndef LG_PLACE_H
#define LG_PLACE_H

#include <stdio.h>
#include <string.h>

#include "../lua/lua_api.h"
#include "state.h"

#if LG_TELLS_TAIL_CALLS
#define LG_NOT_A_TAIL_CALL(ar) ((ar)->istailcall = 0)
#else
#define LG_NOT_A_TAIL_CALL(ar) ((void)(ar))
#endif

/* The run is being ended. */
static inline int lg_is_interrupted(const struct lg_state *st) {
  int reason = atomic_load_explicit(&st->ending.flag, memory_order_relaxed);
  return reason > LG_INT_NONE && reason != LG_INT_TICK;
}

/* The first level with a line, from the function that raised. */
static int lg_current_line(lua_State *L, int level) {
  lua_Debug ar;
  for (; lua_getstack(L, level, &ar); level++) {
    if (lua_getinfo(L, "Sl", &ar) && ar.currentline > 0) return ar.currentline;
  }
  return 0;
}

/* One level of the call stack, as luaL_traceback words it where it names things. */
static void lg_trace_level(struct lg_buf *b, const lua_Debug *ar) {
  char line[LUA_IDSIZE + 160];
  int n = ar->currentline > 0 ? snprintf(line, sizeof line, "\n\t%s:%d: in ", ar->short_src, ar->currentline)
                              : snprintf(line, sizeof line, "\n\t%s: in ", ar->short_src);
  (void)lg_buf_append(b, line, (size_t)n);
  if (ar->namewhat != NULL && *ar->namewhat != '\0')
    n = snprintf(line, sizeof line, "%s '%.80s'", LG_TELLS_NAME_KIND ? ar->namewhat : "function", ar->name);
  else if (*ar->what == 'm')
    n = snprintf(line, sizeof line, "main chunk");
  else
    n = snprintf(line, sizeof line, *ar->what == 'C' || *ar->what == 't' ? "?" : "function <%s:%d>", ar->short_src,
                 ar->linedefined);
  (void)lg_buf_append(b, line, (size_t)n);
#if LG_TELLS_TAIL_CALLS
  if (ar->istailcall) (void)lg_buf_append(b, "\n\t(...tail calls...)", 20);
#endif
}

/* The innermost levels from `level` on, as lua_getinfo() is to look at them. luaL_traceback shows the outermost too:
 * finding them takes a second where a recursion ran wild, allocates, and in LuaJIT it shows the addresses of C
 * functions. */
static void lg_keep_traceback(lua_State *L, struct lg_state *st, int level, const char *what) {
  enum { LG_TRACEBACK_LEVELS = 40 };
  lua_Debug ar;
  int named = strchr(what, 'n') != NULL;
  st->answer.traceback.len = 0;
  (void)lg_buf_append(&st->answer.traceback, "stack traceback:", 16);
  int last = level + LG_TRACEBACK_LEVELS - 1;
  for (; level <= last && lua_getstack(L, level, &ar); level++) {
    if (named && lg_is_interrupted(st)) return; /* naming a function reads all its code up to the call */
    ar.namewhat = NULL;
    LG_NOT_A_TAIL_CALL(&ar);
    if (lua_getinfo(L, what, &ar)) lg_trace_level(&st->answer.traceback, &ar);
  }
  if (lua_getstack(L, level, &ar)) (void)lg_buf_append(&st->answer.traceback, "\n\t...", 5);
}

/* Note where the run was when its end was first raised. No names: finding them takes time that it has not. */
static void lg_keep_place(lua_State *L, struct lg_state *st) {
  st->rp->line = lg_current_line(L, 0);
  lg_keep_traceback(L, st, 0, LG_TELLS_TAIL_CALLS ? "Slt" : "Sl");
}

#endif
