/* The string library of the sandbox, but for pattern matching (find.h), format (format.h), repetition (rep.h) and binary
 * packing (binary.h). Compiled once per Lua version.
 *
 * Contract: C functions that hostile scripts call, each on the run's thread inside the guarded call. Results and error
 * messages are those of the version at hand. Every loop over bytes looks at the deadline once per LG_CHUNK bytes, every
 * loop over arguments once per argument. No dump: bytecode is neither made nor loaded.
 *
 * len is the stock function. The others are not, because
 * - byte: from 5.2 on stock calls it a stack overflow when the limit refuses room for the results.
 * - char: an argument may be a numeral of 20 MB, which strtod() of the C library reads, and the next one the same. 3,000 of
 *   them went on for 127 s after a deadline: the hard stop hardly ever meets Lua's own code in between.
 * - lower, upper, reverse: stock refuses what has room here. 5.1's buffer joins pieces and takes up to five times the string
 *   (three here): 25 MB do not pass a limit of 100 MB. 5.5's buffer asks the allocator, and nothing collects for it.
 * - sub: it collects before a copy that the limit would refuse. 5.1 and LuaJIT never do. */
#ifndef LG_STDLIB_STRLIB_H
#define LG_STDLIB_STRLIB_H

#include <ctype.h>

#include "args.h"
#include "binary.h"
#include "find.h"
#include "format.h"
#include "rep.h"
#include "strbuf.h"

/* First position of a range, 1-based: negative counts from the end, and what lies before the string becomes 1. */
static size_t lg_range_start(int64_t pos, size_t len) {
  if (pos > 0) return (uint64_t)pos > len ? len + 1 : (size_t)pos;
  if (pos == 0 || pos < -(int64_t)len) return 1;
  return (size_t)((int64_t)len + pos + 1);
}

/* Last position of a range: negative counts from the end; at most len, and 0 when it lies before the string. */
static size_t lg_range_end(int64_t pos, size_t len) {
  if (pos > (int64_t)len) return len;
  if (pos >= 0) return (size_t)pos;
  if (pos < -(int64_t)len) return 0;
  return (size_t)((int64_t)len + pos + 1);
}

/* Positions in a string. */
#if LG_STRING_INDEX_WIDE
#define lg_checkpos(L, arg) luaL_checkinteger(L, (arg))
#define lg_optpos(L, arg, def) luaL_optinteger(L, (arg), (def))
#else
#define lg_checkpos(L, arg) lg_checkindex(L, (arg))
#define lg_optpos(L, arg, def) lg_optindex(L, (arg), (def))
#endif

static int lg_str_sub(lua_State *L) {
  size_t len;
  const char *s = luaL_checklstring(L, 1, &len);
  size_t start = lg_range_start(lg_checkpos(L, 2), len);
  size_t end = lg_range_end(lg_optpos(L, 3, -1), len);
  size_t n = start <= end ? end - start + 1 : 0;
  lg_room(lg_state_of(L), L, n);
  (void)lua_pushlstring(L, n == 0 ? "" : s + start - 1, n);
  return 1;
}

static int lg_str_byte(lua_State *L) {
  size_t len;
  const char *s = luaL_checklstring(L, 1, &len);
  int64_t first = lg_optpos(L, 2, 1);
  int64_t last = lua_isnoneornil(L, 3) ? first : lg_optpos(L, 3, 0);
  size_t start = lg_range_start(first, len);
  size_t end = lg_range_end(last, len);
  if (start > end) return 0;
  size_t n = end - start + 1;
  if (n >= LG_RESULTS_MOST) return luaL_error(L, "string slice too long");
  if (!lg_stack(L, (int)n)) return luaL_error(L, "stack overflow (string slice too long)");
  for (size_t i = 0; i < n; i++) lua_pushinteger(L, (unsigned char)s[start - 1 + i]);
  return (int)n;
}

static int lg_str_char(lua_State *L) {
  struct lg_state *st = lg_state_of(L);
  int n = lua_gettop(L);
  struct lg_strbuf b;
  lg_sb_init(L, &b);
  char *p = lg_sb_reserve(&b, (size_t)n);
  for (int i = 1; i <= n; i++) {
    lg_poll(st, L);
    lg_index c = lg_checkindex(L, i);
    luaL_argcheck(L, c >= 0 && c <= UCHAR_MAX, i, LG_TEXT_CHAR_BEYOND);
    p[i - 1] = (char)(unsigned char)c;
  }
  lg_sb_added(&b, (size_t)n);
  lg_sb_push(&b);
  return 1;
}

static int lg_str_reverse(lua_State *L) {
  struct lg_state *st = lg_state_of(L);
  size_t len;
  const char *s = luaL_checklstring(L, 1, &len);
  struct lg_strbuf b;
  lg_sb_init(L, &b);
  char *p = lg_sb_reserve(&b, len);
  for (size_t i = 0; i < len; i++) {
    if (i % LG_CHUNK == 0) lg_poll(st, L);
    p[i] = s[len - 1 - i];
  }
  lg_sb_added(&b, len);
  lg_sb_push(&b);
  return 1;
}

/* Upper and lower case as the version sees it: the C library's (and so the process's locale) or, in LuaJIT, ASCII. */
static int lg_upper_of(int c) {
#if LG_CASE_IS_ASCII
  return c >= 'a' && c <= 'z' ? c - 32 : c;
#else
  return toupper(c);
#endif
}

static int lg_lower_of(int c) {
#if LG_CASE_IS_ASCII
  return c >= 'A' && c <= 'Z' ? c + 32 : c;
#else
  return tolower(c);
#endif
}

static inline int lg_map_bytes(lua_State *L, int (*map)(int)) {
  struct lg_state *st = lg_state_of(L);
  size_t len;
  const char *s = luaL_checklstring(L, 1, &len);
  struct lg_strbuf b;
  lg_sb_init(L, &b);
  char *p = lg_sb_reserve(&b, len);
  for (size_t i = 0, stop = 0; i < len;) {
    lg_poll(st, L);
    stop = len - i > LG_CHUNK ? i + LG_CHUNK : len;
    for (; i < stop; i++) p[i] = (char)map((unsigned char)s[i]);
  }
  lg_sb_added(&b, len);
  lg_sb_push(&b);
  return 1;
}

static int lg_str_lower(lua_State *L) { return lg_map_bytes(L, lg_lower_of); }
static int lg_str_upper(lua_State *L) { return lg_map_bytes(L, lg_upper_of); }

/* Push the string library, matching included. */
static void lg_open_string(lua_State *L) {
  static const struct lg_reg list[] = {
      {"byte", lg_str_byte},   {"char", lg_str_char},         {"format", lg_str_format},   {"len", NULL},
      {"lower", lg_str_lower}, {"rep", lg_str_rep},           {"reverse", lg_str_reverse}, {"sub", lg_str_sub},
      {"upper", lg_str_upper},
#if LG_HAS_PACK
      {"pack", lg_str_pack},   {"packsize", lg_str_packsize}, {"unpack", lg_str_unpack},
#endif
  };
  lg_lib_new(L, luaopen_string, "string", list, sizeof list / sizeof list[0]);
#if LG_FORMAT_BY_STOCK
  lua_pushcfunction(L, luaopen_string);
  lua_call(L, 0, 1);
  (void)lua_getfield(L, -1, "format");
  lua_remove(L, -2);
  lua_pushcclosure(L, lg_str_format, 1);
  lua_setfield(L, -2, "format");
#endif
  lg_open_match(L);
}

#endif
