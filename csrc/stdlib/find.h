/* string.find, match, gmatch and gsub of the sandbox, on top of the matcher. Compiled once per Lua version.
 *
 * Contract: Lua C functions, called by scripts inside a protected call on the run's thread. Results and error messages
 * are those of the stock functions of the same version; every loop whose length a script chooses looks at the interrupt.
 * lg_open_match() may raise; it adds the functions to the table on the top of the stack. */
#ifndef LG_STDLIB_FIND_H
#define LG_STDLIB_FIND_H

#include "../guard/cstack.h"
#include "args.h"
#include "match.h"
#include "strbuf.h"

#define LG_M_FREE 14 /* values that fit without asking, of the LUA_MINSTACK slots a C function begins with */

/* Raise the error for a capture that the pattern does not have. */
static void lg_no_capture(const struct lg_match *m, int i) {
#if LG_CAPTURES_ARE_NAMED
  luaL_error(m->L, "invalid capture index %%%d", i + 1);
#else
  (void)i;
  luaL_error(m->L, "invalid capture index");
#endif
}

/* What capture i (0: the first) of the match [s, e) is; the whole match stands for the first where there are no
 * captures. Bytes: their address and length. A position: pushed, and the result is LG_M_POSITION. */
static ptrdiff_t lg_capture(const struct lg_match *m, int i, const char *s, const char *e, const char **at) {
  if (i >= m->level) {
    if (i != 0) lg_no_capture(m, i);
    *at = s;
    return e - s;
  }
  ptrdiff_t len = m->capture[i].len;
  if (len == LG_M_OPEN) luaL_error(m->L, "unfinished capture");
  *at = m->capture[i].at;
  if (len == LG_M_POSITION) lua_pushinteger(m->L, (lua_Integer)(m->capture[i].at - m->begin) + 1);
  return len;
}

static void lg_push_capture(const struct lg_match *m, int i, const char *s, const char *e) {
  const char *at;
  ptrdiff_t len = lg_capture(m, i, s, e, &at);
  if (len != LG_M_POSITION) (void)lua_pushlstring(m->L, at, (size_t)len);
}

/* Push all captures, or the whole match where there are none and s is not NULL. How many were pushed. */
static int lg_push_captures(const struct lg_match *m, const char *s, const char *e) {
  int n = m->level;
  if (n == 0) {
    if (s == NULL) return 0;
    (void)lua_pushlstring(m->L, s, (size_t)(e - s));
    return 1;
  }
  if (n > LG_M_FREE && !lg_stack(m->L, n)) luaL_error(m->L, "stack overflow (too many captures)");
  for (int i = 0; i < n; i++) lg_push_capture(m, i, s, e);
  return n;
}

/* Argument 3 of find and match: the offset to begin at, or -1 where nothing can be found. */
static ptrdiff_t lg_find_from(lua_State *L, size_t len) {
#if LG_FIND_FAILS_BEYOND
  lua_Integer from = luaL_optinteger(L, 3, 1);
  if (from > 0) return (size_t)from - 1 > len ? -1 : (ptrdiff_t)from - 1;
  if (from == 0 || from < -(lua_Integer)len) return 0;
  return (ptrdiff_t)((lua_Integer)len + from);
#else
  lua_Integer from = luaL_optinteger(L, 3, 1);
  if (LG_FIND_START_IS_INT && (from < INT_MIN || from > INT_MAX)) from = INT_MIN; /* an int, there */
  if (from < 0) from += (lua_Integer)len + 1;
  if (from < 1) return 0;
  return (size_t)from - 1 > len ? (ptrdiff_t)len : (ptrdiff_t)from - 1;
#endif
}

static inline int lg_is_special(unsigned char c) {
  const uint64_t low = (1ULL << '$') | (1ULL << '%') | (1ULL << '(') | (1ULL << '*') | (1ULL << '+') | (1ULL << '-') |
                       (1ULL << '.') | (1ULL << '?');
  const uint64_t high = (1ULL << ('[' - 64)) | (1ULL << ('^' - 64));
  return c < 64 ? (int)(low >> c & 1) : c < 128 ? (int)(high >> (c - 64) & 1) : 0;
}

/* Has the pattern a character that makes it more than plain text? 5.1 and LuaJIT 2.0 look up to the first NUL only. */
static int lg_has_specials(lua_State *L, const char *p, size_t len) {
  if (LG_SPECIALS_END_AT_NUL) len = lg_until_nul(L, p, len);
  for (size_t i = 0; i < len; i++) {
    if (lg_is_special((unsigned char)p[i])) return 1;
    if (i % LG_CHUNK == LG_CHUNK - 1) lg_look(L);
  }
  return 0;
}

/* The first place where p stands in s, or NULL. */
static const char *lg_find_plain(lua_State *L, const char *s, size_t s_len, const char *p, size_t p_len) {
  const ptrdiff_t credit_full = (ptrdiff_t)1 << 16; /* in bytes compared: some ten microseconds */
  ptrdiff_t credit = credit_full;
  if (p_len == 0) return s;
  if (p_len > s_len) return NULL;
  const char *stop = s + (s_len - p_len) + 1;
  const ptrdiff_t piece = (ptrdiff_t)LG_M_PIECE;
  while (s < stop) {
    const char *at = memchr(s, *p, (size_t)(stop - s > piece ? piece : stop - s));
    if (at == NULL) {
      if (stop - s <= piece) return NULL;
      s += piece;
      lg_look(L);
      continue;
    }
    if (at[p_len - 1] == p[p_len - 1] && lg_equal(L, at + 1, p + 1, p_len - 1)) return at;
    s = at + 1;
    credit -= 64 + (ptrdiff_t)p_len / 16;
    if (credit < 0) {
      credit = credit_full;
      lg_look(L);
    }
  }
  return NULL;
}

static int lg_find_or_match(lua_State *L, int find) {
  size_t s_len, p_len;
  const char *s = luaL_checklstring(L, 1, &s_len);
  const char *p = luaL_checklstring(L, 2, &p_len);
  ptrdiff_t from = lg_find_from(L, s_len);
  if (from < 0) {
    lua_pushnil(L);
    return 1;
  }
  if (find && (lua_toboolean(L, 4) || !lg_has_specials(L, p, p_len))) {
    const char *at = lg_find_plain(L, s + from, s_len - (size_t)from, p, p_len);
    if (at != NULL) {
      lua_pushinteger(L, (lua_Integer)(at - s) + 1);
      lua_pushinteger(L, (lua_Integer)(at - s) + (lua_Integer)p_len);
      return 2;
    }
  } else {
    struct lg_match m;
    int anchor = *p == '^';
    const char *at = s + from;
    lg_m_init(&m, L, s, s_len, p + anchor, p_len - (size_t)anchor);
    const char *e = anchor ? lg_m_try(&m, at) : lg_m_search(&m, &at, NULL);
    if (e != NULL && !find) return lg_push_captures(&m, at, e);
    if (e != NULL) {
      lua_pushinteger(L, (lua_Integer)(at - s) + 1);
      lua_pushinteger(L, (lua_Integer)(e - s));
      return lg_push_captures(&m, NULL, NULL) + 2;
    }
  }
  lua_pushnil(L);
  return 1;
}

static int lg_str_find(lua_State *L) { return lg_find_or_match(L, 1); }

static int lg_str_match(lua_State *L) { return lg_find_or_match(L, 0); }

/* A gmatch under way: the userdata that is its iterator's third upvalue; subject and pattern are the first two. */
struct lg_gmatch {
  struct lg_match m;
  const char *at;     /* where to go on; NULL: it is over */
  const char *not_at; /* 5.3 and later: a match must not end where the last one did */
};

static int lg_gmatch_next(lua_State *L) {
  struct lg_gmatch *g = lua_touserdata(L, lua_upvalueindex(3));
  if (g->at == NULL) return 0;
  const char *at = g->at;
  g->m.L = L; /* the coroutine that asks now */
  const char *e = lg_m_search(&g->m, &at, g->not_at);
  if (e == NULL) {
    g->at = NULL;
    return 0;
  }
#if LG_MATCH_SKIPS_END
  g->at = e;
  g->not_at = e;
#else
  g->at = e > at ? e : e < g->m.end ? e + 1 : NULL;
#endif
  return lg_push_captures(&g->m, at, e);
}

static int lg_str_gmatch(lua_State *L) {
  size_t s_len, p_len, from = 0;
  const char *s = luaL_checklstring(L, 1, &s_len);
  const char *p = luaL_checklstring(L, 2, &p_len);
#if LG_GMATCH_TAKES_START
  ptrdiff_t offset = lg_find_from(L, s_len);
  from = offset < 0 ? SIZE_MAX : (size_t)offset;
#endif
  lua_settop(L, 2);
  struct lg_gmatch *g = lua_newuserdata(L, sizeof *g);
  lg_m_init(&g->m, L, s, s_len, p, p_len);
  g->at = from <= s_len ? s + from : NULL;
  g->not_at = NULL;
  lua_pushcclosure(L, lg_gmatch_next, 3);
  return 1;
}

/* A gsub under way. */
struct lg_gsub {
  struct lg_match m;
  struct lg_strbuf b;
  const char *copied; /* up to here the subject is in the buffer */
  const char *with;   /* replacement string */
  size_t with_len;
  int type;    /* of the replacement: string (or number), table, function */
  int escapes; /* the replacement string has a '%' */
};

/* Append what the '%' before *p stands for, for the match [s, e); the place to go on from. */
static const char *lg_gsub_escape(struct lg_gsub *g, const char *s, const char *e, const char *p) {
  if (*p == '0') {
    lg_sb_add(&g->b, s, (size_t)(e - s));
  } else if (*p >= '1' && *p <= '9') {
    const char *at;
    ptrdiff_t len = lg_capture(&g->m, *p - '1', s, e, &at);
    if (len == LG_M_POSITION) {
      lg_sb_addvalue(&g->b);
    } else {
      lg_sb_add(&g->b, at, (size_t)len);
      lg_m_pay(&g->m, len);
    }
  } else {
#if LG_GSUB_CHECKS_ESCAPES
    if (*p != '%') luaL_error(g->m.L, "invalid use of '%c' in replacement string", '%');
#endif
    lg_sb_addchar(&g->b, *p); /* in 5.1 a '%' at the very end stands for the NUL there */
  }
  return p + 1;
}

/* Append the replacement string for the match [s, e). */
static void lg_gsub_string(struct lg_gsub *g, const char *s, const char *e) {
  const char *p = g->with, *stop = g->with + g->with_len;
  while (g->escapes && p < stop) {
    const char *escape = memchr(p, '%', (size_t)(stop - p));
    if (escape == NULL) break;
    lg_sb_add(&g->b, p, (size_t)(escape - p));
    p = lg_gsub_escape(g, s, e, escape + 1);
    lg_m_step(&g->m);
  }
  if (p < stop) lg_sb_add(&g->b, p, (size_t)(stop - p));
  lg_m_pay(&g->m, (ptrdiff_t)g->with_len);
}

/* Put the replacement of the match [s, e) into the buffer, and what of the subject comes before it; or leave both to be
 * copied later, when a function or table says nil or false. */
static void lg_gsub_replace(struct lg_gsub *g, const char *s, const char *e) {
  lua_State *L = g->m.L;
  if (g->type == LUA_TSTRING) {
    lg_sb_add(&g->b, g->copied, (size_t)(s - g->copied));
    lg_gsub_string(g, s, e);
  } else {
    if (g->type == LUA_TFUNCTION) {
      lua_pushvalue(L, 3);
      lua_call(L, lg_push_captures(&g->m, s, e), 1);
    } else {
      lg_push_capture(&g->m, 0, s, e);
      lua_gettable(L, 3);
    }
    if (!lua_toboolean(L, -1)) {
      lua_pop(L, 1);
      return;
    }
    if (!lua_isstring(L, -1)) luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
    lg_sb_add(&g->b, g->copied, (size_t)(s - g->copied));
    size_t before = g->b.len;
    lg_sb_addvalue(&g->b);
    lg_m_pay(&g->m, (ptrdiff_t)(g->b.len - before));
  }
  g->copied = e;
}

/* Argument 4 of gsub, as the version reads it. */
static size_t lg_gsub_max(lua_State *L, size_t len) {
#if LG_GSUB_MOST_IS_INT
  int max = (int)luaL_optinteger(L, 4, (lua_Integer)(int)(unsigned)(len + 1)); /* an int, there */
  return max < 0 ? 0 : (size_t)max;
#elif LG_GSUB_MOST_WRAPS
  return (size_t)luaL_optinteger(L, 4, (lua_Integer)len + 1);
#else
  lua_Integer max = luaL_optinteger(L, 4, (lua_Integer)len + 1);
  return max < 0 ? 0 : (size_t)max;
#endif
}

/* Argument 3 of gsub. LUA_TSTRING for a number too. */
static int lg_gsub_type(lua_State *L) {
  int type = lua_type(L, 3);
  if (type == LUA_TNUMBER || type == LUA_TSTRING) return LUA_TSTRING;
  if (type == LUA_TFUNCTION || type == LUA_TTABLE) return type;
#if LG_HAS_TYPEERROR
  return luaL_typeerror(L, 3, "string/function/table");
#else
  return luaL_argerror(L, 3, "string/function/table expected");
#endif
}

/* Replace up to max matches from s on. How many there were. */
static size_t lg_gsub_all(struct lg_gsub *g, const char *at, size_t max, int anchor) {
  size_t n = 0;
  const char *not_at = NULL;
  while (n < max) {
    const char *e = anchor ? lg_m_try(&g->m, at) : lg_m_search(&g->m, &at, not_at);
    if (e == NULL) break;
    n++;
    lg_gsub_replace(g, at, e);
    if (anchor) break;
#if LG_MATCH_SKIPS_END
    at = not_at = e;
#else
    if (e == at && e == g->m.end) break;
    at = e > at ? e : e + 1;
#endif
  }
  return n;
}

static int lg_str_gsub(lua_State *L) {
  struct lg_gsub g;
  size_t s_len, p_len;
  const char *s = luaL_checklstring(L, 1, &s_len);
  const char *p = luaL_checklstring(L, 2, &p_len);
  size_t max = lg_gsub_max(L, s_len);
  int anchor = *p == '^';
  g.type = lg_gsub_type(L);
  g.copied = s;
  if (g.type == LUA_TSTRING) {
    g.with = lua_tolstring(L, 3, &g.with_len);
    g.escapes = memchr(g.with, '%', g.with_len) != NULL;
  } else {
    lg_c_stack(L);
  }
  lg_m_init(&g.m, L, s, s_len, p + anchor, p_len - (size_t)anchor);
  lg_sb_init(L, &g.b);
  size_t n = lg_gsub_all(&g, s, max, anchor);
  if (g.copied == s && g.b.len == 0) { /* nothing was replaced, or nothing by nothing at the very start */
    lua_pushvalue(L, 1);
  } else {
    lg_sb_add(&g.b, g.copied, (size_t)(s + s_len - g.copied));
    lg_sb_push(&g.b);
  }
  lua_pushinteger(L, (lua_Integer)n);
  return 2;
}

/* Add the functions to the table on the top of the stack. */
static void lg_open_match(lua_State *L) {
  static const struct lg_reg list[] = {
      {"find", lg_str_find},
      {"match", lg_str_match},
      {"gmatch", lg_str_gmatch},
      {"gsub", lg_str_gsub},
  };
  for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
    lua_pushcfunction(L, list[i].f);
    lua_setfield(L, -2, list[i].name);
  }
#if LG_HAS_GFIND
  (void)lua_getfield(L, -1, "gmatch");
  lua_setfield(L, -2, "gfind");
#endif
}

#endif
