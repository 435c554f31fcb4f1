/* tonumber: a numeral above LG_NUMERAL_AT_ONCE is read in pieces, with a look at the deadline between them. Compiled once per
 * Lua version, but for LuaJIT: there the stock function stays, whose scanner is LuaJIT's own code.
 *
 * Contract: as in args.h. Results, argument errors and messages are the version's own, for every input.
 * - Stock gives the string to strtod() or strtoul() of the C library, and nothing ends a call of those.
 * - Of a long numeral a short one of the same value is made, and Lua or strtod() converts that. It has no decimal point, so
 *   only reading the long one depends on the locale. Its digits are enough: no double, and no middle between two, has as
 *   many as LG_NUMERAL_DIGITS significant ones, so what follows these counts only as zero or not.
 * - A base other than ten is Lua's own loop from 5.2 on, and strtoul() in 5.1: here it is one loop for short and long. */
#ifndef LG_STDLIB_TONUMBER_H
#define LG_STDLIB_TONUMBER_H

#include "args.h"

#if !LG_TONUMBER_IS_STOCK
#include <ctype.h>
#include <inttypes.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LG_NUMERAL_AT_ONCE ((size_t)1 << 16) /* bytes that the C library converts in a fraction of a millisecond */
#define LG_NUMERAL_PIECE ((size_t)1 << 12)   /* between two looks: a digit takes a nanosecond or more */
#define LG_NUMERAL_DIGITS 800

/* Where reading has come to in a string. st is NULL in a short one, which is read at once. A NUL stands at the end. */
struct lg_cursor {
  struct lg_state *st;
  lua_State *L;
  const char *p;
  const char *end;
};

static inline struct lg_cursor lg_cursor_of(lua_State *L, const char *s, size_t len) {
  return (struct lg_cursor){len > LG_NUMERAL_AT_ONCE ? lg_state_of(L) : NULL, L, s, s + len};
}

/* The end of the next piece. */
static inline const char *lg_piece_end(const struct lg_cursor *c) {
  if (c->st == NULL) return c->end;
  lg_poll(c->st, c->L);
  return (size_t)(c->end - c->p) > LG_NUMERAL_PIECE ? c->p + LG_NUMERAL_PIECE : c->end;
}

/* White space: to 5.1 what it is to the C library, then what it is to Lua. */
static inline int lg_is_blank(char c) {
#if LG_NUMERALS_ARE_C
  return isspace((unsigned char)c);
#else
  return c == ' ' || (c >= '\t' && c <= '\r');
#endif
}

static inline void lg_skip_blanks(struct lg_cursor *c) {
  const char *stop = NULL;
  do {
    stop = lg_piece_end(c);
    while (c->p < stop && lg_is_blank(*c->p)) c->p++;
  } while (c->p == stop && stop < c->end);
}

/* Step over a sign; not 0 for a minus. */
static inline int lg_skip_sign(struct lg_cursor *c) {
  int negative = *c->p == '-';
  if (negative || *c->p == '+') c->p++;
  return negative;
}

/* Nothing but white space is left. For 5.1 a string ends at its first NUL. */
static inline int lg_ends(struct lg_cursor *c) {
  lg_skip_blanks(c);
  return LG_NUMERALS_ARE_C ? *c->p == '\0' : c->p == c->end;
}

/* A letter or digit as a digit; 36 for what is none. */
static inline unsigned lg_digit(char c) {
  unsigned digit = (unsigned char)c - (unsigned)'0';
  if (digit < 10) return digit;
  unsigned letter = ((unsigned char)c | 0x20u) - (unsigned)'a';
  return letter < 26 ? letter + 10 : 36;
}

/* The letter c, in either case. */
static inline int lg_is_letter(char c, char letter) { return ((unsigned char)c | 0x20) == letter; }

static inline int lg_skip_0x(struct lg_cursor *c) {
  if (c->p[0] != '0' || !lg_is_letter(c->p[1], 'x')) return 0;
  c->p += 2;
  return 1;
}

/* A long numeral while it is read: digits * radix ^ scale * (10 or 2) ^ exponent. */
struct lg_numeral {
  struct lg_cursor c;
  int hex;
  int negative;
  int found;        /* a digit, even a leading zero */
  int is_whole;     /* neither point nor exponent: an integer from 5.3 on */
  int more;         /* a digit other than 0 was left out */
  int kept;         /* digits, from the first that is not 0 */
  int64_t scale;    /* digits left out, less digits behind the point */
  int64_t exponent; /* no further than LG_EXPONENT_MOST: above what any scale could make up for */
#if LG_HAS_INTEGERS
  lua_Unsigned wrapped; /* of a hexadecimal one: modulo 2^64 */
#elif LG_HEX_ROUNDS_DIGITS
  lua_Number rounded; /* of a hexadecimal one: rounded at each digit */
  unsigned places;    /* digits behind the point, and the exponent, as int has them */
  unsigned power;
#endif
  char digits[LG_NUMERAL_DIGITS];
};

#define LG_EXPONENT_MOST ((int64_t)1 << 50)

static inline void lg_take_digit(struct lg_numeral *n, unsigned digit, char c, int is_fraction) {
#if LG_HAS_INTEGERS
  n->wrapped = n->wrapped * 16 + digit;
#elif LG_HEX_ROUNDS_DIGITS
  if (n->hex) n->rounded = n->rounded * 16 + digit;
  n->places += (unsigned)is_fraction;
#endif
  if (n->kept == LG_NUMERAL_DIGITS) {
    n->more |= digit != 0;
    n->scale += !is_fraction;
    return;
  }
  if (n->kept > 0 || digit != 0) n->digits[n->kept++] = c;
  n->scale -= is_fraction;
}

static void lg_take_digits(struct lg_numeral *n, int is_fraction) {
  const unsigned radix = n->hex ? 16 : 10;
  struct lg_cursor *c = &n->c;
  const char *stop = NULL;
  const char *begin = c->p;
  do {
    stop = lg_piece_end(c);
    for (; c->p < stop; c->p++) {
      unsigned digit = lg_digit(*c->p);
      if (digit >= radix) break;
      lg_take_digit(n, digit, *c->p, is_fraction);
    }
  } while (c->p == stop && stop < c->end);
  n->found |= c->p > begin;
}

/* What follows e or p; 0 when no digit does. */
static int lg_take_exponent(struct lg_numeral *n) {
  struct lg_cursor *c = &n->c;
  int negative = lg_skip_sign(c);
  const char *begin = c->p;
  const char *stop = NULL;
  do {
    stop = lg_piece_end(c);
    for (; c->p < stop && lg_digit(*c->p) < 10; c->p++) {
      unsigned digit = lg_digit(*c->p);
      if (n->exponent < LG_EXPONENT_MOST) n->exponent = n->exponent * 10 + digit;
#if LG_HEX_ROUNDS_DIGITS
      n->power = n->power * 10 + digit;
#endif
    }
  } while (c->p == stop && stop < c->end);
  if (negative) n->exponent = -n->exponent;
#if LG_HEX_ROUNDS_DIGITS
  if (negative) n->power = 0 - n->power;
#endif
  return c->p > begin;
}

#if LG_HEX_ROUNDS_DIGITS
/* This Lua 5.2 reads hexadecimal numerals itself, rounding at each digit, and not with strtod(): which of them was chosen
 * when it was built. The numeral is just above the middle between two doubles, its first 15 digits are just that. */
static int lg_rounds_each_digit(lua_State *L) {
  (void)lua_pushliteral(L, "0x1000000000000081");
  lua_Number value = lua_tonumber(L, -1);
  lua_pop(L, 1);
  return value == 0x1p60;
}
#endif

/* The decimal point: the locale's in strtod(), always a dot where Lua 5.2 reads itself. *own says whether it does. */
static const char *lg_decimal_point(const struct lg_numeral *n, int *own) {
  *own = 0;
#if LG_HEX_ROUNDS_DIGITS
  *own = n->hex && lg_rounds_each_digit(n->c.L);
#else
  (void)n;
#endif
  return *own ? "." : localeconv()->decimal_point; // NOLINT(concurrency-mt-unsafe): as Lua and strtod() read it
}

/* Push the number for what was read. */
static void lg_push_numeral(struct lg_numeral *n, int own) {
  lua_State *L = n->c.L;
  char text[LG_NUMERAL_DIGITS + 48];
  int64_t exponent = (n->hex ? n->scale * 4 : n->scale) + n->exponent;
#if LG_HAS_INTEGERS
  if (n->is_whole && n->hex) {
    lua_pushinteger(L, (lua_Integer)(n->negative ? 0 - n->wrapped : n->wrapped));
    return;
  }
#elif LG_HEX_ROUNDS_DIGITS
  if (own) {
    lua_pushnumber(L, ldexp(n->negative ? -n->rounded : n->rounded, (int)(n->power - n->places * 4)));
    return;
  }
#endif
  (void)own;
  if (n->more) exponent -= n->hex ? 4 : 1;
  if (exponent > 99999) exponent = 99999; /* the digits are 801 at most: beyond every double */
  if (exponent < -99999) exponent = -99999;
  if (n->kept == 0) exponent = 0;
  int at = snprintf(text, sizeof text, "%s%s%.*s%s", n->negative ? "-" : "", n->hex ? "0x" : "",
                    n->kept > 0 ? n->kept : 1, n->kept > 0 ? n->digits : "0", n->more ? "1" : "");
  if (!n->is_whole || exponent != 0)
    (void)snprintf(text + at, sizeof text - (size_t)at, "%c%" PRId64, n->hex ? 'p' : 'e', exponent);
#if LG_HAS_INTEGERS
  (void)lua_stringtonumber(L, text);
#else
  lua_pushnumber(L, strtod(text, NULL)); /* not from a Lua string, which would need memory */
#endif
}

#if LG_NUMERALS_ARE_C
/* The word (in small letters), in any case: step over it. */
static int lg_skip_word(struct lg_cursor *c, const char *word) {
  size_t len = 0;
  while (word[len] != '\0' && lg_is_letter(c->p[len], word[len])) len++;
  if (word[len] != '\0') return 0;
  c->p += len;
  return 1;
}

/* Step over the n-char-sequence in parentheses that strtod() takes behind nan, if it is one. It says which of the NaNs is
 * meant; no function of 5.1 tells them apart. */
static void lg_skip_nan_kind(struct lg_cursor *c) {
  const char *stop = NULL;
  const char *begin = c->p;
  if (*c->p != '(') return;
  c->p++;
  do {
    stop = lg_piece_end(c);
    while (c->p < stop && (lg_digit(*c->p) < 36 || *c->p == '_')) c->p++;
  } while (c->p == stop && stop < c->end);
  c->p = *c->p == ')' ? c->p + 1 : begin;
}

/* inf and nan, which are numerals to 5.1: push one, or return 0. */
static int lg_push_named(struct lg_numeral *n) {
  struct lg_cursor *c = &n->c;
  lua_Number value = INFINITY;
  if (lg_skip_word(c, "inf")) {
    (void)lg_skip_word(c, "inity");
  } else if (lg_skip_word(c, "nan")) {
    lg_skip_nan_kind(c);
    value = NAN;
  } else {
    return 0;
  }
  if (!lg_ends(c)) return 0;
  lua_pushnumber(c->L, copysign(value, n->negative ? -1 : 1));
  return 1;
}
#endif

/* Push the number that a long string stands for; 0, and nothing pushed, when it is no numeral. The string stays where it
 * is on the Lua stack meanwhile. */
static int lg_push_long(lua_State *L, const char *s, size_t len) {
  struct lg_numeral n;
  memset(&n, 0, sizeof n);
  n.c = (struct lg_cursor){lg_state_of(L), L, s, s + len};
  lg_skip_blanks(&n.c);
  n.negative = lg_skip_sign(&n.c);
#if LG_NUMERALS_ARE_C
  if (lg_digit(*n.c.p) >= 10 && lg_digit(*n.c.p) < 36) return lg_push_named(&n);
#endif
  n.hex = lg_skip_0x(&n.c);
  n.is_whole = 1;
  int own = 0;
  const char *point = lg_decimal_point(&n, &own);
  lg_take_digits(&n, 0);
  if (strncmp(n.c.p, point, strlen(point)) == 0) {
    n.is_whole = 0;
    n.c.p += strlen(point);
    lg_take_digits(&n, 1);
  }
  if (!n.found) return 0;
  if (lg_is_letter(*n.c.p, n.hex ? 'p' : 'e')) {
    n.is_whole = 0;
    n.c.p++;
    if (!lg_take_exponent(&n)) return 0;
  }
  if (!lg_ends(&n.c)) return 0;
  lg_push_numeral(&n, own);
  return 1;
}

/* Make an argument that is a long string a short one: the number it stands for, or a string that is no numeral either, so
 * that what reads a number there takes no time. */
static void lg_shorten_numeral(lua_State *L, int arg) {
  if (lua_type(L, arg) != LUA_TSTRING || lua_rawlen(L, arg) <= LG_NUMERAL_AT_ONCE) return;
  size_t len = 0;
  const char *s = lua_tolstring(L, arg, &len);
  if (!lg_push_long(L, s, len)) (void)lua_pushliteral(L, "");
  lua_replace(L, arg);
}

/* What a numeral in a base of 2 to 36 amounts to. */
#if LG_HAS_INTEGERS
typedef lua_Unsigned lg_based; /* wraps */
#elif LG_HEX_ROUNDS_DIGITS
typedef lua_Number lg_based; /* rounded at each digit */
#else
typedef unsigned long
    lg_based; /* strtoul()'s, which C libraries answer in different ways where it is not large enough */
#endif

/* Read the digits; 0 when there are none. They end at what is no digit in this base. */
static inline int lg_based_digits(struct lg_cursor *c, unsigned base, int negative, lg_based *value) {
  const char *begin = c->p;
  const char *stop = NULL;
  int is_over = 0;
  lg_based v = 0;
  do {
    stop = lg_piece_end(c);
    for (; c->p < stop; c->p++) {
      unsigned digit = lg_digit(*c->p);
      if (digit >= base) break;
#if LG_NUMERALS_ARE_C
      is_over |= v > (lg_based)-1 / base;
      v *= base;
      is_over |= v > (lg_based)-1 - digit;
      v += digit;
#else
      v = v * base + digit;
#endif
    }
  } while (c->p == stop && stop < c->end);
  if (negative) v = -v;
#if LG_NUMERALS_ARE_C
  if (is_over) v = strtoul(negative ? "-99999999999999999999" : "99999999999999999999", NULL, 10);
#endif
  (void)is_over;
  *value = v;
  return c->p > begin;
}

/* tonumber(s, base): always one result. */
static int lg_tonumber_based(lua_State *L, const char *s, size_t len, unsigned base) {
  struct lg_cursor c = lg_cursor_of(L, s, len);
  lg_based value = 0;
  lg_skip_blanks(&c);
  int negative = lg_skip_sign(&c);
#if LG_NUMERALS_ARE_C
  if (base == 16) (void)lg_skip_0x(&c); /* without a digit behind it this is no numeral, here as in strtoul() */
#endif
  if (!lg_based_digits(&c, base, negative, &value) || !lg_ends(&c)) {
    lua_pushnil(L);
    return 1;
  }
#if LG_HAS_INTEGERS
  lua_pushinteger(L, (lua_Integer)value);
#else
  lua_pushnumber(L, (lua_Number)value);
#endif
  return 1;
}

/* tonumber(v [, base]). */
#if LG_HAS_INTEGERS
static int lg_tonumber(lua_State *L) {
  size_t len = 0;
  const char *s = NULL;
  if (!lua_isnoneornil(L, 2)) {
    lg_shorten_numeral(L, 2);
    lua_Integer base = luaL_checkinteger(L, 2);
    luaL_checktype(L, 1, LUA_TSTRING);
    s = lua_tolstring(L, 1, &len);
    luaL_argcheck(L, 2 <= base && base <= 36, 2, "base out of range");
    return lg_tonumber_based(L, s, len, (unsigned)base);
  }
  if (lua_type(L, 1) == LUA_TNUMBER) {
    lua_settop(L, 1);
    return 1;
  }
  s = lua_tolstring(L, 1, &len);
  if (s == NULL)
    luaL_checkany(L, 1);
  else if (len > LG_NUMERAL_AT_ONCE ? lg_push_long(L, s, len) : lua_stringtonumber(L, s) == len + 1)
    return 1;
  lua_pushnil(L);
  return 1;
}
#else
/* tonumber(v) where v is a string. */
static int lg_tonumber_string(lua_State *L) {
  size_t len = 0;
  char *end = NULL;
  const char *s = lua_tolstring(L, 1, &len);
  if (len > LG_NUMERAL_AT_ONCE) {
    if (!lg_push_long(L, s, len)) lua_pushnil(L);
    return 1;
  }
#if LG_HEX_ROUNDS_DIGITS
  /* inf and nan are no numerals here, and hexadecimal ones are Lua's own matter. */
  if ((len > 1 && lg_is_letter(s[1], 'x')) || strpbrk(s, "nNxX") != NULL) {
    int is_number = 0;
    lua_Number hex = lua_tonumberx(L, 1, &is_number);
    if (is_number)
      lua_pushnumber(L, hex);
    else
      lua_pushnil(L);
    return 1;
  }
#endif
  lua_Number value = strtod(s, &end);
  if (end != s) {
    while (lg_is_blank(*end)) end++;
    if (LG_NUMERALS_ARE_C ? *end == '\0' : end == s + len) {
      lua_pushnumber(L, value);
      return 1;
    }
  }
  lua_pushnil(L);
  return 1;
}

static int lg_tonumber(lua_State *L) {
  if (lua_gettop(L) >= 2 && !lua_isnoneornil(L, 2)) {
    lg_shorten_numeral(L, 2);
    if (LG_BASE_TEN_IS_A_BASE) (void)luaL_checklstring(L, 1, NULL); /* the one that complains first */
    int base = lg_checkint(L, 2);
    if (LG_BASE_TEN_IS_A_BASE || base != 10) {
      size_t len = 0;
      const char *s = luaL_checklstring(L, 1, &len);
      luaL_argcheck(L, 2 <= base && base <= 36, 2, "base out of range");
      return lg_tonumber_based(L, s, len, (unsigned)base);
    }
  }
  switch (lua_type(L, 1)) {
    case LUA_TNUMBER: lua_settop(L, 1); return 1;
    case LUA_TSTRING: return lg_tonumber_string(L);
    default:
      luaL_checkany(L, 1);
      lua_pushnil(L);
      return 1;
  }
}
#endif
#endif

#endif
