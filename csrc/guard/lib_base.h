/* The sandbox's base functions that differ from stock Lua's. Once per Lua version.
 *
 * Contract: C functions reached by hostile scripts; each runs on the run's thread inside the guarded call. */
#ifndef LG_LIB_BASE_H
#define LG_LIB_BASE_H

#include <string.h>

#include "../os/clock.h"
#include "cstack.h"
#include "pack.h"
#include "poll.h"
#include "tostring.h"
#include "unpack.h"

/* Wall-clock seconds, for log entries: what time.time() gives. */
static double lg_wall_seconds(void) { return (double)lg_wall_ns() * 1e-9; }

/* Record one log entry whose message is the strings at first..top joined by tabs. Entries beyond the bounds are dropped
 * whole and counted, so that a log never shows half a line. */
static void lg_log_entry(lua_State *L, struct lg_state *st, const char *level, size_t level_len, int first) {
  int top = lua_gettop(L);
  size_t total = 0;
  for (int i = first; i <= top; i++) total += lua_rawlen(L, i) + (i > first);
  const struct lg_request *rq = st->rq;
  size_t used = st->log_bytes;
  if (st->log_entries >= rq->max_log_entries || total > rq->max_log_bytes || used > rq->max_log_bytes - total ||
      lg_buf_reserve(&st->logs, total + level_len + 64) != 0) {
    st->rp->logs_dropped++;
    return;
  }
  double now = lg_wall_seconds();
  struct lg_buf *b = &st->logs;
  (void)lg_wire_word(b, LG_W_FLOAT, &now); /* cannot fail: room was reserved */
  (void)lg_wire_str(b, level, level_len);
  uint64_t n64 = total;
  (void)lg_wire_word(b, LG_W_LONGSTR, &n64);
  for (int i = first; i <= top; i++) {
    size_t n = 0;
    const char *s = lua_tolstring(L, i, &n);
    if (i > first) (void)lg_buf_append(b, "\t", 1);
    (void)lg_buf_append(b, s, n);
  }
  st->log_entries++;
  st->log_bytes += total;
}

/* Put the text of the argument at idx in its place. Before 5.3 a __tostring may return anything. */
static void lg_make_text(lua_State *L, int idx, const char *to) {
  (void)lg_tostring(L, idx, NULL);
  if (lua_tolstring(L, -1, NULL) == NULL) luaL_error(L, "'tostring' must return a string to '%s'", to);
  lua_replace(L, idx);
}

static int lg_print(lua_State *L) {
  struct lg_state *st = lg_state_of(L);
  int n = lua_gettop(L);
  for (int i = 1; i <= n; i++) {
    lg_poll(st, L);
    lg_make_text(L, i, "print");
  }
  lg_log_entry(L, st, "print", 5, 1);
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
  lg_log_entry(L, st, level, n, 2);
  return 0;
}

static int lg_base_tostring(lua_State *L) {
  luaL_checkany(L, 1);
  (void)lg_tostring(L, 1, NULL);
  return 1;
}

/* Raise an error that, uncaught, makes the result an OperationNotAllowed for `what`. */
static int lg_forbid(lua_State *L, const char *what) {
  struct lg_state *st = lg_state_of(L);
  st->path.len = 0;
  (void)lg_buf_append(&st->path, what, strlen(what));
  luaL_where(L, 1);
  lua_pushfstring(L, "%s is not allowed", what);
  lua_concat(L, 2);
  lua_pushvalue(L, -1);
  lua_rawseti(L, LUA_REGISTRYINDEX, st->error_ref);
  st->error_kind = LG_ERROR_FORBIDDEN;
  return lua_error(L);
}

/* setmetatable without __gc: what a finalizer does is not the run's any more. */
static int lg_setmetatable(lua_State *L) {
  int t = lua_type(L, 2);
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_argcheck(L, t == LUA_TNIL || t == LUA_TTABLE, 2, "nil or table expected");
  if (luaL_getmetafield(L, 1, "__metatable")) return luaL_error(L, "cannot change a protected metatable");
  if (t == LUA_TTABLE) {
    lua_pushliteral(L, "__gc");
    (void)lua_rawget(L, 2);
    if (!lua_isnil(L, -1)) return lg_forbid(L, "a finalizer (__gc)");
  }
  lua_settop(L, 2);
  (void)lua_setmetatable(L, 1);
  return 1;
}

/* "count", "collect", "step": what a script may do to its own heap; the rest would change the next run's. */
static int lg_collectgarbage(lua_State *L) {
  struct lg_state *st = lg_state_of(L);
  const char *opt = luaL_optlstring(L, 1, "collect", NULL);
  if (strcmp(opt, "count") == 0) {
    lua_pushnumber(L, (lua_Number)st->meter.current / 1024.0);
    return 1;
  }
  if (strcmp(opt, "collect") == 0 || strcmp(opt, "step") == 0) {
    lg_poll(st, L);
    lg_collect_all(st, L);
    if (opt[0] == 's')
      lua_pushboolean(L, 1);
    else
      lua_pushinteger(L, 0);
    return 1;
  }
  if (strcmp(opt, "isrunning") == 0) {
    lua_pushboolean(L, 1);
    return 1;
  }
  lua_pushfstring(L, "collectgarbage('%s')", strlen(opt) > 20 ? "?" : opt);
  return lg_forbid(L, lua_tostring(L, -1));
}

/* The script's xpcall handler, not called once the run is being ended: it would run where no hook reaches. */
static int lg_handler(lua_State *L) {
  struct lg_state *st = lg_state_of(L);
  if (lg_is_interrupted(st)) return 1;
  lg_c_stack(L);
  lua_settop(L, 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, 1, 1);
  return 1;
}

/* The arguments of xpcall after the function, with the handler wrapped. */
static int lg_wrap_handler(lua_State *L) {
#if LG_LUA <= 502 && !LG_JIT
  if (lua_isnone(L, 1)) {
    luaL_where(L, 2);
    (void)lua_pushliteral(L, "bad argument #2 to 'xpcall' (value expected)");
    lua_concat(L, 2);
    return lua_error(L);
  }
#elif LG_LUA >= 503
  if (!lua_isfunction(L, 1)) { /* else the stock function's complaint would name what it is called by in template.h */
    const char *given = luaL_typename(L, 1);
    luaL_where(L, 2);
    (void)lua_pushfstring(L, "bad argument #2 to 'xpcall' (function expected, got %s)", given);
    lua_concat(L, 2);
    return lua_error(L);
  }
#endif
  if (lua_isfunction(L, 1)) {
    lua_pushvalue(L, 1);
    lua_pushcclosure(L, lg_handler, 1);
    lua_replace(L, 1);
  }
  return lua_gettop(L);
}

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

static int lg_load_with(lua_State *L, lua_Reader reader, void *data, const char *name) {
#if LG_LUA == 501
  return lua_load(L, reader, data, name);
#else
  return lua_load(L, reader, data, name, "t");
#endif
}

#if LG_LUA >= 502 || LG_JIT
/* Push the refusal of a text by load()'s mode. */
static void lg_refuse_text(lua_State *L, const char *mode) {
#if LG_JIT
  (void)mode;
  (void)lua_pushliteral(L, "attempt to load chunk with wrong mode");
#else
  (void)lua_pushfstring(L, "attempt to load a text chunk (mode is '%s')", mode);
#endif
}

/* load()'s argument 3: the mode where it allows no text, else NULL. */
static const char *lg_other_mode(lua_State *L) {
  const char *mode = luaL_optlstring(L, 3, "t", NULL);
  return strchr(mode, 't') == NULL ? mode : NULL;
}
#else
static void lg_refuse_text(lua_State *L, const char *mode) { (void)lua_pushstring(L, mode); }

static const char *lg_other_mode(lua_State *L) {
  (void)L;
  return NULL;
}
#endif

/* load()'s reader over a script's function: stack slot 1 is the function, 5 keeps the text it gave last. */
static const char *lg_read_function(lua_State *L, void *data, size_t *size) {
  struct lg_load_source *src = data;
  if (src->len > 0) return lg_read_text(L, src, size);
  lg_poll(src->st, L);
  luaL_checkstack(L, 2, "too many nested functions");
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

/* load(chunk [, name [, mode [, env]]]): text only; the chunk's globals are the run's own. */
static int lg_load(lua_State *L) {
  struct lg_state *st = lg_state_of(L);
  int has_env = !lua_isnone(L, 4);
  struct lg_load_source src = {st, NULL, 0, 0, NULL};
  char short_name[512];
  int status = 0;
  lg_c_stack(L); /* a reader may load again */
  if (lua_isnone(L, 1)) luaL_checktype(L, 1, LUA_TFUNCTION);
  src.mode = lg_other_mode(L);
  lua_settop(L, 5);
  int is_text = LG_LUA == 501 && !LG_JIT ? lua_type(L, 1) == LUA_TSTRING : lua_isstring(L, 1); /* or a number */
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
#if LG_LUA >= 502
  if (has_env) {
    lua_pushvalue(L, 4);
    if (lua_setupvalue(L, -2, 1) == NULL) lua_pop(L, 1);
  }
#elif LG_JIT
  if (has_env && lua_type(L, 4) == LUA_TTABLE) {
    lua_pushvalue(L, 4);
    (void)lua_setfenv(L, -2);
  }
#else
  (void)has_env;
#endif
  return 1;
}

#if LG_LUA == 501 && !LG_JIT
/* loadstring(text [, name]), where load() takes no number for a text. */
static int lg_loadstring(lua_State *L) {
  (void)luaL_checklstring(L, 1, NULL);
  lua_settop(L, 2);
  return lg_load(L);
}
#endif

/* Pack the arguments of a host function as one wire tuple. */
static void lg_pack_arguments(lua_State *L, struct lg_state *st, const char *name) {
  struct lg_packer p;
  uint64_t n = (uint64_t)lua_gettop(L);
  p.what = "";
  lg_buf_reset(&st->args, 1 << 16);
  if (lg_wire_word(&st->args, LG_W_TUPLE, &n) != 0) luaL_error(L, "not enough memory for the arguments of '%s'", name);
  for (int i = 1; i <= (int)n; i++) {
    size_t used = st->args.len;
    size_t max = st->rq->max_output;
    int rc = used > max ? LG_PACK_TOO_LARGE : lg_pack(L, st, i, &st->args, max - used, &p, NULL);
    if (rc == LG_PACK_OK) continue;
    if (rc == LG_PACK_INTERRUPTED) lg_raise_interrupt(L);
    const char *why = rc == LG_PACK_TOO_LARGE   ? "larger than max_output_size"
                      : rc == LG_PACK_CYCLE     ? "a table that contains itself"
                      : rc == LG_PACK_TOO_DEEP  ? "nested too deeply"
                      : rc == LG_PACK_NO_MEMORY ? "too large for the host's memory"
                                                : "not plain data";
    luaL_error(L, "bad argument #%d to '%s' (%s%s%s)", i, name, p.what, p.what[0] ? " is " : "", why);
  }
}

/* Call the host's function, with nothing that could disturb it, unless the run is to end. What lg_host_call answers. */
static int lg_host_function(lua_State *L, struct lg_state *st, int index) {
  const struct lg_request *rq = st->rq;
  int rc = 2;
  struct lg_stop *before = lg_stop_forbid();
  if (rq->exclude_callbacks) lg_watch_pause(&st->watch);
  lg_watch_leave(&st->watch);
  int due = lg_watch_due(&st->watch);
  if (due == 0) rc = rq->host_call(rq->host, index, &st->args, &st->result);
  if (lg_watch_return(&st->watch)) lg_state_flag(st, LG_INT_TICK);
  if (rq->exclude_callbacks) lg_watch_continue(&st->watch);
  lg_stop_allow(before);
  if (due == 0 && rc == 2) lg_state_flag(st, LG_INT_CALLBACK);
  due = lg_watch_due(&st->watch); /* meanwhile nothing told it: the function may have interrupted its own run */
  if (due != 0) lg_state_flag(st, due);
  lg_poll(st, L);
  return rc;
}

/* A host function: upvalue 1 is its number. */
static int lg_call_function(lua_State *L) {
  struct lg_state *st = lg_state_of(L);
  int index = (int)lua_tointeger(L, lua_upvalueindex(1));
  const char *name = st->function_names[index];
  if ((const char *)LG_FRAME_ADDRESS() < st->host_floor) return luaL_error(L, "C stack overflow");
  lg_poll(st, L);
  lg_pack_arguments(L, st, name);
  lg_buf_reset(&st->result, 1 << 16);
  int rc = lg_host_function(L, st, index);
  lua_settop(L, 0);
  lg_room(st, L, st->result.len);
  if (rc == 0) {
    lg_unpack(L, st->result.data, st->result.len);
    return 1;
  }
  luaL_where(L, 1);
  lua_pushlstring(L, (const char *)st->result.data, st->result.len);
  lua_concat(L, 2);
  lua_pushvalue(L, -1);
  lua_rawseti(L, LUA_REGISTRYINDEX, st->error_ref);
  st->error_kind = LG_ERROR_CALLBACK;
  return lua_error(L);
}

#endif
