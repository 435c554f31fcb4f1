/* The files of the host as the library reaches them: through functions that the host gives the state. Once per Lua version.
 *
 * Contract: C functions that hostile scripts call, each on the run's thread inside the guarded call. The host alone decides
 * what a path stands for; here a path is a text. A host that gives no files gives none of these functions. */
#ifndef LG_STDLIB_FILES_H
#define LG_STDLIB_FILES_H

#include <errno.h>
#include <string.h>

#include "../guard/host_call.h"
#include "load.h"

/* The number of the host's function of that name, or -1. */
static int lg_host_index(const struct lg_state *st, const char *name) {
  for (int i = 0; i < st->host.function_count; i++) {
    if (strcmp(st->host.function_names[i], name) == 0) return i;
  }
  return -1;
}

static int lg_has_files(const struct lg_state *st) { return lg_host_index(st, "fs.open") >= 0; }

/* Call the host's function with the n values on top (popped). Pushes its reply, a table: 1 when its values are the answer, 0 when
 * it holds false, a message and an error number. */
static int lg_ask(lua_State *L, const char *name, int n) {
  lg_push_function(L, lg_host_index(lg_state_of(L), name));
  lua_insert(L, -n - 1);
  lua_call(L, n, 1);
  (void)lua_rawgeti(L, -1, 1);
  int refused = lua_type(L, -1) == LUA_TBOOLEAN && !lua_toboolean(L, -1);
  lua_pop(L, 1);
  return !refused;
}

/* Put the first value of the reply on top in its place. */
static void lg_answer(lua_State *L) {
  (void)lua_rawgeti(L, -1, 1);
  lua_remove(L, -2);
}

/* Return what a library function returns for the refusal on top: nil, a message and a number. */
static int lg_refused(lua_State *L) {
  lua_pushnil(L);
  (void)lua_rawgeti(L, -2, 2);
  (void)lua_rawgeti(L, -3, 3);
  return 3;
}

/* What C's library says of what a stream or a path cannot do. */
struct lg_errno {
  int number;
  const char *text;
};
static const struct lg_errno lg_bad_descriptor = {EBADF, "Bad file descriptor"};
static const struct lg_errno lg_illegal_seek = {ESPIPE, "Illegal seek"};
static const struct lg_errno lg_permission_denied = {EACCES, "Permission denied"};

/* Return the same as lg_refused() for such an error; `path` may be NULL. */
static int lg_failed(lua_State *L, const struct lg_errno *error, const char *path) {
  lua_pushnil(L);
  (void)lua_pushfstring(L, "%s%s%s", path == NULL ? "" : path, path == NULL ? "" : ": ", error->text);
  lua_pushinteger(L, error->number);
  return 3;
}

static int lg_os_remove(lua_State *L) {
  (void)luaL_checkstring(L, 1);
  lua_settop(L, 1);
  if (!lg_ask(L, "fs.remove", 1)) return lg_refused(L);
  lg_answer(L);
  return 1;
}

static int lg_os_rename(lua_State *L) {
  (void)luaL_checkstring(L, 1);
  (void)luaL_checkstring(L, 2);
  lua_pushvalue(L, 1);
  lua_pushvalue(L, 2);
  if (lg_ask(L, "fs.rename", 2)) {
    lg_answer(L);
    return 1;
  }
  (void)lg_refused(L);
  if (LG_RENAME_NAMES_FILE) {
    (void)lua_pushfstring(L, "%s: %s", lua_tostring(L, 1), lua_tostring(L, -2));
    lua_replace(L, -3);
  }
  return 3;
}

static int lg_os_tmpname(lua_State *L) {
  lua_settop(L, 0);
  if (lg_ask(L, "fs.tmpname", 0)) {
    lg_answer(L);
    return 1;
  }
  (void)lua_rawgeti(L, -1, 2);
  return luaL_error(L, "%s", lua_tostring(L, -1));
}

/* Compile the text on top, which is that of the file `path`; the function takes its place, or a message and 0. */
static int lg_load_file_text(lua_State *L, const char *path) {
  struct lg_state *st = lg_state_of(L);
  struct lg_load_source src = {st, NULL, 0, 0, NULL};
  src.text = lua_tolstring(L, -1, &src.len);
  lg_skip_head(&src);
  if (src.len > 0 && src.text[0] == '\033') {
    lua_pop(L, 1);
    (void)lua_pushliteral(L, "attempt to load a binary chunk (only text is allowed)");
    return 0;
  }
  (void)lua_pushfstring(L, "@%s", path);
  int status = lg_load_with(L, lg_read_text, &src, lua_tostring(L, -1));
  if (lg_is_interrupted(st)) return lg_raise_interrupt(L);
  lua_replace(L, -3);
  lua_pop(L, 1);
  return status == LUA_OK;
}

/* Push what the file named by argument 1 is compiled to, or a message and 0. Without an argument it is the standard input, where
 * there is nothing to read. */
static int lg_load_file(lua_State *L, const char *mode) {
  if (lua_isnoneornil(L, 1)) {
    struct lg_load_source empty = {lg_state_of(L), "", 0, 0, NULL};
    return lg_load_with(L, lg_read_text, &empty, "=stdin") == LUA_OK;
  }
  const char *path = luaL_checkstring(L, 1);
  lua_pushvalue(L, 1);
  if (!lg_ask(L, "fs.source", 1)) {
    (void)lua_rawgeti(L, -1, 2);
    (void)lua_pushfstring(L, "cannot open %s", lua_tostring(L, -1));
    return 0;
  }
  if (mode != NULL) {
    lg_refuse_text(L, mode);
    return 0;
  }
  lg_answer(L);
  return lg_load_file_text(L, path);
}

/* loadfile(path [, mode [, env]]): text only; the chunk's globals are the run's own. */
static int lg_loadfile(lua_State *L) {
  const char *mode = lg_other_mode(L, 2);
  int has_env = LG_LOAD_IS_NEW && !lua_isnone(L, 3);
  if (!lg_load_file(L, mode)) {
    lua_pushnil(L);
    lua_insert(L, -2);
    return 2;
  }
  if (has_env && (!LG_HAS_FENV || lua_istable(L, 3))) {
    lua_pushvalue(L, 3);
    lg_set_function_globals(L, -2);
  }
  return 1;
}

#if LG_HAS_CALLK
LG_CONTINUATION(lg_dofile_goes_on) {
  LG_CONTINUES();
  return lua_gettop(L) - 1;
}
#endif

static int lg_dofile(lua_State *L) {
  lg_may_call_back(L);
  if (lua_isnone(L, 1)) lua_pushnil(L);
  lua_settop(L, 1);
  if (!lg_load_file(L, NULL)) return lua_error(L);
#if LG_HAS_CALLK
  lua_callk(L, 0, LUA_MULTRET, 0, lg_dofile_goes_on);
#else
  lua_call(L, 0, LUA_MULTRET);
#endif
  return lua_gettop(L) - 1;
}

/* Offer what works on files, where the host has any: to the globals at t, and to the table of os there. */
static void lg_open_files(lua_State *L, const struct lg_state *st, int t) {
  static const struct lg_reg list[] = {{"remove", lg_os_remove}, {"rename", lg_os_rename}, {"tmpname", lg_os_tmpname}};
  if (!lg_has_files(st)) return;
  lg_offer_c(L, t, "loadfile", lg_loadfile);
  lg_offer_c(L, t, "dofile", lg_dofile);
  (void)lua_getfield(L, t, "os");
  for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) lg_offer_c(L, lua_gettop(L), list[i].name, list[i].f);
  lua_pop(L, 1);
}

#endif
