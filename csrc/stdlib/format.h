/* string.format with the deadline looked at once per item. Compiled once per Lua version.
 *
 * Contract: as in strlib.h. Specifications are parsed and refused as in the version at hand; numbers are formatted
 * by the C library as stock Lua does, in LuaJIT by its own string.format, one item at a time (its numbers are not the C
 * library's). %p gives the number that tostring shows. One difference from stock 5.2: a __tostring that returns no
 * string is an error for %s; stock hands a null pointer to the C library's printf. */
#ifndef LG_STDLIB_FORMAT_H
#define LG_STDLIB_FORMAT_H

#include <ctype.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>

#include "args.h"
#include "strbuf.h"
#include "tostring.h"

enum {
  LG_FORM_SIZE = 40, /* a specification, with its '%', length modifier and NUL */
  LG_ITEM_SIZE = 128 /* room for one item, width and precision included; "%f" alone may ask for more */
};

/* Append a quoted, escaped copy of s, which the version's reader reads back as s. s is anchored on the stack. */
static void lg_add_quoted(lua_State *L, struct lg_strbuf *b, const char *s, size_t len) {
  struct lg_state *st = lg_state_of(L);
  lg_sb_addchar(b, '"');
  for (size_t i = 0; i < len; i++) {
    if (i % LG_CHUNK == 0) lg_poll(st, L);
    unsigned char c = (unsigned char)s[i];
    char *to = lg_sb_reserve(b, 8);
    int n = 1;
    if (c == '"' || c == '\\' || c == '\n') {
      n = snprintf(to, 8, "\\%c", c);
#if LG_QUOTES_ONLY_CR
    } else if (c == '\r' || c == '\0') {
      n = snprintf(to, 8, "%s", c == '\r' ? "\\r" : "\\000");
#elif LG_QUOTES_ASCII
    } else if (c < 32 || c == 127) {
      n = snprintf(to, 8, isdigit((unsigned char)s[i + 1]) ? "\\%03d" : "\\%d", c);
#else
    } else if (iscntrl(c)) {
      n = snprintf(to, 8, isdigit((unsigned char)s[i + 1]) ? "\\%03d" : "\\%d", c);
#endif
    } else {
      *to = (char)c;
    }
    lg_sb_added(b, (size_t)n);
  }
  lg_sb_addchar(b, '"');
}

/* ---- parsing: each version's rules; form gets the specification from '%' on, the result is its last character ---- */

#if !LG_FORMAT_IS_STRICT && !LG_FORMAT_IS_OWN
static const char *lg_parse_spec(lua_State *L, const char *p, char *form) {
  const char *start = p;
  while (*p != '\0' && strchr("-+ #0", *p) != NULL) p++;
  if (p - start >= 6) luaL_error(L, "invalid format (repeated flags)");
  for (int i = 0; i < 2 && isdigit((unsigned char)*p); i++) p++;
  if (*p == '.') {
    p++;
    for (int i = 0; i < 2 && isdigit((unsigned char)*p); i++) p++;
  }
  if (isdigit((unsigned char)*p)) luaL_error(L, "invalid format (width or precision too long)");
  size_t n = (size_t)(p - start) + 1;
  form[0] = '%';
  memcpy(form + 1, start, n);
  form[n + 1] = '\0';
  return p;
}

#elif LG_FORMAT_IS_STRICT
static const char *lg_parse_spec(lua_State *L, const char *p, char *form) {
  size_t n = strspn(p, "-+#0 123456789.") + 1;
  if (n >= 22) luaL_error(L, "invalid format (too long)");
  form[0] = '%';
  memcpy(form + 1, p, n);
  form[n + 1] = '\0';
  return p + n - 1;
}

/* Refuse a specification with flags other than `flags`, or a precision where there is none. */
static void lg_check_spec(lua_State *L, const char *form, const char *flags, int precision) {
  const char *p = form + 1 + strspn(form + 1, flags);
  if (*p != '0') {
    for (int i = 0; i < 2 && isdigit((unsigned char)*p); i++) p++;
    if (*p == '.' && precision) {
      p++;
      for (int i = 0; i < 2 && isdigit((unsigned char)*p); i++) p++;
    }
  }
  if (!isalpha((unsigned char)*p)) luaL_error(L, "invalid conversion specification: '%s'", form);
}
#else
static const char *lg_parse_spec(lua_State *L, const char *p, char *form) {
  const char *start = p;
  int width = 0;
  int precision = -1;
  int left = 0;
  for (; *p != '\0' && strchr("-+ #0", *p) != NULL; p++) left |= *p == '-';
  for (int i = 0; i < 2 && isdigit((unsigned char)*p); i++) width = width * 10 + (*p++ - '0');
  if (*p == '.') {
    p++;
    precision = 0;
    for (int i = 0; i < 2 && isdigit((unsigned char)*p); i++) precision = precision * 10 + (*p++ - '0');
  }
  if (*p == '\0' || strchr("AEFGXacdefgiopqsux", *p) == NULL) {
    (void)lua_pushlstring(L, start - 1, (size_t)(p - start) + 1 + ((unsigned char)*p >= 32));
    luaL_error(L, "invalid option '%s' to 'format'", lua_tolstring(L, -1, NULL));
  }
  /* for strings only: numbers go to stock format as they were written */
  (void)snprintf(form, LG_FORM_SIZE, precision < 0 ? "%s%d" : "%s%d.%d", left ? "-" : "", width, precision);
  return p;
}
#endif

/* ---- items ---- */

#if LG_FORMAT_BY_STOCK
/* Let stock string.format (upvalue 1) write one number; spec points at its '%'. */
static void lg_put_stock(lua_State *L, struct lg_strbuf *b, const char *spec, size_t n, int arg) {
  (void)luaL_checknumber(L, arg);
  lua_pushvalue(L, lua_upvalueindex(1));
  (void)lua_pushlstring(L, spec, n);
  lua_pushvalue(L, arg);
  lua_call(L, 2, 1);
  lg_sb_addvalue(b);
}
#else
static void lg_put_printed(struct lg_strbuf *b, int n) {
  if (n > 0) lg_sb_added(b, (size_t)n < LG_ITEM_SIZE ? (size_t)n : LG_ITEM_SIZE - 1);
}

/* "%d" or "%x" and the like, with nothing but a width and zeros to fill it: written here, since snprintf takes several
 * times as long as all the rest of the item. 0 when the specification says more; then nothing was written. */
static int lg_put_plain_integer(struct lg_strbuf *b, const char *form, char conversion, int64_t v) {
  const char *p = form + 1;
  char fill = ' ';
  size_t width = 0;
  if (*p == '0') fill = *p++;
  for (int i = 0; i < 2 && isdigit((unsigned char)*p); i++) width = width * 10 + (size_t)(*p++ - '0');
  if (*p != conversion) return 0;
  int is_signed = conversion == 'd' || conversion == 'i';
  size_t sign = is_signed && v < 0 ? 1 : 0;
  uint64_t rest = sign ? 0 - (uint64_t)v : (uint64_t)v;
  unsigned bits = conversion == 'x' || conversion == 'X' ? 4 : conversion == 'o' ? 3 : 0; /* of a digit; 0: decimal */
  const char *digits = conversion == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
  char text[24];
  char *at = text + sizeof text;
  do {
    *--at = digits[bits != 0 ? rest & ((1u << bits) - 1) : rest % 10];
    rest = bits != 0 ? rest >> bits : rest / 10;
  } while (rest != 0);
  size_t n = (size_t)(text + sizeof text - at);
  size_t pad = width > n + sign ? width - n - sign : 0;
  char *to = lg_sb_reserve(b, LG_ITEM_SIZE);
  if (sign != 0) to[fill == '0' ? 0 : pad] = '-';
  memset(to + (fill == '0' ? sign : 0), fill, pad);
  memcpy(to + sign + pad, at, n);
  lg_sb_added(b, sign + pad + n);
  return 1;
}

static void lg_put_printed_integer(struct lg_strbuf *b, char *form, char conversion, int64_t v) {
  memcpy(strchr(form, conversion), (const char[]){'l', 'l', conversion, '\0'}, 4);
  lg_put_printed(b, snprintf(lg_sb_reserve(b, LG_ITEM_SIZE), LG_ITEM_SIZE, form, (long long)v));
}

#if LG_HAS_INTEGERS
static void lg_put_integer(lua_State *L, struct lg_strbuf *b, char *form, char conversion, int arg) {
  lua_Integer v = luaL_checkinteger(L, arg);
  if (lg_put_plain_integer(b, form, conversion, v)) return;
#if LG_FORMAT_IS_STRICT
  lg_check_spec(L, form, strchr("di", conversion) != NULL ? "-+0 " : conversion == 'u' ? "-0" : "-#0", 1);
#endif
  lg_put_printed_integer(b, form, conversion, v);
}
#else
static void lg_put_integer(lua_State *L, struct lg_strbuf *b, char *form, char conversion, int arg) {
  lua_Number n = luaL_checknumber(L, arg);
  int64_t v = lg_clip_i64(n);
  int is_signed = conversion == 'd' || conversion == 'i';
  if (!is_signed && n >= 9223372036854775808.0)
    v = (int64_t)((uint64_t)lg_clip_i64(n - 9223372036854775808.0) ^ ((uint64_t)1 << 63));
#if LG_FORMAT_CHECKS_RANGE
  lua_Number diff = n - (is_signed ? (lua_Number)v : (lua_Number)(uint64_t)v);
  luaL_argcheck(L, -1 < diff && diff < 1, arg,
                is_signed ? "not a number in proper range" : "not a non-negative number in proper range");
#endif
  if (!lg_put_plain_integer(b, form, conversion, v)) lg_put_printed_integer(b, form, conversion, v);
}
#endif

static void lg_put_float(lua_State *L, struct lg_strbuf *b, const char *form, char conversion, int arg) {
#if LG_FORMAT_IS_STRICT
  if (conversion == 'a' || conversion == 'A') lg_check_spec(L, form, "-+#0 ", 1);
#endif
  lua_Number n = luaL_checknumber(L, arg);
#if LG_FORMAT_IS_STRICT
  if (conversion != 'a' && conversion != 'A') lg_check_spec(L, form, "-+#0 ", 1);
#else
  (void)conversion;
#endif
  size_t room = LG_ITEM_SIZE;
  int k = snprintf(lg_sb_reserve(b, room), room, form, n);
  if (k >= LG_ITEM_SIZE) { /* "%.99f" of the largest double takes 410 */
    room = (size_t)k + 1;
    k = snprintf(lg_sb_reserve(b, room), room, form, n);
  }
  if (k > 0) lg_sb_added(b, (size_t)k);
}

static void lg_put_char(lua_State *L, struct lg_strbuf *b, const char *form, int arg) {
#if LG_FORMAT_IS_STRICT
  lg_check_spec(L, form, "-", 0);
#endif
#if LG_FORMAT_CHAR_IS_C
  int c = lg_clip_int(luaL_checknumber(L, arg));
  char *to = lg_sb_reserve(b, LG_ITEM_SIZE);
  (void)snprintf(to, LG_ITEM_SIZE, form, c);
  lg_put_printed(b, (int)strlen(to));
#else
  int c = (int)luaL_checkinteger(L, arg);
  char *to = lg_sb_reserve(b, LG_ITEM_SIZE);
  lg_put_printed(b, snprintf(to, LG_ITEM_SIZE, form, c));
#endif
}
#endif

/* The text of the argument for %s, on top of the stack. */
static const char *lg_format_text(lua_State *L, int arg, size_t *len) {
#if LG_FORMAT_TEXTS_ONLY
  (void)luaL_checklstring(L, arg, len);
  lua_pushvalue(L, arg);
  return lua_tolstring(L, -1, len);
#else
  const char *s = lg_tostring(L, arg, len);
  if (s != NULL) return s;
#if LG_FORMAT_ANY_TOSTRING
  lg_push_plain(L, -1);
  lua_remove(L, -2);
  return lua_tolstring(L, -1, len);
#else
  luaL_error(L, "'__tostring' must return a string");
  return NULL;
#endif
#endif
}

#if LG_FORMAT_IS_OWN
static void lg_put_string(lua_State *L, struct lg_strbuf *b, const char *form, int arg) {
  size_t len;
  const char *s = lg_format_text(L, arg, &len);
  int left = form[0] == '-';
  char *rest = NULL;
  size_t width = (size_t)strtol(form + left, &rest, 10);
  if (*rest == '.') {
    size_t precision = (size_t)strtol(rest + 1, NULL, 10);
    if (precision < len) len = precision;
  }
  size_t pad = width > len ? width - len : 0;
  char *to = lg_sb_reserve(b, len + pad);
  memset(to, ' ', len + pad);
  memcpy(to + (left ? 0 : pad), s, len);
  lg_sb_added(b, len + pad);
  lua_pop(L, 1);
}
#else
static void lg_put_string(lua_State *L, struct lg_strbuf *b, const char *form, int arg) {
  size_t len;
  const char *s;
#if LG_FORMAT_TAKES_NULS
  /* The strings' metatable, out of every script's reach, has no __tostring and no __name. */
  if (form[2] == '\0' && lua_type(L, arg) == LUA_TSTRING) {
    s = lua_tolstring(L, arg, &len);
    lg_sb_add(b, s, len);
    return;
  }
#endif
  s = lg_format_text(L, arg, &len);
#if LG_FORMAT_TAKES_NULS
  if (form[2] == '\0') {
    lg_sb_addvalue(b);
    return;
  }
  luaL_argcheck(L, memchr(s, '\0', len) == NULL, arg, "string contains zeros");
#endif
#if LG_FORMAT_IS_STRICT
  lg_check_spec(L, form, "-", 1);
#endif
  if (strchr(form, '.') == NULL && len >= 100) { /* no precision, and longer than any width */
    lg_sb_addvalue(b);
    return;
  }
#if !LG_FORMAT_TAKES_NULS
  if (form[2] == '\0') { /* what printf makes of it, up to a NUL */
    lg_sb_add(b, s, strlen(s));
    lua_pop(L, 1);
    return;
  }
#endif
  char *to = lg_sb_reserve(b, LG_ITEM_SIZE);
  int n = snprintf(to, LG_ITEM_SIZE, form, s);
  lg_sb_added(b, n > 0 ? (size_t)n : 0); /* at most 100 bytes */
  lua_pop(L, 1);
}
#endif

#if LG_FORMAT_HAS_LITERALS
/* %q of a float: as C99 hexadecimal with a dot, which reads back as the same value. */
static void lg_put_literal_float(struct lg_strbuf *b, lua_Number n) {
  char *to = lg_sb_reserve(b, LG_ITEM_SIZE);
  int k;
#if LG_FORMAT_HAS_INFINITY
  if (n != n)
    k = snprintf(to, LG_ITEM_SIZE, "(0/0)");
  else if (n - n != 0)
    k = snprintf(to, LG_ITEM_SIZE, n > 0 ? "1e9999" : "-1e9999");
  else
#endif
    k = snprintf(to, LG_ITEM_SIZE, "%a", n);
  if (strchr(to, '.') == NULL) {
    // Scripts cannot set the locale here; a host that does so in another thread breaks snprintf itself, just above.
    char *point = strchr(to, localeconv()->decimal_point[0]); // NOLINT(concurrency-mt-unsafe)
    if (point != NULL && *point != '\0') *point = '.';
  }
  lg_put_printed(b, k);
}

static void lg_put_literal(lua_State *L, struct lg_strbuf *b, int arg) {
  size_t len;
  const char *s;
  switch (lua_type(L, arg)) {
    case LUA_TSTRING:
      s = lua_tolstring(L, arg, &len);
      lg_add_quoted(L, b, s, len);
      break;
    case LUA_TNUMBER: {
      if (!lua_isinteger(L, arg)) {
        lg_put_literal_float(b, lua_tonumber(L, arg));
        break;
      }
      lua_Integer v = lua_tointeger(L, arg);
      lg_put_printed(b, snprintf(lg_sb_reserve(b, LG_ITEM_SIZE), LG_ITEM_SIZE, v == INT64_MIN ? "0x%llx" : "%lld", v));
      break;
    }
    case LUA_TNIL:
    case LUA_TBOOLEAN:
      (void)lg_tostring(L, arg, NULL);
      lg_sb_addvalue(b);
      break;
    default: luaL_argerror(L, arg, "value has no literal form");
  }
}
#else
static void lg_put_literal(lua_State *L, struct lg_strbuf *b, int arg) {
  size_t len;
#if LG_FORMAT_IS_OWN
  const char *s = lg_format_text(L, arg, &len);
  lg_add_quoted(L, b, s, len);
  lua_pop(L, 1);
#else
  const char *s = luaL_checklstring(L, arg, &len);
  lg_add_quoted(L, b, s, len);
#endif
}
#endif

#if LG_FORMAT_HAS_POINTER
/* %p: what stands for the value's address, where it has one. */
static void lg_put_pointer(lua_State *L, struct lg_strbuf *b, const char *form, int arg) {
  char text[LG_IDENTITY_TEXT] = LG_TEXT_NO_POINTER;
  const void *object = lua_topointer(L, arg);
  if (object != NULL) lg_identity_write(&lg_state_of(L)->identity, object, text);
#if LG_FORMAT_IS_STRICT
  lg_check_spec(L, form, "-", 0);
  char as_text[LG_FORM_SIZE];
  (void)snprintf(as_text, sizeof as_text, "%.*ss", (int)strlen(form) - 1, form);
  char *to = lg_sb_reserve(b, LG_ITEM_SIZE);
  lg_put_printed(b, snprintf(to, LG_ITEM_SIZE, as_text, text));
#else
  (void)form;
  lg_sb_add(b, text, strlen(text));
#endif
}
#endif

/* One item; p is behind its '%'. Returns what follows it. */
static const char *lg_format_item(lua_State *L, struct lg_strbuf *b, const char *p, int arg, int top) {
  char form[LG_FORM_SIZE];
#if LG_FORMAT_IS_OWN
  const char *last = lg_parse_spec(L, p, form);
  if (arg > top) luaL_argerror(L, arg, "value expected");
#else
  if (arg > top) luaL_argerror(L, arg, "no value");
  const char *last = lg_parse_spec(L, p, form);
#endif
  char c = *last;
  if (c == 's') {
    lg_put_string(L, b, form, arg);
  } else if (c == 'q') {
#if LG_FORMAT_IS_STRICT
    if (form[2] != '\0') luaL_error(L, "specifier '%%q' cannot have modifiers");
#endif
    lg_put_literal(L, b, arg);
#if LG_FORMAT_HAS_POINTER
  } else if (c == 'p') {
    lg_put_pointer(L, b, form, arg);
#endif
#if LG_FORMAT_BY_STOCK
  } else if (c != '\0' && strchr(LG_FORMAT_NUMBERS, c) != NULL) {
    lg_put_stock(L, b, p - 1, (size_t)(last - p) + 2, arg);
#else
  } else if (c == 'd' || c == 'x' || (c != '\0' && strchr("iouX", c) != NULL)) {
    lg_put_integer(L, b, form, c, arg);
  } else if (c == 'c') {
    lg_put_char(L, b, form, arg);
  } else if (c != '\0' && strchr(LG_FORMAT_FLOATS, c) != NULL) {
    lg_put_float(L, b, form, c, arg);
#endif
#if !LG_FORMAT_IS_OWN
  } else {
#if LG_FORMAT_IS_STRICT
    luaL_error(L, "invalid conversion '%s' to 'format'", form);
#else
    luaL_error(L, "invalid option '%%%c' to 'format'", c);
#endif
#endif
  }
  return last + 1;
}

static int lg_str_format(lua_State *L) {
  struct lg_state *st = lg_state_of(L);
  int top = lua_gettop(L);
  int arg = 1;
  size_t len;
  const char *p = luaL_checklstring(L, 1, &len);
  const char *end = p + len;
  struct lg_strbuf b;
  lg_sb_init(L, &b);
  while (p < end) {
    lg_poll(st, L);
    const char *item = memchr(p, '%', (size_t)(end - p));
    lg_sb_add(&b, p, (size_t)((item != NULL ? item : end) - p));
    if (item == NULL) break;
    p = item + 1;
    if (*p == '%') {
      lg_sb_addchar(&b, '%');
      p++;
    } else {
      p = lg_format_item(L, &b, p, ++arg, top);
    }
  }
  lg_sb_push(&b);
  return 1;
}

#endif
