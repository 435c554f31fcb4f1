/* The host's functions as scripts call them. Once per Lua version.
 *
 * Contract: C functions that hostile scripts call, each on the run's thread inside the guarded call. */
#ifndef LG_HOST_CALL_H
#define LG_HOST_CALL_H

#include "cstack.h"
#include "pack.h"
#include "unpack.h"

/* Pack the arguments of a host function as one wire tuple. */
static void lg_pack_arguments(lua_State *L, struct lg_state *st, const char *name) {
  struct lg_packer p;
  uint64_t n = (uint64_t)lua_gettop(L);
  p.what = "";
  lg_buf_reset(&st->host.args, 1 << 16);
  if (lg_wire_word(&st->host.args, LG_W_TUPLE, &n) != 0)
    luaL_error(L, "not enough memory for the arguments of '%s'", name);
  for (int i = 1; i <= (int)n; i++) {
    size_t used = st->host.args.len;
    size_t max = st->rq->max_output;
    int rc = used > max ? LG_PACK_TOO_LARGE : lg_pack(L, st, i, &st->host.args, max - used, &p, NULL);
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
  if (due == 0) rc = rq->host_call(rq->host, index, &st->host.args, &st->host.result);
  if (lg_watch_return(&st->watch)) lg_state_flag(st, LG_INT_TICK);
  if (rq->exclude_callbacks) lg_watch_continue(&st->watch);
  lg_stop_allow(before);
  if (due == 0 && rc == 2) lg_state_flag(st, LG_INT_CALLBACK);
  due = lg_watch_due(&st->watch); /* meanwhile nothing told it: the function may have interrupted its own run */
  if (due != 0) lg_state_flag(st, due);
  lg_poll(st, L);
  return rc;
}

/* Raise the error that the host's function left in the place of its result. */
static int lg_host_error(lua_State *L, struct lg_state *st) {
  lua_settop(L, 0);
  lg_room(st, L, st->host.result.len);
  luaL_where(L, 1);
  lua_pushlstring(L, (const char *)st->host.result.data, st->host.result.len);
  lua_concat(L, 2);
  lua_pushvalue(L, -1);
  lua_rawseti(L, LUA_REGISTRYINDEX, st->error.ref);
  st->error.kind = LG_ERROR_CALLBACK;
  return lua_error(L);
}

/* Whether there is stack for the host's function: raises where there is not. */
static void lg_host_begin(lua_State *L, struct lg_state *st) {
  if ((const char *)LG_FRAME_ADDRESS() < st->floors.host) luaL_error(L, "C stack overflow");
  lg_poll(st, L);
}

/* A host function: upvalue 1 is its number. */
static int lg_call_function(lua_State *L) {
  struct lg_state *st = lg_state_of(L);
  int index = (int)lua_tointeger(L, lua_upvalueindex(1));
  lg_host_begin(L, st);
  lg_pack_arguments(L, st, st->host.function_names[index]);
  lg_buf_reset(&st->host.result, 1 << 16);
  if (lg_host_function(L, st, index) != 0) return lg_host_error(L, st);
  lua_settop(L, 0);
  lg_room(st, L, st->host.result.len);
  lg_unpack(L, st->host.result.data, st->host.result.len);
  return 1;
}

/* Call the host's function number `place` less 1 with the `count` wire values in `values`: on behalf of a library function,
 * whose Lua stack stays as it is unless an error is raised. What it answers is in st->host.result. */
static void lg_host_ask(lua_State *L, struct lg_state *st, int place, uint64_t count, const void *values, size_t len) {
  lg_host_begin(L, st);
  struct lg_buf *args = &st->host.args;
  lg_buf_reset(args, 1 << 16);
  lg_buf_reset(&st->host.result, 1 << 16);
  if (lg_wire_word(args, LG_W_TUPLE, &count) != 0 || lg_buf_append(args, values, len) != 0)
    luaL_error(L, "not enough memory for the arguments of '%s'", st->host.function_names[place - 1]);
  if (lg_host_function(L, st, place - 1) != 0) lg_host_error(L, st);
}

static void lg_push_function(lua_State *L, int index) {
  lua_pushinteger(L, index);
  lua_pushcclosure(L, lg_call_function, 1);
}

static int lg_is_internal(const char *name) { return strchr(name, '.') != NULL; }

#endif
