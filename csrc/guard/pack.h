/* Lua value -> wire bytes, raw: no metamethod is looked at, so nothing of the script's runs. Once per Lua version.
 *
 * Contract: inside a protected call, on the run's thread; may raise only on a stack that cannot grow. The buffer is the
 * C library's memory. A table whose keys are exactly 1..n (or that is empty) is a list, any other a map. */
#ifndef LG_PACK_H
#define LG_PACK_H

#include <math.h>

#include "poll.h"
#include "wire.h"

enum lg_pack_status {
  LG_PACK_OK = 0,
  LG_PACK_NO_MEMORY,
  LG_PACK_TOO_LARGE, /* more than `max` bytes */
  LG_PACK_TOO_DEEP,
  LG_PACK_CYCLE,
  LG_PACK_BAD_VALUE, /* function, userdata, thread: `what` names the type */
  LG_PACK_BAD_KEY,
  LG_PACK_INTERRUPTED
};

struct lg_packer {
  lua_State *L;
  struct lg_state *st;
  struct lg_buf *out;
  size_t max;
  size_t needed;                        /* bytes `out` would have had when it became too large */
  const char *what;                     /* the offending type's name */
  int depth;                            /* tables open now */
  const void *open[LG_WIRE_MAX_DEPTH];  /* their identities */
  int key[LG_WIRE_MAX_DEPTH];           /* stack index of the key being packed in each; 0 for a list's element */
  lua_Integer index[LG_WIRE_MAX_DEPTH]; /* the list index then */
};

static int lg_pack_value(struct lg_packer *p, int idx);

static int lg_pack_string(struct lg_packer *p, int idx) {
  size_t n = 0;
  const char *s = lua_tolstring(p->L, idx, &n);
  if (n > p->max || p->out->len > p->max - n) {
    p->needed = p->out->len + n;
    return LG_PACK_TOO_LARGE;
  }
  return lg_wire_str(p->out, s, n) == 0 ? LG_PACK_OK : LG_PACK_NO_MEMORY;
}

static int lg_pack_number(struct lg_packer *p, int idx) {
  int64_t i = 0;
  double d = 0;
  int whole = 0;
#if LG_HAS_INTEGERS
  whole = lg_isinteger(p->L, idx);
  if (whole)
    i = (int64_t)lua_tointeger(p->L, idx);
  else
    d = lua_tonumber(p->L, idx);
#else
  /* These versions have floats only: a whole number that a float holds exactly is an int, as lupa has it. */
  d = lua_tonumber(p->L, idx);
  whole = fabs(d) <= 9007199254740992.0 && d == floor(d) && !(d == 0 && signbit(d));
  if (whole) i = (int64_t)d;
#endif
  int rc = whole ? lg_wire_word(p->out, LG_W_INT, &i) : lg_wire_word(p->out, LG_W_FLOAT, &d);
  return rc == 0 ? LG_PACK_OK : LG_PACK_NO_MEMORY;
}

/* 1 when the table's keys are exactly 1..len, 0 when not, -1 when interrupted. */
static int lg_is_sequence(struct lg_packer *p, int idx, size_t len) {
  lua_State *L = p->L;
  size_t seen = 0;
  lua_pushnil(L);
  while (lua_next(L, idx)) {
    lua_pop(L, 1);
    double k = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : 0;
    if (!(k >= 1 && k <= (double)len && k == floor(k))) {
      lua_pop(L, 1);
      return 0;
    }
    if ((++seen & 4095) == 0 && lg_is_interrupted(p->st)) {
      lua_pop(L, 1);
      return -1;
    }
  }
  return seen == len;
}

static int lg_pack_list(struct lg_packer *p, int idx, size_t len) {
  uint64_t count = len;
  if (lg_wire_word(p->out, LG_W_LIST, &count) != 0) return LG_PACK_NO_MEMORY;
  p->key[p->depth - 1] = 0;
  for (size_t i = 1; i <= len; i++) {
    p->index[p->depth - 1] = (lua_Integer)i;
#if LG_HAS_INTEGERS
    (void)lua_rawgeti(p->L, idx, (lua_Integer)i);
#else
    lua_rawgeti(p->L, idx, (int)i);
#endif
    int rc = lg_pack_value(p, lua_gettop(p->L));
    if (rc != LG_PACK_OK) return rc;
    lua_pop(p->L, 1);
  }
  return LG_PACK_OK;
}

/* A boolean key; to Python True is the key 1 and False the key 0, so a table with both would lose an entry there. */
static int lg_pack_boolean_key(struct lg_packer *p, int table, int value) {
  (void)lua_rawgeti(p->L, table, value);
  int taken = !lua_isnil(p->L, -1);
  lua_pop(p->L, 1);
  if (taken) {
    p->what = "boolean (beside 1 or 0, which is the same key in Python)";
    return LG_PACK_BAD_KEY;
  }
  return lg_wire_tag_only(p->out, value ? LG_W_TRUE : LG_W_FALSE) == 0 ? LG_PACK_OK : LG_PACK_NO_MEMORY;
}

static int lg_pack_number_key(struct lg_packer *p, int idx) {
  int64_t zero = 0;
  if (LG_HAS_INTEGERS || lua_tonumber(p->L, idx) != 0) return lg_pack_number(p, idx);
  return lg_wire_word(p->out, LG_W_INT, &zero) == 0 ? LG_PACK_OK : LG_PACK_NO_MEMORY; /* -0 is the same key as 0 */
}

static int lg_pack_key(struct lg_packer *p, int table, int idx) {
  switch (lua_type(p->L, idx)) {
    case LUA_TSTRING: return lg_pack_string(p, idx);
    case LUA_TNUMBER: return lg_pack_number_key(p, idx);
    case LUA_TBOOLEAN: return lg_pack_boolean_key(p, table, lua_toboolean(p->L, idx));
    default: p->what = luaL_typename(p->L, idx); return LG_PACK_BAD_KEY;
  }
}

static int lg_pack_map(struct lg_packer *p, int idx) {
  lua_State *L = p->L;
  size_t mark = p->out->len;
  uint64_t count = 0;
  if (lg_wire_word(p->out, LG_W_MAP, &count) != 0) return LG_PACK_NO_MEMORY;
  lua_pushnil(L);
  while (lua_next(L, idx)) {
    int key = lua_gettop(L) - 1;
    p->key[p->depth - 1] = key;
    int rc = lg_pack_key(p, idx, key);
    if (rc == LG_PACK_OK) rc = lg_pack_value(p, key + 1);
    if (rc != LG_PACK_OK) return rc; /* the keys stay on the stack: they are the path */
    lua_pop(L, 1);
    count++;
  }
  memcpy(p->out->data + mark + 1, &count, sizeof count);
  return LG_PACK_OK;
}

static int lg_pack_table(struct lg_packer *p, int idx) {
  const void *self = lua_topointer(p->L, idx);
  for (int i = p->depth - 1; i >= 0; i--) {
    if (p->open[i] == self) return LG_PACK_CYCLE;
  }
  if (p->depth == LG_WIRE_MAX_DEPTH) return LG_PACK_TOO_DEEP;
  if (!lua_checkstack(p->L, 6)) return LG_PACK_NO_MEMORY; /* the depth is far below what a stack may have */
  p->open[p->depth++] = self;
  size_t len = (size_t)lua_rawlen(p->L, idx);
  int sequence = lg_is_sequence(p, idx, len);
  int rc = sequence < 0 ? LG_PACK_INTERRUPTED : sequence ? lg_pack_list(p, idx, len) : lg_pack_map(p, idx);
  if (rc == LG_PACK_OK) p->depth--; /* on failure the depth tells how long the path is */
  return rc;
}

static int lg_pack_value(struct lg_packer *p, int idx) {
  int rc = 0;
  switch (lua_type(p->L, idx)) {
    case LUA_TNIL: rc = lg_wire_tag_only(p->out, LG_W_NIL); break;
    case LUA_TBOOLEAN: rc = lg_wire_tag_only(p->out, lua_toboolean(p->L, idx) ? LG_W_TRUE : LG_W_FALSE); break;
    case LUA_TNUMBER: rc = lg_pack_number(p, idx); break;
    case LUA_TSTRING: rc = lg_pack_string(p, idx); break;
    case LUA_TTABLE: rc = lg_pack_table(p, idx); break;
    default: p->what = luaL_typename(p->L, idx); return LG_PACK_BAD_VALUE;
  }
  if (rc != LG_PACK_OK) return rc < 0 ? LG_PACK_NO_MEMORY : rc;
  if (p->out->len > p->max) return LG_PACK_TOO_LARGE;
  return lg_is_interrupted(p->st) ? LG_PACK_INTERRUPTED : LG_PACK_OK;
}

/* Append ".name" or "[key]" to the path. */
static void lg_pack_path_key(const struct lg_packer *p, int level, struct lg_buf *path) {
  char text[48];
  int key = p->key[level];
  if (key != 0 && lua_type(p->L, key) == LUA_TSTRING) {
    size_t n = 0;
    const char *s = lua_tolstring(p->L, key, &n);
    size_t shown = n > 40 ? 40 : n;
    (void)lg_buf_append(path, ".", 1);
    (void)lg_buf_append(path, s, shown);
    if (shown < n) (void)lg_buf_append(path, "...", 3);
    return;
  }
  int len = 0;
  if (key == 0)
    len = snprintf(text, sizeof text, "[%lld]", (long long)p->index[level]);
  else if (lua_type(p->L, key) == LUA_TNUMBER)
    len = snprintf(text, sizeof text, "[%.14g]", lua_tonumber(p->L, key));
  else
    len = snprintf(text, sizeof text, "[%s]", luaL_typename(p->L, key));
  (void)lg_buf_append(path, text, (size_t)len);
}

/* Pack the value at idx; on failure the offending place is described in `path` ("[3].name"). */
static int lg_pack(lua_State *L, struct lg_state *st, int idx, struct lg_buf *out, size_t max, struct lg_packer *p,
                   struct lg_buf *path) {
  p->L = L;
  p->st = st;
  p->out = out;
  p->max = max > SIZE_MAX - out->len ? SIZE_MAX : max + out->len;
  p->what = "";
  p->needed = 0;
  p->depth = 0;
  int rc = lg_pack_value(p, lua_absindex(L, idx));
  if (rc != LG_PACK_OK && path != NULL) {
    for (int level = 0; level < p->depth; level++) lg_pack_path_key(p, level, path);
  }
  return rc;
}

#endif
