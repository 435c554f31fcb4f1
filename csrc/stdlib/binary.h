/* string.pack, packsize and unpack (Lua 5.3 and later), looking at the deadline once per option. Compiled once per Lua
 * version.
 *
 * Contract: as in strlib.h. Sizes are bytes and size_t throughout; where stock 5.3 adds lengths that may wrap, the
 * comparison here cannot, and "data string too short" is the answer. */
#ifndef LG_STDLIB_BINARY_H
#define LG_STDLIB_BINARY_H

#if LG_HAS_PACK

#include "args.h"
#include "strbuf.h"

enum { LG_INT_SIZE = sizeof(lua_Integer), LG_INT_SIZE_MAX = 16 };

/* The alignment that '!' stands for: that of Lua's userdata blocks. */
#if LG_PACK_ALIGN_IS_MAX
#define LG_PACK_ALIGN _Alignof(max_align_t)
#else
#define LG_PACK_ALIGN (_Alignof(double) > _Alignof(void *) ? _Alignof(double) : _Alignof(void *))
#endif

enum lg_option {
  LG_OPT_INT,
  LG_OPT_UINT,
  LG_OPT_FLOAT,
  LG_OPT_DOUBLE,
  LG_OPT_CHARS,   /* fixed size */
  LG_OPT_STRING,  /* behind its length */
  LG_OPT_ZSTRING, /* before a zero */
  LG_OPT_PADDING,
  LG_OPT_ALIGN,
  LG_OPT_NONE
};

struct lg_layout {
  lua_State *L;
  const char *p; /* rest of the format */
  int little;
  size_t maxalign;
  size_t size;  /* of the current option */
  size_t align; /* padding before it */
};

static int lg_native_little(void) {
  const uint16_t one = 1;
  unsigned char first;
  memcpy(&first, &one, 1);
  return first;
}

static void lg_layout_init(struct lg_layout *h, lua_State *L, const char *format) {
  h->L = L;
  h->p = format;
  h->little = lg_native_little();
  h->maxalign = 1;
  h->size = 0;
  h->align = 0;
}

/* The numeral at the cursor, or def when there is none. Stops before it could pass LG_PACK_MOST. */
static size_t lg_numeral(struct lg_layout *h, size_t def) {
  if (*h->p < '0' || *h->p > '9') return def;
  size_t n = 0;
  do {
    n = n * 10 + (size_t)(*h->p++ - '0');
  } while (*h->p >= '0' && *h->p <= '9' && n <= (LG_PACK_MOST - 9) / 10);
  return n;
}

static size_t lg_int_size(struct lg_layout *h, size_t def) {
  size_t n = lg_numeral(h, def);
  if (n == 0 || n > LG_INT_SIZE_MAX)
    luaL_error(h->L, "integral size (%d) out of limits [1,%d]", (int)n, (int)LG_INT_SIZE_MAX);
  return n;
}

static enum lg_option lg_sized(size_t *size, size_t n, enum lg_option kind) {
  *size = n;
  return kind;
}

/* Read one option and its size. */
static enum lg_option lg_read_option(struct lg_layout *h, size_t *size) {
  int c = (unsigned char)*h->p++;
  *size = 0;
  switch (c) {
    case 'b': return lg_sized(size, sizeof(char), LG_OPT_INT);
    case 'B': return lg_sized(size, sizeof(char), LG_OPT_UINT);
    case 'h': return lg_sized(size, sizeof(short), LG_OPT_INT);
    case 'H': return lg_sized(size, sizeof(short), LG_OPT_UINT);
    case 'l': return lg_sized(size, sizeof(long), LG_OPT_INT);
    case 'L': return lg_sized(size, sizeof(long), LG_OPT_UINT);
    case 'j': return lg_sized(size, sizeof(lua_Integer), LG_OPT_INT);
    case 'J': return lg_sized(size, sizeof(lua_Integer), LG_OPT_UINT);
    case 'T': return lg_sized(size, sizeof(size_t), LG_OPT_UINT);
    case 'f': return lg_sized(size, sizeof(float), LG_OPT_FLOAT);
    case 'd':
    case 'n': return lg_sized(size, sizeof(double), LG_OPT_DOUBLE);
    case 'i': return lg_sized(size, lg_int_size(h, sizeof(int)), LG_OPT_INT);
    case 'I': return lg_sized(size, lg_int_size(h, sizeof(int)), LG_OPT_UINT);
    case 's': return lg_sized(size, lg_int_size(h, sizeof(size_t)), LG_OPT_STRING);
    case 'c':
      *size = lg_numeral(h, SIZE_MAX);
      if (*size == SIZE_MAX) luaL_error(h->L, "missing size for format option 'c'");
      return LG_OPT_CHARS;
    case 'z': return LG_OPT_ZSTRING;
    case 'x': return lg_sized(size, 1, LG_OPT_PADDING);
    case 'X': return LG_OPT_ALIGN;
    case ' ': break;
    case '<': h->little = 1; break;
    case '>': h->little = 0; break;
    case '=': h->little = lg_native_little(); break;
    case '!': h->maxalign = lg_int_size(h, LG_PACK_ALIGN); break;
    default: luaL_error(h->L, "invalid format option '%c'", c);
  }
  return LG_OPT_NONE;
}

/* The next option, its size and the padding before it when `total` bytes are there already. */
static enum lg_option lg_next_option(struct lg_layout *h, size_t total) {
  enum lg_option opt = lg_read_option(h, &h->size);
  size_t align = h->size;
  if (opt == LG_OPT_ALIGN && (*h->p == '\0' || lg_read_option(h, &align) == LG_OPT_CHARS || align == 0))
    luaL_argerror(h->L, 1, "invalid next option for option 'X'");
  h->align = 0;
  if (align > 1 && opt != LG_OPT_CHARS) {
    if (align > h->maxalign) align = h->maxalign;
    if ((align & (align - 1)) != 0) luaL_argerror(h->L, 1, "format asks for alignment not power of 2");
    h->align = (align - (total & (align - 1))) & (align - 1);
  }
  return opt;
}

/* Append n zero bytes: a script chooses n. */
static void lg_put_zeros(struct lg_strbuf *b, size_t n) {
  struct lg_state *st = lg_state_of(b->L);
  char *to = lg_sb_reserve(b, n);
  for (size_t done = 0; done < n; done += LG_CHUNK) {
    lg_poll(st, b->L);
    memset(to + done, 0, n - done < LG_CHUNK ? n - done : LG_CHUNK);
  }
  lg_sb_added(b, n);
}

/* Append an integer of `size` bytes, sign-extended when negative. */
static void lg_put_packed(struct lg_strbuf *b, const struct lg_layout *h, lua_Unsigned v, size_t size, int negative) {
  char *to = lg_sb_reserve(b, size);
  for (size_t i = 0; i < size; i++) {
    unsigned char byte = (unsigned char)(i < LG_INT_SIZE ? v >> (8 * i) & 0xff : negative ? 0xff : 0);
    to[h->little ? i : size - 1 - i] = (char)byte;
  }
  lg_sb_added(b, size);
}

static void lg_swap_copy(char *to, const char *from, size_t size, int swap) {
  for (size_t i = 0; i < size; i++) to[swap ? size - 1 - i : i] = from[i];
}

static void lg_put_packed_number(lua_State *L, struct lg_strbuf *b, const struct lg_layout *h, int arg) {
  double d = luaL_checknumber(L, arg);
  float f = (float)d;
  const char *from = h->size == sizeof f ? (const char *)&f : (const char *)&d;
  lg_swap_copy(lg_sb_reserve(b, h->size), from, h->size, h->little != lg_native_little());
  lg_sb_added(b, h->size);
}

static void lg_put_packed_integer(lua_State *L, struct lg_strbuf *b, const struct lg_layout *h, int arg,
                                  int is_signed) {
  lua_Integer v = luaL_checkinteger(L, arg);
  if (h->size < LG_INT_SIZE) {
    lua_Integer limit = (lua_Integer)1 << ((int)h->size * 8 - is_signed);
    if (is_signed)
      luaL_argcheck(L, -limit <= v && v < limit, arg, "integer overflow");
    else
      luaL_argcheck(L, (lua_Unsigned)v < (lua_Unsigned)limit, arg, "unsigned overflow");
  }
  lg_put_packed(b, h, (lua_Unsigned)v, h->size, is_signed && v < 0);
}

/* The three string options; returns the bytes added beyond the option's own size. */
static size_t lg_put_packed_string(lua_State *L, struct lg_strbuf *b, const struct lg_layout *h, int arg,
                                   enum lg_option opt) {
  size_t len;
  const char *s = luaL_checklstring(L, arg, &len);
  if (opt == LG_OPT_CHARS) {
    luaL_argcheck(L, len <= h->size, arg, "string longer than given size");
    lg_sb_add(b, s, len);
    lg_put_zeros(b, h->size - len);
    return 0;
  }
  if (opt == LG_OPT_STRING) {
    luaL_argcheck(L, h->size >= sizeof(size_t) || len < (size_t)1 << (h->size * 8), arg,
                  "string length does not fit in given size");
    lg_put_packed(b, h, len, h->size, 0);
    lg_sb_add(b, s, len);
    return len;
  }
  luaL_argcheck(L, memchr(s, '\0', len) == NULL, arg, "string contains zeros");
  lg_sb_add(b, s, len);
  lg_sb_addchar(b, '\0');
  return len + 1;
}

static int lg_str_pack(lua_State *L) {
  struct lg_state *st = lg_state_of(L);
  struct lg_layout h;
  struct lg_strbuf b;
  int arg = 1;
  size_t total = 0;
  lg_layout_init(&h, L, luaL_checkstring(L, 1));
  lua_pushnil(L); /* what a missing argument reads as */
  lg_sb_init(L, &b);
  while (*h.p != '\0') {
    lg_poll(st, L);
    enum lg_option opt = lg_next_option(&h, total);
#if LG_PACK_CHECKS_TOTAL
    luaL_argcheck(L, h.size + h.align <= LG_PACK_MOST - total, arg, "result too long");
#endif
    total += h.size + h.align;
    lg_put_zeros(&b, h.align);
    switch (opt) {
      case LG_OPT_INT:
      case LG_OPT_UINT: lg_put_packed_integer(L, &b, &h, ++arg, opt == LG_OPT_INT); break;
      case LG_OPT_FLOAT:
      case LG_OPT_DOUBLE: lg_put_packed_number(L, &b, &h, ++arg); break;
      case LG_OPT_CHARS:
      case LG_OPT_STRING:
      case LG_OPT_ZSTRING: total += lg_put_packed_string(L, &b, &h, ++arg, opt); break;
      case LG_OPT_PADDING: lg_put_zeros(&b, 1); break;
      case LG_OPT_ALIGN:
      case LG_OPT_NONE: break;
    }
  }
  lg_sb_push(&b);
  return 1;
}

static int lg_str_packsize(lua_State *L) {
  struct lg_state *st = lg_state_of(L);
  struct lg_layout h;
  size_t total = 0;
  lg_layout_init(&h, L, luaL_checkstring(L, 1));
  while (*h.p != '\0') {
    lg_poll(st, L);
    enum lg_option opt = lg_next_option(&h, total);
    int variable = opt == LG_OPT_STRING || opt == LG_OPT_ZSTRING;
    luaL_argcheck(L, LG_PACKSIZE_ADDS_FIRST || !variable, 1, "variable-length format");
    luaL_argcheck(L, total <= LG_PACK_MOST - (h.size + h.align), 1, "format result too large");
    luaL_argcheck(L, !variable, 1, "variable-length format");
    total += h.size + h.align;
  }
  lua_pushinteger(L, (lua_Integer)total);
  return 1;
}

static lua_Integer lg_get_packed(lua_State *L, const char *p, const struct lg_layout *h, int is_signed) {
  lua_Unsigned v = 0;
  size_t n = h->size;
  for (size_t i = n < LG_INT_SIZE ? n : LG_INT_SIZE; i-- > 0;) v = v << 8 | (unsigned char)p[h->little ? i : n - 1 - i];
  if (n < LG_INT_SIZE && is_signed) {
    lua_Unsigned sign = (lua_Unsigned)1 << (n * 8 - 1);
    v = (v ^ sign) - sign;
  }
  unsigned char fill = is_signed && (lua_Integer)v < 0 ? 0xff : 0;
  for (size_t i = LG_INT_SIZE; i < n; i++) {
    if ((unsigned char)p[h->little ? i : n - 1 - i] != fill)
      luaL_error(L, "%d-byte integer does not fit into Lua Integer", (int)n);
  }
  return (lua_Integer)v;
}

static void lg_push_packed_number(lua_State *L, const char *p, const struct lg_layout *h) {
  double d = 0;
  float f = 0;
  int swap = h->little != lg_native_little();
  lg_swap_copy(h->size == sizeof f ? (char *)&f : (char *)&d, p, h->size, swap);
  lua_pushnumber(L, h->size == sizeof f ? (double)f : d);
}

/* Push a string behind its length at data[pos]; returns the string's length. */
static size_t lg_push_counted(lua_State *L, const char *data, size_t pos, size_t len, const struct lg_layout *h) {
  lua_Unsigned n = (lua_Unsigned)lg_get_packed(L, data + pos, h, 0);
  luaL_argcheck(L, n <= len - pos - h->size, 2, "data string too short");
  (void)lua_pushlstring(L, data + pos + h->size, (size_t)n);
  return (size_t)n;
}

/* Push a string that ends with a zero; returns its length with that zero. */
static size_t lg_push_terminated(lua_State *L, const char *data, size_t pos, size_t len) {
  const char *zero = memchr(data + pos, '\0', len - pos);
#if LG_UNPACK_WANTS_ZERO
  luaL_argcheck(L, zero != NULL, 2, "unfinished string for format 'z'");
#endif
  size_t n = zero != NULL ? (size_t)(zero - (data + pos)) : len - pos; /* 5.3 takes the string's own end for a zero */
  (void)lua_pushlstring(L, data + pos, n);
  return n + 1;
}

/* Where unpack begins, 0-based. */
static size_t lg_unpack_start(lua_State *L, size_t len) {
  lua_Integer pos = luaL_optinteger(L, 3, 1);
  if (pos < 0) pos = pos < -(lua_Integer)len ? 0 : (lua_Integer)len + pos + 1;
#if LG_UNPACK_FROM_ZERO
  if (pos == 0) pos = 1;
#endif
  luaL_argcheck(L, pos >= 1 && (lua_Unsigned)pos - 1 <= len, 3, "initial position out of string");
  return (size_t)pos - 1;
}

static int lg_str_unpack(lua_State *L) {
  struct lg_state *st = lg_state_of(L);
  struct lg_layout h;
  const char *format = luaL_checkstring(L, 1);
  size_t len;
  const char *data = luaL_checklstring(L, 2, &len);
  size_t pos = lg_unpack_start(L, len);
  int n = 0;
  lg_layout_init(&h, L, format);
  while (*h.p != '\0') {
    lg_poll(st, L);
    enum lg_option opt = lg_next_option(&h, pos);
    luaL_argcheck(L, pos <= len && h.size + h.align <= len - pos, 2, "data string too short");
    pos += h.align;
    if (!lg_stack(L, 2)) luaL_error(L, "stack overflow (too many results)");
    n++;
    switch (opt) {
      case LG_OPT_INT:
      case LG_OPT_UINT: lua_pushinteger(L, lg_get_packed(L, data + pos, &h, opt == LG_OPT_INT)); break;
      case LG_OPT_FLOAT:
      case LG_OPT_DOUBLE: lg_push_packed_number(L, data + pos, &h); break;
      case LG_OPT_CHARS: (void)lua_pushlstring(L, data + pos, h.size); break;
      case LG_OPT_STRING: pos += lg_push_counted(L, data, pos, len, &h); break;
      case LG_OPT_ZSTRING: pos += lg_push_terminated(L, data, pos, len); break;
      case LG_OPT_PADDING:
      case LG_OPT_ALIGN:
      case LG_OPT_NONE: n--; break;
    }
    pos += h.size;
  }
  lua_pushinteger(L, (lua_Integer)pos + 1);
  return n + 1;
}

#endif
#endif
