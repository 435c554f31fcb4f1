/* What is kept of a run that failed: message, line, traceback, and who was to blame. Once per Lua version.
 *
 * Contract: on the run's thread, inside its protected call. All text goes to the state's buffers, which are the C
 * library's memory: without memory less is kept, and nothing raises for it. */
#ifndef LG_FAILURE_H
#define LG_FAILURE_H

#include "host_call.h"

enum { LG_MESSAGE_MAX = 1 << 16 };

static void lg_keep_text(struct lg_buf *b, const char *s, size_t n) {
  b->len = 0;
  (void)lg_buf_append(b, s, lg_utf8_cut(s, n, LG_MESSAGE_MAX));
}

/* Keep the text of the error value at idx. A table's __tostring is the script's code: it runs under the limits. */
static void lg_keep_message(lua_State *L, struct lg_state *st, int idx) {
  size_t n = 0;
  int type = lua_type(L, idx);
  const char *s = NULL;
  if (type == LUA_TSTRING || type == LUA_TNUMBER) {
    s = lua_tolstring(L, idx, &n);
  } else if (luaL_getmetafield(L, idx, "__tostring")) {
    lua_pushvalue(L, idx);
    if (lua_pcall(L, 1, 1, 0) == LUA_OK && lua_type(L, -1) == LUA_TSTRING) s = lua_tolstring(L, -1, &n);
  }
  if (s != NULL) {
    lg_keep_text(&st->answer.message, s, n);
    return;
  }
  char text[64];
  int len = snprintf(text, sizeof text, "(error object is a %s value)", lua_typename(L, type));
  lg_keep_text(&st->answer.message, text, (size_t)len);
}

/* Note what the error at index 1 was raised by. */
static void lg_keep_cause(lua_State *L, struct lg_state *st) {
  if (st->error.kind == LG_ERROR_NONE) return;
  (void)lua_rawgeti(L, LUA_REGISTRYINDEX, st->error.ref);
  if (!lua_rawequal(L, 1, -1)) st->error.kind = LG_ERROR_NONE;
  lua_pop(L, 1);
}

/* Whether any memory was refused in this run. */
static int lg_was_refused(const struct lg_state *st) { return st->meter.refused > 0 || st->meter.system_refused; }

/* Who refused the memory that Lua ran out of. */
static int lg_memory_outcome(const struct lg_state *st) {
  return st->meter.refused > 0 && !st->meter.system_refused ? LG_RUN_MEMORY : LG_RUN_NO_MEMORY;
}

#if LG_ERROR_DROPS_TEXT
/* Whether a library function raised the error, and had no memory for its complaint: luaL_error() goes on without one,
 * asks once more at most, for what it takes in its place, and raises that; Lua may ask once, to call the handler. A
 * complaint that has its words asks more often. */
static int lg_has_lost_words(lua_State *L, const struct lg_state *st) {
  lua_Debug ar;
  const struct lg_meter *m = &st->meter;
  if (st->error.kind != LG_ERROR_NONE || m->allocation_count - m->refused_at > 2) return 0;
  if (!lua_getstack(L, 1, &ar) || !lua_getinfo(L, "f", &ar)) return 0;
  const void *raiser = lua_iscfunction(L, -1) ? lua_topointer(L, -1) : NULL;
  lua_pop(L, 1);
  return raiser != NULL && raiser != st->refs.raisers[0] && raiser != st->refs.raisers[1];
}
#endif

/* Whether the error at index 1 tells of refused memory: it is Lua's text for that, or ends with it behind a place, as
 * a script puts it there that hands on what it caught. */
static int lg_tells_of_memory(lua_State *L) {
  static const char end[] = ": not enough memory";
  size_t n = 0;
  if (lg_is_memory_error(L, 1)) return 1;
#if LG_ERROR_DROPS_TEXT
  if (lg_has_lost_words(L, lg_state_of(L))) return 1;
#endif
  const char *s = lua_type(L, 1) == LUA_TSTRING ? lua_tolstring(L, 1, &n) : NULL;
  return s != NULL && n >= sizeof end - 1 && memcmp(s + n - (sizeof end - 1), end, sizeof end - 1) == 0;
}

/* Message handler of the whole run: takes down what is known while the stack still stands. */
static int lg_on_error(lua_State *L) {
  struct lg_state *st = lg_state_of(L);
  if (lg_is_interrupted(st)) return 1;
  if (lg_was_refused(st) && lg_tells_of_memory(L)) {
    st->rp->outcome = lg_memory_outcome(st);
    st->rp->line = lg_current_line(L, 1);
    return 1;
  }
  st->rp->outcome = LG_RUN_ERROR;
  st->rp->line = lg_current_line(L, 1);
  lg_keep_cause(L, st);
  lg_keep_message(L, st, 1);
  if (lg_is_interrupted(st)) return 1;
  lg_keep_traceback(L, st, 1, LG_TELLS_TAIL_CALLS ? "Slnt" : "Sln");
  lua_settop(L, 1);
  return 1;
}

/* The line in "name:LINE: message", where Lua has shortened a long name to "..." and its end. */
static int lg_syntax_line(const char *name, const char *message) {
  size_t n = strlen(name + 1); /* past '@' */
  if (n > LG_SYNTAX_NAME_MOST) n = LG_SYNTAX_NAME_CUT;
  if (strlen(message) <= n || message[n] != ':') return 0;
  int line = 0;
  for (const char *p = message + n + 1; *p >= '0' && *p <= '9' && line < 100000000; p++) line = line * 10 + (*p - '0');
  return line;
}

#endif
