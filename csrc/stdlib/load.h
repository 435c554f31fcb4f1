/* load and loadstring, and the reader that every text is compiled through. Once per Lua version.
 *
 * Contract: C functions that hostile scripts call, each on the run's thread inside the guarded call. */
#ifndef LG_STDLIB_LOAD_H
#define LG_STDLIB_LOAD_H

#include <string.h>

#include "../guard/cstack.h"
#include "../guard/poll.h"

struct lg_load_source {
  struct lg_state *st;
  const char *text;
  size_t len;
  int started;
  const char *mode; /* load()'s, where it allows no text; else NULL */
};

/* Bytes of source between two looks at the deadline. The compilers walk lists that grow with the source for each "elseif"
 * or "break", so a piece may cost thousands of times what its length suggests. */
#define LG_PIECE ((size_t)512)

/* lua_load's reader over a text in memory, a piece at a time so that a huge source cannot outlive its deadline. The
 * caller has refused binary chunks already. */
static const char *lg_read_text(lua_State *L, void *data, size_t *size) {
  struct lg_load_source *src = data;
  lg_poll(src->st, L);
  size_t n = src->len > LG_PIECE ? LG_PIECE : src->len;
  const char *piece = src->text;
  src->text += n;
  src->len -= n;
  *size = n;
  return n == 0 ? NULL : piece;
}

/* Skip what only a file has: a byte order mark, and a first line that begins with '#'. The end of that line stays, so that
 * lines keep their numbers. */
static void lg_skip_head(struct lg_load_source *src) {
  if (src->len >= 3 && memcmp(src->text, "\xEF\xBB\xBF", 3) == 0) {
    src->text += 3;
    src->len -= 3;
  }
  if (src->len == 0 || src->text[0] != '#') return;
  const char *end = memchr(src->text, '\n', src->len);
  size_t skipped = end == NULL ? src->len : (size_t)(end - src->text);
  src->text += skipped;
  src->len -= skipped;
}

/* Push the refusal of a text by load()'s mode. */
static void lg_refuse_text(lua_State *L, const char *mode) { (void)lua_pushfstring(L, LG_TEXT_WRONG_MODE, mode); }

/* The mode that load() and loadfile() have at idx, where it allows no text, else NULL. */
static const char *lg_other_mode(lua_State *L, int idx) {
  const char *mode = LG_LOAD_IS_NEW ? luaL_optlstring(L, idx, "t", NULL) : "t";
  luaL_argcheck(L, !LG_LOAD_BARS_FIXED || strchr(mode, 'B') == NULL, idx, "invalid mode");
  return strchr(mode, 't') == NULL ? mode : NULL;
}

/* load()'s reader over a script's function: stack slot 1 is the function, 5 keeps the text it gave last. */
static const char *lg_read_function(lua_State *L, void *data, size_t *size) {
  struct lg_load_source *src = data;
  if (src->len > 0) return lg_read_text(L, src, size);
  lg_poll(src->st, L);
  lg_stack_for(L, 2, "too many nested functions");
  lua_pushvalue(L, 1);
  lua_call(L, 0, 1);
  int at_end = lua_isnil(L, -1);
  if (!at_end && !lua_isstring(L, -1)) {
    luaL_error(L, "reader function must return a string");
    return NULL;
  }
  if (at_end) {
    if (src->mode != NULL && !src->started) {
      lg_refuse_text(L, src->mode);
      lua_error(L);
    }
    lua_pop(L, 1);
    *size = 0;
    return NULL;
  }
  lua_replace(L, 5); /* anchors the text until the next call */
  src->text = lua_tolstring(L, 5, &src->len);
  if (!src->started && (src->len != 0 || src->mode != NULL)) {
    src->started = 1;
    if (src->len != 0 && src->text[0] == '\033') luaL_error(L, "attempt to load a binary chunk (only text is allowed)");
    if (src->mode != NULL) {
      lg_refuse_text(L, src->mode);
      lua_error(L);
    }
  }
  return lg_read_text(L, src, size);
}

/* The name of a chunk that is named by its own source, cut to more than any message shows of it: the compiler copies the
 * whole name, and so the whole source. (Of "@..." messages show the end.) */
static const char *lg_short_name(const char *name, char *buffer, size_t size) {
  if (name[0] == '@' || memchr(name, '\0', size) != NULL) return name;
  memcpy(buffer, name, size - 1);
  buffer[size - 1] = '\0';
  return buffer;
}

/* load(chunk [, name [, mode [, env]]]), of a text or of a function that gives one: source only. What is loaded has the globals
 * of the coroutine that loads it. */
static int lg_load_chunk(lua_State *L, int is_text) {
  struct lg_state *st = lg_state_of(L);
  int has_env = !lua_isnone(L, 4);
  struct lg_load_source src = {st, NULL, 0, 0, NULL};
  char short_name[512];
  int status = 0;
  lg_may_call_back(L); /* the reader, and as an error handler itself: for each error while it compiles */
  if (lua_isnone(L, 1)) luaL_checktype(L, 1, LUA_TFUNCTION);
  if (LG_LOAD_NAME_FIRST) (void)luaL_optlstring(L, 2, NULL, NULL);
  src.mode = lg_other_mode(L, 3);
  lua_settop(L, 5);
  if (is_text) {
    src.text = lua_tolstring(L, 1, &src.len);
    const char *name = lg_short_name(luaL_optlstring(L, 2, src.text, NULL), short_name, sizeof short_name);
    if (src.len > 0 && src.text[0] == '\033') {
      lua_pushnil(L);
      lua_pushliteral(L, "attempt to load a binary chunk (only text is allowed)");
      return 2;
    }
    if (src.mode != NULL) {
      lua_pushnil(L);
      lg_refuse_text(L, src.mode);
      return 2;
    }
    status = lg_load_with(L, lg_read_text, &src, name);
  } else {
    const char *name = luaL_optlstring(L, 2, "=(load)", NULL);
    luaL_checktype(L, 1, LUA_TFUNCTION);
    status = lg_load_with(L, lg_read_function, &src, name);
  }
  if (lg_is_interrupted(st)) return lg_raise_interrupt(L);
  if (status != LUA_OK) {
    lua_pushnil(L);
    lua_insert(L, -2);
    return 2;
  }
  if (has_env && LG_LOAD_IS_NEW && (!LG_HAS_FENV || lua_istable(L, 4))) {
    lua_pushvalue(L, 4);
    lg_set_function_globals(L, -2);
  }
  return 1;
}

/* 5.1 takes functions only, the others texts and numbers too. */
static int lg_load(lua_State *L) { return lg_load_chunk(L, LG_LOAD_IS_NEW && lua_isstring(L, 1)); }

#if LG_HAS_LOADSTRING
/* loadstring(text [, name]), which is load() itself where that takes texts. */
static int lg_loadstring(lua_State *L) {
  if (LG_LOAD_IS_NEW) return lg_load(L);
  (void)luaL_checklstring(L, 1, NULL);
  lua_settop(L, 2);
  return lg_load_chunk(L, 1);
}
#endif

#endif
