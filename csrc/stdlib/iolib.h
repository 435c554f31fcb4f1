/* io and the methods of its streams. Once per Lua version.
 *
 * Contract: C functions that hostile scripts call, each on the run's thread inside the guarded call. lg_open_io() makes all of
 * it anew for a run that mentions io: a script may change any of these tables. */
#ifndef LG_STDLIB_IOLIB_H
#define LG_STDLIB_IOLIB_H

#include "stream.h"

/* ---- methods ---- */

static int lg_stream_read(lua_State *L) {
  const struct lg_stream *s = lg_open_stream(L);
  return lg_read_stream(L, s, 2, lua_gettop(L));
}

static int lg_stream_write(lua_State *L) {
  const struct lg_stream *s = lg_open_stream(L);
  lua_pushvalue(L, 1);
  return lg_write_stream(L, s, 2);
}

static int lg_stream_lines(lua_State *L) {
  (void)lg_open_stream(L);
  lg_push_lines(L, 0);
  return 1;
}

static int lg_stream_seek(lua_State *L) { return lg_seek_stream(L, lg_open_stream(L)); }

static int lg_stream_flush(lua_State *L) {
  (void)lg_open_stream(L);
  lua_pushboolean(L, 1);
  return 1;
}

static int lg_stream_setvbuf(lua_State *L) {
  static const char *const modes[] = {"no", "full", "line", NULL};
  (void)lg_open_stream(L);
  lg_check_option(L, 2, NULL, modes);
  (void)luaL_optinteger(L, 3, 0);
  lua_pushboolean(L, 1);
  return 1;
}

static int lg_stream_close(lua_State *L) {
  if (LG_CLOSE_MISSES_NIL && lua_isnone(L, 1)) lua_pushnil(L);
  return lg_close_stream(L, lg_open_stream(L));
}

/* ---- functions ---- */

/* Push the default stream of that slot, which must be open. */
static struct lg_stream *lg_default_stream(lua_State *L, int slot) {
  lg_stream_meta(L);
  (void)lua_rawgeti(L, -1, slot);
  lua_remove(L, -2);
  struct lg_stream *s = lua_touserdata(L, -1);
  if (s->kind == LG_STREAM_CLOSED)
    luaL_error(L, "%s %s file is closed", LG_TEXT_DEFAULT_FILE, slot == LG_SLOT_INPUT ? "input" : "output");
  return s;
}

/* Push the file that argument 1 names, opened; 0 when it cannot be, and then what open() returns is on the stack. Without
 * files there is none that may be opened. */
static int lg_open_path(lua_State *L, const char *mode) {
  const char *path = luaL_checkstring(L, 1);
  if (!lg_has_files(lg_state_of(L))) return lg_failed(L, &lg_permission_denied, path) == 0;
  struct lg_stream *s = lg_new_stream(L, LG_STREAM_CLOSED);
  return lg_open_file(L, s, lua_gettop(L), mode) || lg_refused(L) == 0;
}

/* The same where a file that cannot be opened is an error. */
static void lg_must_open(lua_State *L, const char *mode) {
  if (lg_open_path(L, mode)) return;
  const char *why = lua_tostring(L, -2); /* "path: why" */
  if (LG_FILE_ERROR_IS_ARG) (void)luaL_argerror(L, 1, why);
  const char *path = lua_tostring(L, 1);
  size_t n = strlen(path);
  if (strncmp(why, path, n) == 0 && strncmp(why + n, ": ", 2) == 0) why += n + 2;
  luaL_error(L, "cannot open file '%s' (%s)", path, why);
}

static int lg_io_read(lua_State *L) {
  int last = lua_gettop(L);
  const struct lg_stream *s = lg_default_stream(L, LG_SLOT_INPUT);
  return lg_read_stream(L, s, 1, last);
}

static int lg_io_write(lua_State *L) { return lg_write_stream(L, lg_default_stream(L, LG_SLOT_OUTPUT), 1); }

static int lg_io_flush(lua_State *L) {
  (void)lg_default_stream(L, LG_SLOT_OUTPUT);
  lua_pushboolean(L, 1);
  return 1;
}

static int lg_io_close(lua_State *L) {
  if (lua_isnone(L, 1)) return lg_close_stream(L, lg_default_stream(L, LG_SLOT_OUTPUT));
  return lg_stream_close(L);
}

/* io.input and io.output: the default stream, which an argument changes. */
static int lg_change_default(lua_State *L, int slot, const char *mode) {
  if (!lua_isnoneornil(L, 1)) {
    if (lua_isstring(L, 1) || (LG_DEFAULT_IS_NAMED && lua_type(L, 1) != LUA_TUSERDATA)) {
      lg_must_open(L, mode);
    } else {
      (void)lg_open_stream(L);
      lua_pushvalue(L, 1);
    }
    lg_stream_meta(L);
    lua_insert(L, -2);
    lua_rawseti(L, -2, slot);
  }
  lg_stream_meta(L);
  (void)lua_rawgeti(L, -1, slot);
  return 1;
}

static int lg_io_input(lua_State *L) { return lg_change_default(L, LG_SLOT_INPUT, "r"); }

static int lg_io_output(lua_State *L) { return lg_change_default(L, LG_SLOT_OUTPUT, "w"); }

static int lg_io_lines(lua_State *L) {
  int opens = !lua_isnoneornil(L, 1);
  if (lua_isnone(L, 1)) lua_pushnil(L);
  if (opens)
    lg_must_open(L, "r");
  else
    (void)lg_default_stream(L, LG_SLOT_INPUT);
  lua_replace(L, 1);
  lg_push_lines(L, opens);
#if LG_LINES_GIVES_FILE
  if (opens) {
    lua_pushnil(L);
    lua_pushnil(L);
    lua_pushvalue(L, 1);
    return 4;
  }
#endif
  return 1;
}

static int lg_io_type(lua_State *L) {
  luaL_checkany(L, 1);
  const struct lg_stream *s = lg_test_stream(L, 1);
  if (s == NULL)
    lua_pushnil(L);
  else if (s->kind == LG_STREAM_CLOSED)
    (void)lua_pushliteral(L, "closed file");
  else
    (void)lua_pushliteral(L, "file");
  return 1;
}

/* Whether that is a mode of C's fopen(). Its b may be repeated as often as a script likes. */
static int lg_is_mode(lua_State *L, const char *mode) {
  if (*mode == '\0' || strchr("rwa", *mode) == NULL) return 0;
  size_t n = mode[1] == '+' ? 2 : 1;
  for (; mode[n] == 'b'; n++) {
    if (n % LG_CHUNK == 0) lg_poll(lg_state_of(L), L);
  }
  return mode[n] == '\0';
}

static int lg_io_open(lua_State *L) {
  (void)luaL_checkstring(L, 1);
  const char *mode = luaL_optlstring(L, 2, "r", NULL);
  luaL_argcheck(L, !LG_OPEN_CHECKS_MODE || lg_is_mode(L, mode), 2, "invalid mode");
  return lg_open_path(L, mode) ? 1 : 3;
}

/* ---- what a run gets ---- */

static void lg_offer_list(lua_State *L, const struct lg_reg *list, size_t n) {
  for (size_t i = 0; i < n; i++) lg_offer_c(L, lua_gettop(L), list[i].name, list[i].f);
}

/* Make the metatable of this run's streams, and the table that scripts see in its place: both with the same methods, to which a
 * script may add, where stock Lua has them. */
static void lg_streams_open(lua_State *L) {
  static const struct lg_reg methods[] = {
      {"close", LG_CLOSE_IS_SHARED ? lg_io_close : lg_stream_close},
      {"flush", lg_stream_flush},
      {"lines", lg_stream_lines},
      {"read", lg_stream_read},
      {"seek", lg_stream_seek},
      {"setvbuf", lg_stream_setvbuf},
      {"write", lg_stream_write},
  };
  lua_createtable(L, LG_SLOT_OUTPUT, 5);
  int meta = lua_gettop(L);
  lua_createtable(L, 0, 11);
  if (LG_METHODS_IN_METATABLE)
    lua_pushvalue(L, -1);
  else
    lua_createtable(L, 0, 8);
  lg_offer_list(L, methods, sizeof methods / sizeof methods[0]);
  for (int t = meta; t <= meta + 1; t++) {
    lua_pushvalue(L, meta + 2);
    lua_setfield(L, t, "__index");
    lg_offer_c(L, t, "__tostring", lg_stream_tostring);
#if LG_HAS_TYPE_NAMES
    (void)lua_pushstring(L, lg_streams);
    lua_setfield(L, t, "__name");
#endif
  }
#if LG_HAS_CLOSE
  lg_offer_c(L, meta, "__close", lg_stream_leave);
#endif
  lua_pushvalue(L, meta + 1);
  lua_setfield(L, meta, "__metatable");
  lua_settop(L, meta);
  lua_setfield(L, LUA_REGISTRYINDEX, lg_streams);
}

/* Push io for this run. */
static void lg_open_io(lua_State *L, const struct lg_state *st) {
  static const struct lg_reg functions[] = {
      {"close", lg_io_close},   {"flush", lg_io_flush}, {"input", lg_io_input}, {"lines", lg_io_lines},
      {"output", lg_io_output}, {"read", lg_io_read},   {"type", lg_io_type},   {"write", lg_io_write},
  };
  static const struct {
    const char *name;
    int kind, slot;
  } standard[] = {
      {"stdin", LG_STREAM_IN, LG_SLOT_INPUT}, {"stdout", LG_STREAM_OUT, LG_SLOT_OUTPUT}, {"stderr", LG_STREAM_ERR, 0}};
  lg_streams_open(L);
  lua_createtable(L, 0, 16);
  lg_offer_list(L, functions, sizeof functions / sizeof functions[0]);
  if (lg_has_files(st)) lg_offer_c(L, lua_gettop(L), "open", lg_io_open);
  lg_stream_meta(L);
  for (size_t i = 0; i < sizeof standard / sizeof standard[0]; i++) {
    (void)lg_new_stream(L, standard[i].kind);
    if (standard[i].slot != 0) {
      lua_pushvalue(L, -1);
      lua_rawseti(L, -3, standard[i].slot);
    }
    lua_setfield(L, -3, standard[i].name);
  }
  lua_pop(L, 1);
}

#endif
