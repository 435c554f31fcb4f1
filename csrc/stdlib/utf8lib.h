/* The utf8 library of the sandbox (Lua 5.3 and later), looking at the deadline every few thousand bytes. Compiled once
 * per Lua version.
 *
 * Contract: C functions that hostile scripts call, each on the run's thread inside the guarded call. Results and error
 * messages are those of the version at hand. Reading runs over the end of a string only to its final zero. */
#ifndef LG_STDLIB_UTF8LIB_H
#define LG_STDLIB_UTF8LIB_H

#if LG_HAS_UTF8

#include "args.h"
#include "strbuf.h"

#if LG_UTF8_HAS_LAX
#define LG_UTF8_MAX 0x7FFFFFFFu
#define LG_UTF8_BYTES_MAX 6
#else
#define LG_UTF8_MAX 0x10FFFFu
#define LG_UTF8_BYTES_MAX 4
#endif
#define LG_UTF8_POLL 4096 /* characters between two looks at the deadline */

static inline int lg_is_continuation(const char *p) { return (*p & 0xC0) == 0x80; }

/* Decode one character; NULL when it is malformed. `strict` also refuses surrogates and what is beyond Unicode (5.3
 * has no such choice: it takes surrogates and nothing beyond Unicode). */
static const char *lg_utf8_decode(const char *s, uint32_t *code, int strict) {
  static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000, 0x200000, 0x4000000};
  unsigned c = (unsigned char)*s;
  if (c < 0x80) {
    *code = c;
    return s + 1;
  }
  int bytes = 2;
  while (bytes <= LG_UTF8_BYTES_MAX && (c & (0x80u >> bytes)) != 0) bytes++;
  if ((c & 0x40) == 0 || bytes > LG_UTF8_BYTES_MAX) return NULL;
  uint32_t v = c & (0x7Fu >> bytes);
  for (int i = 1; i < bytes; i++) {
    if (!lg_is_continuation(s + i)) return NULL;
    v = v << 6 | ((unsigned char)s[i] & 0x3Fu);
  }
  if (v < least[bytes] || v > LG_UTF8_MAX) return NULL;
  if (LG_UTF8_HAS_LAX && strict && (v > 0x10FFFF || (v >= 0xD800 && v <= 0xDFFF))) return NULL;
  *code = v;
  return s + bytes;
}

/* A position as given: negative counts from the end, before the string is 0. */
static lua_Integer lg_utf8_position(lua_Integer pos, size_t len) {
  if (pos >= 0) return pos;
  return pos < -(lua_Integer)len ? 0 : (lua_Integer)len + pos + 1;
}

static int lg_utf8_len(lua_State *L) {
  struct lg_state *st = lg_state_of(L);
  size_t len;
  const char *s = luaL_checklstring(L, 1, &len);
  lua_Integer i = lg_utf8_position(luaL_optinteger(L, 2, 1), len);
  lua_Integer j = lg_utf8_position(luaL_optinteger(L, 3, -1), len);
  int strict = !lua_toboolean(L, 4);
  luaL_argcheck(L, 1 <= i && --i <= (lua_Integer)len, 2, LG_TEXT_OUT_OF("initial position"));
  luaL_argcheck(L, --j < (lua_Integer)len, 3, LG_TEXT_OUT_OF("final position"));
  lua_Integer n = 0;
  while (i <= j) {
    uint32_t code;
    if (n % LG_UTF8_POLL == 0) lg_poll(st, L);
    const char *next = lg_utf8_decode(s + i, &code, strict);
    if (next == NULL) {
      lua_pushnil(L);
      lua_pushinteger(L, i + 1);
      return 2;
    }
    i = next - s;
    n++;
  }
  lua_pushinteger(L, n);
  return 1;
}

static int lg_utf8_codepoint(lua_State *L) {
  struct lg_state *st = lg_state_of(L);
  size_t len;
  const char *s = luaL_checklstring(L, 1, &len);
  lua_Integer i = lg_utf8_position(luaL_optinteger(L, 2, 1), len);
  lua_Integer j = lg_utf8_position(luaL_optinteger(L, 3, i), len);
  int strict = !lua_toboolean(L, 4);
  luaL_argcheck(L, i >= 1, 2, LG_TEXT_OUT_OF_RANGE);
  luaL_argcheck(L, j <= (lua_Integer)len, 3, LG_TEXT_OUT_OF_RANGE);
  if (i > j) return 0;
  if (j - i >= INT_MAX) return luaL_error(L, "string slice too long");
  if (!lg_stack(L, (int)(j - i) + 1)) return luaL_error(L, "stack overflow (string slice too long)");
  int n = 0;
  for (const char *p = s + i - 1; p < s + j;) {
    uint32_t code;
    if (n % LG_UTF8_POLL == 0) lg_poll(st, L);
    p = lg_utf8_decode(p, &code, strict);
    if (p == NULL) return luaL_error(L, "invalid UTF-8 code");
    lua_pushinteger(L, code);
    n++;
  }
  return n;
}

/* Append one character as UTF-8, up to six bytes. */
static void lg_utf8_put(struct lg_strbuf *b, uint32_t code) {
  char *to = lg_sb_reserve(b, 6);
  if (code < 0x80) {
    *to = (char)code;
    lg_sb_added(b, 1);
    return;
  }
  int bytes = code < 0x800 ? 2 : code < 0x10000 ? 3 : code < 0x200000 ? 4 : code < 0x4000000 ? 5 : 6;
  for (int i = bytes - 1; i > 0; i--) {
    to[i] = (char)(unsigned char)(0x80 | (code & 0x3F));
    code >>= 6;
  }
  to[0] = (char)(unsigned char)((0xFF00u >> bytes & 0xFF) | code);
  lg_sb_added(b, (size_t)bytes);
}

static int lg_utf8_char(lua_State *L) {
  struct lg_state *st = lg_state_of(L);
  int n = lua_gettop(L);
  struct lg_strbuf b;
  lg_sb_init(L, &b);
  for (int i = 1; i <= n; i++) {
    lg_poll(st, L);
    lua_Unsigned code = (lua_Unsigned)luaL_checkinteger(L, i);
    luaL_argcheck(L, code <= LG_UTF8_MAX, i, "value out of range");
    lg_utf8_put(&b, (uint32_t)code);
  }
  lg_sb_push(&b);
  return 1;
}

/* From the character at i, forward over n - 1 characters or back over -n; *n is 0 afterwards when they were there. */
static lua_Integer lg_utf8_walk(lua_State *L, const char *s, size_t len, lua_Integer i, lua_Integer *n) {
  struct lg_state *st = lg_state_of(L);
  lua_Integer step = *n < 0 ? -1 : 1;
  lua_Integer left = *n < 0 ? *n : *n - 1;
  unsigned count = 0;
  while (left != 0 && (step < 0 ? i > 0 : i < (lua_Integer)len)) {
    do {
      if (count++ % LG_UTF8_POLL == 0) lg_poll(st, L);
      i += step;
    } while (lg_is_continuation(s + i) && (step > 0 || i > 0));
    left -= step;
  }
  *n = left;
  return i;
}

static int lg_utf8_offset(lua_State *L) {
  struct lg_state *st = lg_state_of(L);
  size_t len;
  const char *s = luaL_checklstring(L, 1, &len);
  lua_Integer n = luaL_checkinteger(L, 2);
  lua_Integer i = lg_utf8_position(luaL_optinteger(L, 3, n >= 0 ? 1 : (lua_Integer)len + 1), len);
  luaL_argcheck(L, 1 <= i && --i <= (lua_Integer)len, 3, LG_TEXT_OUT_OF_PLACE);
  if (n == 0) {
    for (unsigned count = 0; i > 0 && lg_is_continuation(s + i); i--) {
      if (count++ % LG_UTF8_POLL == 0) lg_poll(st, L);
    }
  } else {
    if (lg_is_continuation(s + i)) return luaL_error(L, "initial position is a continuation byte");
    i = lg_utf8_walk(L, s, len, i, &n);
  }
  if (n != 0) {
    lua_pushnil(L);
    return 1;
  }
  lua_pushinteger(L, i + 1);
#if LG_UTF8_OFFSET_HAS_END
  if ((s[i] & 0x80) != 0) {
    if (lg_is_continuation(s + i)) return luaL_error(L, "initial position is a continuation byte");
    for (unsigned count = 0; lg_is_continuation(s + i + 1); i++) {
      if (count++ % LG_UTF8_POLL == 0) lg_poll(st, L);
    }
  }
  lua_pushinteger(L, i + 1);
  return 2;
#else
  return 1;
#endif
}

/* The step of `for p, c in utf8.codes(s)`: from the character at byte n (0 for the first) to the next. */
static int lg_utf8_step(lua_State *L, int strict) {
  struct lg_state *st = lg_state_of(L);
  size_t len;
  const char *s = luaL_checklstring(L, 1, &len);
  lua_Integer at = lua_tointeger(L, 2);
  if (LG_UTF8_ZERO_IS_END && at < 0) at = at == INT64_MIN ? at : 0; /* 5.3 takes one from it first, wrapping */
  lua_Unsigned n = (lua_Unsigned)at;                                /* what is negative lies beyond the end now */
  if (n < len && !(LG_UTF8_ZERO_IS_END && n == 0)) {
    for (unsigned count = 0; lg_is_continuation(s + n); n++) {
      if (count++ % LG_UTF8_POLL == 0) lg_poll(st, L);
    }
  }
  if (n >= len) return 0;
  uint32_t code;
  const char *next = lg_utf8_decode(s + n, &code, strict);
  if (next == NULL || lg_is_continuation(next)) return luaL_error(L, "invalid UTF-8 code");
  lua_pushinteger(L, (lua_Integer)n + 1);
  lua_pushinteger(L, code);
  return 2;
}

static int lg_utf8_step_strict(lua_State *L) { return lg_utf8_step(L, 1); }

#if LG_UTF8_HAS_LAX
static int lg_utf8_step_lax(lua_State *L) { return lg_utf8_step(L, 0); }
#endif

static int lg_utf8_codes(lua_State *L) {
  const char *s = luaL_checkstring(L, 1);
#if LG_UTF8_HAS_LAX
  luaL_argcheck(L, !lg_is_continuation(s), 1, "invalid UTF-8 code");
  lua_pushcfunction(L, lua_toboolean(L, 2) ? lg_utf8_step_lax : lg_utf8_step_strict);
#else
  (void)s;
  lua_pushcfunction(L, lg_utf8_step_strict);
#endif
  lua_pushvalue(L, 1);
  lua_pushinteger(L, 0);
  return 3;
}

/* Push the utf8 library. */
static void lg_open_utf8(lua_State *L) {
  static const struct lg_reg list[] = {
      {"char", lg_utf8_char},   {"charpattern", NULL}, {"codepoint", lg_utf8_codepoint},
      {"codes", lg_utf8_codes}, {"len", lg_utf8_len},  {"offset", lg_utf8_offset},
  };
  lg_lib_new(L, luaopen_utf8, "utf8", list, sizeof list / sizeof list[0]);
}

#endif
#endif
