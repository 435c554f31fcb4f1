/* Wire bytes -> Lua value. Once per Lua version.
 *
 * Contract: inside a protected call (raises on memory), on the run's thread. The bytes come from the entry module's
 * encoder; they are bounds-checked all the same, and malformed ones raise an error. Looks at the deadline for every value. */
#ifndef LG_UNPACK_H
#define LG_UNPACK_H

#include "poll.h"
#include "wire.h"

struct lg_reader {
  const unsigned char *at, *end;
};

static void lg_unpack_value(lua_State *L, struct lg_reader *r, int depth);

static void lg_unpack_take(lua_State *L, struct lg_reader *r, void *out, size_t n) {
  if ((size_t)(r->end - r->at) < n) luaL_error(L, "malformed data: it ends too early");
  memcpy(out, r->at, n);
  r->at += n;
}

static uint64_t lg_unpack_count(lua_State *L, struct lg_reader *r) {
  uint64_t count = 0;
  lg_unpack_take(L, r, &count, sizeof count);
  if (count > (uint64_t)(r->end - r->at) || count > INT_MAX) luaL_error(L, "malformed data: a count is too large");
  return count;
}

static void lg_unpack_string(lua_State *L, struct lg_reader *r, uint64_t n) {
  if (n > (uint64_t)(r->end - r->at)) luaL_error(L, "malformed data: a string is too long");
  const char *s = (const char *)r->at;
  r->at += n;
  lua_pushlstring(L, s, (size_t)n);
}

static void lg_unpack_list(lua_State *L, struct lg_reader *r, int depth) {
  int count = (int)lg_unpack_count(L, r);
  lg_stack_for(L, 4, "data nested too deeply");
  lua_createtable(L, count, 0);
  for (int i = 1; i <= count; i++) {
    lg_unpack_value(L, r, depth + 1);
    lua_rawseti(L, -2, i);
  }
}

static void lg_unpack_map(lua_State *L, struct lg_reader *r, int depth) {
  int count = (int)lg_unpack_count(L, r);
  lg_stack_for(L, 4, "data nested too deeply");
  lua_createtable(L, 0, count);
  for (int i = 0; i < count; i++) {
    lg_unpack_value(L, r, depth + 1);
    lg_unpack_value(L, r, depth + 1);
    lua_rawset(L, -3);
  }
}

static void lg_unpack_number(lua_State *L, struct lg_reader *r, int tag) {
  if (tag == LG_W_INT) {
    int64_t i = 0;
    lg_unpack_take(L, r, &i, sizeof i);
#if LG_HAS_INTEGERS
    lua_pushinteger(L, (lua_Integer)i);
#else
    lua_pushnumber(L, (lua_Number)i); /* the encoder lets no integer through that a double cannot hold */
#endif
    return;
  }
  double d = 0;
  lg_unpack_take(L, r, &d, sizeof d);
  lua_pushnumber(L, d);
}

static void lg_unpack_value(lua_State *L, struct lg_reader *r, int depth) {
  unsigned char tag = 0;
  uint32_t n32 = 0;
  uint64_t n64 = 0;
  if (depth > LG_WIRE_MAX_DEPTH) luaL_error(L, "data nested too deeply");
  lg_poll(lg_state_of(L), L);
  lg_unpack_take(L, r, &tag, 1);
  switch (tag) {
    case LG_W_NIL: lua_pushnil(L); break;
    case LG_W_TRUE: lua_pushboolean(L, 1); break;
    case LG_W_FALSE: lua_pushboolean(L, 0); break;
    case LG_W_INT:
    case LG_W_FLOAT: lg_unpack_number(L, r, tag); break;
    case LG_W_STR:
      lg_unpack_take(L, r, &n32, sizeof n32);
      lg_unpack_string(L, r, n32);
      break;
    case LG_W_LONGSTR:
      lg_unpack_take(L, r, &n64, sizeof n64);
      lg_unpack_string(L, r, n64);
      break;
    case LG_W_LIST:
    case LG_W_TUPLE: lg_unpack_list(L, r, depth); break;
    case LG_W_MAP: lg_unpack_map(L, r, depth); break;
    default: luaL_error(L, "malformed data: unknown tag %d", (int)tag);
  }
}

/* Push the one value that the bytes hold. */
static void lg_unpack(lua_State *L, const unsigned char *data, size_t len) {
  struct lg_reader r = {data, data + len};
  lg_unpack_value(L, &r, 0);
}

#endif
