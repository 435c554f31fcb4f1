/* Streams: what io's functions read and write, as userdata. Once per Lua version.
 *
 * Contract: C functions that hostile scripts call, each on the run's thread inside the guarded call. A stream is one of the
 * standard three, which read nothing and write to the logs of the run, or a file, known by the number that the host gave it.
 * All of a run's streams have one metatable, which is made for the run and kept in the registry (lg_streams_open()); a script
 * sees another table in its place, since what a script could put into the real one (__gc) Lua would call. The metatable's
 * elements hold the default streams, and a table of the files that are open, by enum lg_stream_slot. No stream has a
 * finalizer: what a run leaves open the host closes, when the run is over or when files without a stream take the place of
 * one to be opened. */
#ifndef LG_STDLIB_STREAM_H
#define LG_STDLIB_STREAM_H

#include "files.h"
#include "print.h"

static const char lg_streams[] = "FILE*"; /* the metatable's key in the registry, and what streams are called */

enum lg_stream_kind { LG_STREAM_CLOSED, LG_STREAM_IN, LG_STREAM_OUT, LG_STREAM_ERR, LG_STREAM_FILE };

enum lg_stream_slot { LG_SLOT_INPUT = 1, LG_SLOT_OUTPUT, LG_SLOT_FILES };

struct lg_stream {
  int kind;   /* enum lg_stream_kind */
  int number; /* of a file, with the host */
};

/* Push the metatable of streams. */
static void lg_stream_meta(lua_State *L) { (void)lua_getfield(L, LUA_REGISTRYINDEX, lg_streams); }

/* The stream at idx; NULL for any other value. */
static struct lg_stream *lg_test_stream(lua_State *L, int idx) {
  struct lg_stream *s = lua_touserdata(L, idx);
  if (s == NULL || !lua_getmetatable(L, idx)) return NULL;
  lg_stream_meta(L);
  if (!lua_rawequal(L, -1, -2)) s = NULL;
  lua_pop(L, 2);
  return s;
}

/* The stream that argument `arg` must be, closed or not. */
static struct lg_stream *lg_check_stream(lua_State *L, int arg) {
  struct lg_stream *s = lg_test_stream(L, arg);
  if (s != NULL) return s;
#if LG_HAS_TYPEERROR
  (void)luaL_typeerror(L, arg, lg_streams);
#else
  const char *given = luaL_typename(L, arg);
  if (LG_HAS_TYPE_NAMES && luaL_getmetafield(L, arg, "__name") && lua_type(L, -1) == LUA_TSTRING)
    given = lua_tostring(L, -1);
  else if (LG_HAS_TYPE_NAMES && lua_type(L, arg) == LUA_TLIGHTUSERDATA)
    given = "light userdata";
  (void)luaL_argerror(L, arg, lua_pushfstring(L, "%s expected, got %s", lg_streams, given));
#endif
  return NULL;
}

/* Argument 1 as a stream that is open. */
static struct lg_stream *lg_open_stream(lua_State *L) {
  struct lg_stream *s = lg_check_stream(L, 1);
  if (s->kind == LG_STREAM_CLOSED) luaL_error(L, "attempt to use a closed file");
  return s;
}

/* Push a new stream. */
static struct lg_stream *lg_new_stream(lua_State *L, int kind) {
  struct lg_stream *s = lua_newuserdata(L, sizeof *s);
  s->kind = kind;
  s->number = 0;
  lg_stream_meta(L);
  (void)lua_setmetatable(L, -2);
  return s;
}

/* The text of a stream: the number that stands for it is where stock Lua has an address (guard/identity.h). */
static int lg_stream_tostring(lua_State *L) {
  const struct lg_stream *s = lg_check_stream(L, 1);
  if (s->kind == LG_STREAM_CLOSED) {
    (void)lua_pushliteral(L, "file (closed)");
  } else {
    char identity[LG_IDENTITY_TEXT];
    lg_identity_write(&lg_state_of(L)->identity, s, identity);
    (void)lua_pushfstring(L, "file (%s)", identity);
  }
  return 1;
}

/* ---- opening and closing ---- */

/* Push the table of the files that are open: their streams by number. It is weak, so a stream that the script has
 * dropped leaves it once it is collected. */
static void lg_push_files(lua_State *L) {
  lg_stream_meta(L);
  (void)lua_rawgeti(L, -1, LG_SLOT_FILES);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    (void)lua_pushliteral(L, "v");
    lua_setfield(L, -2, "__mode");
    (void)lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    lua_rawseti(L, -3, LG_SLOT_FILES);
  }
  lua_remove(L, -2);
}

/* Close the files whose streams the script has dropped, as stock Lua does when it collects such a stream. */
static void lg_close_dropped(lua_State *L) {
  int count = 0;
  lg_collect_all(lg_state_of(L), L);
  lua_newtable(L);
  lg_push_files(L);
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    lua_pop(L, 1);
    lua_pushvalue(L, -1);
    lua_rawseti(L, -4, ++count); /* no more than the host has files open for the run */
  }
  lua_pop(L, 1);
  (void)lg_ask(L, "fs.keep", 1);
  lua_pop(L, 1);
}

/* Open the file that argument 1 names for the closed stream `s`, at index `at`. 0 when the host refuses, and then its
 * reply is on the stack. */
static int lg_open_file(lua_State *L, struct lg_stream *s, int at, const char *mode) {
  lg_push_files(L);
  for (int tries = 1;; tries++) {
    lua_pushvalue(L, 1);
    (void)lua_pushstring(L, mode);
    int opened = lg_ask(L, "fs.open", 2);
    (void)lua_rawgeti(L, -1, opened ? 1 : 3);
    int number = (int)lua_tointeger(L, -1); /* of the file, or of the error */
    lua_pop(L, 1);
    if (opened) {
      lua_pushvalue(L, at);
      lua_rawseti(L, -3, number);
      lua_pop(L, 2);
      s->number = number;
      s->kind = LG_STREAM_FILE;
      return 1;
    }
    if (number != EMFILE || tries == 2) return 0;
    lua_pop(L, 1);
    lg_close_dropped(L);
  }
}

/* Close the stream: what close() returns. */
static int lg_close_stream(lua_State *L, struct lg_stream *s) {
  if (s->kind != LG_STREAM_FILE) {
    lua_pushnil(L);
    (void)lua_pushliteral(L, "cannot close standard file");
    return 2;
  }
  s->kind = LG_STREAM_CLOSED;
  lg_push_files(L);
  lua_pushnil(L);
  lua_rawseti(L, -2, s->number);
  lua_pop(L, 1);
  lua_pushinteger(L, s->number);
  if (!lg_ask(L, "fs.close", 1)) return lg_refused(L);
  lg_answer(L);
  return 1;
}

#if LG_HAS_CLOSE
/* The __close of a stream. */
static int lg_stream_leave(lua_State *L) {
  struct lg_stream *s = lg_check_stream(L, 1);
  if (s->kind == LG_STREAM_FILE) (void)lg_close_stream(L, s);
  return 0;
}
#endif

/* ---- writing ---- */

/* Argument `arg` as it is written: a string in its place. */
static const char *lg_written(lua_State *L, int arg, size_t *len) {
  if (LG_WRITE_IS_SHORT && lua_type(L, arg) == LUA_TNUMBER && !lg_isinteger(L, arg)) {
    char text[64];
    int n = snprintf(text, sizeof text, "%.14g", (double)lua_tonumber(L, arg));
    (void)lua_pushlstring(L, text, (size_t)n);
    lua_replace(L, arg);
  }
  return luaL_checklstring(L, arg, len);
}

/* What is to be written to a file: strings in a table at index `table`, as many as one call of the host carries. */
struct lg_batch {
  int number, table, count;
  size_t size, most;
};

/* Hand the batch to the host. 0 when it refuses, and then its reply is on the stack. */
static int lg_batch_write(lua_State *L, struct lg_batch *b) {
  if (b->count == 0) return 1;
  lua_pushinteger(L, b->number);
  lua_pushvalue(L, b->table);
  if (!lg_ask(L, "fs.write", 2)) return 0;
  lua_pop(L, 1);
  lua_newtable(L);
  lua_replace(L, b->table);
  b->count = 0;
  b->size = 0;
  return 1;
}

/* Add n bytes to the batch, in pieces that a call can carry. 0 as lg_batch_write(). */
static int lg_batch_add(lua_State *L, struct lg_batch *b, const char *s, size_t n) {
  enum { LG_AROUND = 18 }; /* what the way to the host adds to a string, at most */
  do {
    lg_poll(lg_state_of(L), L);
    size_t piece = n < b->most ? n : b->most;
    if (b->size + piece + LG_AROUND > b->most && !lg_batch_write(L, b)) return 0;
    lua_pushlstring(L, s, piece);
    lua_rawseti(L, b->table, ++b->count);
    b->size += piece + LG_AROUND;
    s += piece;
    n -= piece;
  } while (n > 0);
  return 1;
}

static int lg_write_file(lua_State *L, const struct lg_stream *s, int arg, int last) {
  enum { LG_MOST_AT_ONCE = 1 << 20, LG_CALL = 64 };
  size_t most = lg_state_of(L)->rq->max_output;
  if (most > LG_MOST_AT_ONCE) most = LG_MOST_AT_ONCE;
  struct lg_batch b = {s->number, 0, 0, 0, most > LG_CALL ? most - LG_CALL : 1};
  lua_newtable(L);
  b.table = lua_gettop(L);
  for (; arg <= last; arg++) {
    size_t n = 0;
    if (!lua_isstring(L, arg) && !lg_batch_write(L, &b))
      return lg_refused(L); /* what stands before a wrong argument is written */
    const char *text = lg_written(L, arg, &n);
    if (!lg_batch_add(L, &b, text, n)) return lg_refused(L);
  }
  return lg_batch_write(L, &b) ? 0 : lg_refused(L);
}

/* Write the arguments from `arg` on to the stream; the stream itself is on top of them, and is returned where that is usual. */
static int lg_write_stream(lua_State *L, const struct lg_stream *s, int arg) {
  struct lg_state *st = lg_state_of(L);
  int last = lua_gettop(L) - 1;
  int refusal = 0;
  if (s->kind == LG_STREAM_FILE) {
    refusal = lg_write_file(L, s, arg, last);
  } else if (s->kind == LG_STREAM_IN) {
    refusal = arg <= last ? lg_failed(L, &lg_bad_descriptor, NULL) : 0;
  } else {
    for (; arg <= last; arg++) {
      size_t n = 0;
      const char *text = lg_written(L, arg, &n);
      lg_log_written(L, st, s->kind == LG_STREAM_OUT ? LG_LINE_OUT : LG_LINE_ERR, text, n);
    }
  }
  if (refusal != 0) return refusal;
#if LG_WRITE_GIVES_FILE
  lua_settop(L, last + 1);
#else
  lua_pushboolean(L, 1);
#endif
  return 1;
}

/* ---- reading ---- */

/* The letter of the format that argument `arg` is; it complains about what is none. */
static char lg_read_format(lua_State *L, int arg) {
  const char *p = LG_READ_WANTS_TEXT ? luaL_checkstring(L, arg) : lua_tostring(L, arg);
  luaL_argcheck(L, p != NULL && (*p == '*' || !LG_READ_NEEDS_STAR), arg, "invalid option");
  if (*p == '*') p++;
  luaL_argcheck(L, *p == 'n' || *p == 'l' || *p == 'a' || (LG_READ_KEEPS_ENDS && *p == 'L'), arg, "invalid format");
  return *p;
}

/* The number of bytes that argument `arg` is. */
static void lg_read_count(lua_State *L, int arg) {
#if LG_HAS_INTEGERS
  (void)luaL_checkinteger(L, arg);
#endif
#if !LG_READ_ANY_COUNT
  lua_Number n = lua_tonumber(L, arg);
  if (!(n >= 0 && n < 9223372036854775808.0)) luaL_error(L, "not enough memory");
#else
  (void)L;
  (void)arg;
#endif
}

/* Read by the format at index `arg` (0: a line) and push what is found, nil at the end. 0 when the host refuses, and then its
 * reply is on the stack. */
static int lg_read_one(lua_State *L, const struct lg_stream *s, int arg) {
  char format[2] = {'l', '\0'};
  int counts = arg != 0 && lua_type(L, arg) == LUA_TNUMBER;
  if (counts)
    lg_read_count(L, arg);
  else if (arg != 0)
    format[0] = lg_read_format(L, arg);
  if (s->kind == LG_STREAM_IN) {
    if (format[0] == 'a' && !counts)
      (void)lua_pushliteral(L, "");
    else
      lua_pushnil(L);
    return 1;
  }
  lua_pushinteger(L, s->number);
  if (counts)
    lua_pushvalue(L, arg);
  else
    (void)lua_pushstring(L, format);
  if (!lg_ask(L, "fs.read", 2)) return 0;
  lg_answer(L);
  return 1;
}

/* Read by the formats at first..last: how many values are on top, of which only the last may be nil. */
static int lg_read_stream(lua_State *L, const struct lg_stream *s, int first, int last) {
  if (s->kind == LG_STREAM_OUT || s->kind == LG_STREAM_ERR) return lg_failed(L, &lg_bad_descriptor, NULL);
  lg_stack_for(L, last - first + 1 + LUA_MINSTACK, "too many arguments");
  if (first > last) return lg_read_one(L, s, 0) ? 1 : lg_refused(L);
  for (int arg = first; arg <= last; arg++) {
    lg_poll(lg_state_of(L), L);
    if (!lg_read_one(L, s, arg)) return lg_refused(L);
    if (lua_isnil(L, -1)) return arg - first + 1;
  }
  return last - first + 1;
}

/* The iterator of lines(). Upvalues: the stream, how many formats there are, whether to close it at the end, the formats. */
static int lg_next_line(lua_State *L) {
  struct lg_stream *s = lua_touserdata(L, lua_upvalueindex(1));
  int n = (int)lua_tointeger(L, lua_upvalueindex(2));
  if (s->kind == LG_STREAM_CLOSED) return luaL_error(L, "file is already closed");
  lua_settop(L, 1);
  lg_stack_for(L, n, "too many arguments");
  for (int i = 1; i <= n; i++) lua_pushvalue(L, lua_upvalueindex(3 + i));
  int found = lg_read_stream(L, s, 2, 1 + n);
  if (lua_toboolean(L, -found)) return found;
  if (found > 1) return luaL_error(L, "%s", lua_tostring(L, -found + 1));
  if (lua_toboolean(L, lua_upvalueindex(3))) (void)lg_close_stream(L, s);
  return 0;
}

/* Push the iterator over the lines of the stream at index 1; the formats are the arguments after it. */
static void lg_push_lines(lua_State *L, int closes) {
  int n = LG_LINES_TAKES_FORMATS ? lua_gettop(L) - 1 : 0;
  luaL_argcheck(L, n <= LG_LINES_MOST, LG_LINES_MOST + 2, LG_TEXT_LINES_MOST);
  lua_pushvalue(L, 1);
  lua_pushinteger(L, n);
  lua_pushboolean(L, closes);
  lg_stack_for(L, n, LG_TEXT_LINES_MOST);
  for (int i = 1; i <= n; i++) lua_pushvalue(L, 1 + i);
  lua_pushcclosure(L, lg_next_line, 3 + n);
}

/* ---- the rest ---- */

/* Argument `arg` as one of the names in a list that NULL ends; `missing` (may be NULL) stands for none. */
static void lg_check_option(lua_State *L, int arg, const char *missing, const char *const *names) {
  const char *given = missing == NULL ? luaL_checkstring(L, arg) : luaL_optlstring(L, arg, missing, NULL);
  for (int i = 0; names[i] != NULL; i++) {
    if (strcmp(names[i], given) == 0) return;
  }
  (void)luaL_argerror(L, arg, lua_pushfstring(L, "invalid option '%s'", given));
}

/* What seek() does: the standard streams cannot. */
static int lg_seek_stream(lua_State *L, const struct lg_stream *s) {
  static const char *const places[] = {"set", "cur", "end", NULL};
  lg_check_option(L, 2, "cur", places);
#if LG_HAS_INTEGERS
  lua_Integer offset = luaL_optinteger(L, 3, 0);
#else
  lua_Number offset = lua_isnoneornil(L, 3) ? 0 : luaL_checknumber(L, 3);
  luaL_argcheck(L, !LG_SEEK_CHECKS_OFFSET || (lua_Number)lg_clip_i64(offset) == offset, 3,
                "not an integer in proper range");
#endif
  if (s->kind != LG_STREAM_FILE) return lg_failed(L, &lg_illegal_seek, NULL);
  lua_settop(L, 3);
  lua_pushinteger(L, s->number);
  if (lua_isnil(L, 2))
    (void)lua_pushliteral(L, "cur");
  else
    lua_pushvalue(L, 2);
#if LG_HAS_INTEGERS
  lua_pushinteger(L, offset);
#else
  lua_pushnumber(L, offset);
#endif
  if (!lg_ask(L, "fs.seek", 3)) return lg_refused(L);
  lg_answer(L);
  return 1;
}

#endif
