/* print, log and warn: what a script says, as log entries of its run. Once per Lua version.
 *
 * Contract: C functions that hostile scripts call, each on the run's thread inside the guarded call. */
#ifndef LG_STDLIB_PRINT_H
#define LG_STDLIB_PRINT_H

#include "logs.h"
#include "tostring.h"

/* Record one log entry whose message is the strings at first..top joined by tabs; of a line that has
 * begun, `begun` (may be NULL) stands before them. */
static void lg_log_entry(lua_State *L, struct lg_state *st, const char *level, size_t level_len, int first,
                         const struct lg_buf *begun) {
  int top = lua_gettop(L);
  size_t total = begun == NULL ? 0 : begun->len;
  for (int i = first; i <= top; i++) total += lua_rawlen(L, i) + (i > first);
  struct lg_buf entry;
  if (!lg_log_begin(st, level, level_len, total, &entry)) return;
  if (begun != NULL) (void)lg_buf_append(&entry, begun->data, begun->len);
  for (int i = first; i <= top; i++) {
    size_t n = 0;
    const char *s = lua_tolstring(L, i, &n);
    if (i > first) (void)lg_buf_append(&entry, "\t", 1);
    (void)lg_buf_append(&entry, s, n);
  }
  lg_log_end(st, total, &entry);
}

/* Put the text of the argument at idx in its place. Before 5.3 a __tostring may return anything. */
static void lg_make_text(lua_State *L, int idx, const char *to) {
  (void)lg_tostring(L, idx, NULL);
  if (lua_tolstring(L, -1, NULL) == NULL) luaL_error(L, "'tostring' must return a string to '%s'", to);
  lua_replace(L, idx);
}

#if LG_PRINT_CALLS_TOSTRING
/* Push the script's own tostring, a global that it has set; 0 where that is still the library's. It is read without metamethods:
 * the globals of a run lack what the run does not mention. */
static int lg_push_own_tostring(lua_State *L) {
#if LG_HAS_GLOBALSINDEX
  lua_pushvalue(L, LUA_GLOBALSINDEX);
#else
  (void)lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
#endif
  (void)lua_pushliteral(L, "tostring");
  (void)lua_rawget(L, -2);
  lua_remove(L, -2);
  if (!lua_isnil(L, -1) && lua_tocfunction(L, -1) != lg_base_tostring) return 1;
  lua_pop(L, 1);
  return 0;
}

/* Put what the function on top (stays) makes of the argument at idx in its place. */
static void lg_make_own_text(lua_State *L, int idx) {
  lg_c_stack(L);
  lua_pushvalue(L, -1);
  lua_pushvalue(L, idx);
  lua_call(L, 1, 1);
  if (lua_tolstring(L, -1, NULL) == NULL) luaL_error(L, "'tostring' must return a string to 'print'");
  lua_replace(L, idx);
}
#else
static int lg_push_own_tostring(lua_State *L) {
  (void)L;
  return 0;
}

static void lg_make_own_text(lua_State *L, int idx) {
  (void)L;
  (void)idx;
}
#endif

static int lg_print(lua_State *L) {
  struct lg_state *st = lg_state_of(L);
  int n = lua_gettop(L);
  int own = lg_push_own_tostring(L);
  for (int i = 1; i <= n; i++) {
    lg_poll(st, L);
    if (own)
      lg_make_own_text(L, i);
    else
      lg_make_text(L, i, "print");
  }
  lua_settop(L, n);
  size_t begin = st->answer.logs.len;
  struct lg_line *line = &st->answer.lines[LG_LINE_OUT]; /* what io.write() has begun, print() ends */
  if (!line->dropped) lg_log_entry(L, st, "print", 5, 1, &line->text);
  line->dropped = 0;
  line->text.len = 0;
  lg_log_hand_on(L, st, begin);
  return 0;
}

/* log(level, ...): level is any short string, the rest are joined as print() does. */
static int lg_log(lua_State *L) {
  struct lg_state *st = lg_state_of(L);
  size_t n = 0;
  const char *level = luaL_checklstring(L, 1, &n);
  luaL_checkany(L, 2);
  luaL_argcheck(L, n <= 32, 1, "a level has at most 32 bytes");
  int last = lua_gettop(L);
  for (int i = 2; i <= last; i++) {
    lg_poll(st, L);
    lg_make_text(L, i, "log");
  }
  size_t begin = st->answer.logs.len;
  lg_log_entry(L, st, level, n, 2, NULL);
  lg_log_hand_on(L, st, begin);
  return 0;
}

#if LG_HAS_WARN
/* warn: its pieces make one entry, of the level "warning". A piece alone that begins with '@' is an order: "@on" and "@off" are
 * known. Warnings are off where a run begins, as they are in stock Lua. */
static int lg_warn(lua_State *L) {
  struct lg_state *st = lg_state_of(L);
  int n = lua_gettop(L);
  for (int i = 1; i == 1 || i <= n; i++) {
    lg_poll(st, L);
    (void)luaL_checkstring(L, i);
  }
  const char *first = lua_tostring(L, 1);
  if (n == 1 && *first == '@') {
    if (strcmp(first, "@on") == 0) st->changed |= LG_CHANGED_WARNINGS;
    if (strcmp(first, "@off") == 0) st->changed &= ~(unsigned)LG_CHANGED_WARNINGS;
    return 0;
  }
  if ((st->changed & LG_CHANGED_WARNINGS) == 0) return 0;
  lua_concat(L, n);
  size_t begin = st->answer.logs.len;
  lg_log_entry(L, st, "warning", strlen("warning"), 1, NULL);
  lg_log_hand_on(L, st, begin);
  return 0;
}
#endif

#endif
