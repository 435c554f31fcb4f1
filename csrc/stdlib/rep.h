/* string.rep: the one function that makes a long string out of nothing, without a second copy in the Lua heap. Compiled once
 * per Lua version; contract as in strlib.h. */
#ifndef LG_STDLIB_REP_H
#define LG_STDLIB_REP_H

#include "args.h"

#define LG_REP_DIRECT ((size_t)1 << 20) /* shorter ones are not worth joining pieces */

/* Write total bytes at p that repeat the first `unit` of them, which are there already, LG_CHUNK at a time. Copies come
 * from the start, which stays in the cache; `done` is a multiple of a short unit until the last one, so they fall in
 * step. */
static void lg_repeat(lua_State *L, char *p, size_t unit, size_t total) {
  struct lg_state *st = lg_state_of(L);
  for (size_t done = unit; done < total;) {
    lg_poll(st, L);
    size_t from = unit < LG_CHUNK ? 0 : done % unit;
    size_t n = unit < LG_CHUNK ? LG_CHUNK / unit * unit : LG_CHUNK;
    size_t most = unit < LG_CHUNK ? done : unit - from;
    if (n > most) n = most;
    if (n > total - done) n = total - done;
    memcpy(p + done, p + from, n);
    done += n;
  }
}

/* The repetitions of a value that does not fit: as the version at hand fails. */
static int lg_rep_too_large(lua_State *L) {
#if LG_REP_LACKS_MEMORY
  (void)lua_newuserdata(L, LG_BLOCK_MOST);
  (void)lua_pushliteral(L, "not enough memory");
  return lua_error(L);
#else
  return luaL_error(L, LG_TEXT_REP_TOO_LARGE);
#endif
}

/* What is repeated: s, and sep between two of them. */
struct lg_unit {
  const char *s;
  size_t len;
  const char *sep;
  size_t seplen;
  size_t size; /* of both */
};

/* Push the first `total` bytes of the endless repetition. They are put together in the state's scratch memory, so that
 * the Lua heap only ever holds the string itself; scratch and string are held against the limit together. */
static void lg_rep_direct(lua_State *L, const struct lg_unit *u, size_t total) {
  struct lg_state *st = lg_state_of(L);
  struct lg_meter *m = &st->meter;
  char small[512];
  char *p = small;
  if (total > sizeof small) {
    lg_room(st, L, total > SIZE_MAX / 2 ? total : 2 * total);
    size_t left = m->limit > m->current ? m->limit - m->current : 0;
    if (m->limit != LG_NO_LIMIT && total > left / 2)
      (void)lg_memory_error(L, total > SIZE_MAX / 2 ? SIZE_MAX : 2 * total);
    lg_buf_reset(&st->scratch, 0);
    if (lg_buf_reserve(&st->scratch, total) != 0) {
      m->system_refused = 1;
      (void)lg_memory_error(L, total);
    }
    p = (char *)st->scratch.data;
  }
  memcpy(p, u->s, u->len < total ? u->len : total);
  if (total > u->len) {
    memcpy(p + u->len, u->sep, u->seplen < total - u->len ? u->seplen : total - u->len);
    if (total > u->size) lg_repeat(L, p, u->size, total);
  }
  (void)lua_pushlstring(L, p, total);
  lg_buf_reset(&st->scratch, 0);
}

/* Push a long repetition by joining some 200 equal pieces: Lua 5.3 and later join strings without a copy in between. */
static void lg_rep_joined(lua_State *L, const struct lg_unit *u, size_t count, size_t total) {
  enum { LG_PIECES = 192 };
  size_t whole = count - 1; /* units with a separator; the last one has none */
  size_t in_piece = whole > LG_PIECES ? whole / LG_PIECES : 1;
  size_t pieces = whole / in_piece;
  size_t rest = whole - pieces * in_piece;
  lg_stack_for(L, (int)(2 * pieces + 8), "string slice too long");
  int first = lua_gettop(L) + 1;
  lg_rep_direct(L, u, in_piece * u->size);
  for (size_t i = 1; i < pieces; i++) lua_pushvalue(L, first);
  if (rest > 0 && in_piece > rest) {
    lg_rep_direct(L, u, rest * u->size);
  } else if (rest > 0) { /* few units in a piece, and each a long one: push it as often as it takes */
    lg_rep_direct(L, u, u->size);
    for (size_t i = 1; i < rest; i++) lua_pushvalue(L, first + (int)pieces);
  }
  lua_pushvalue(L, 1); /* the last unit */
  lg_room(lg_state_of(L), L, total);
  lg_poll(lg_state_of(L), L);
  lua_concat(L, lua_gettop(L) - first + 1);
}

static int lg_str_rep(lua_State *L) {
  size_t len;
  size_t seplen = 0;
  const char *s = luaL_checklstring(L, 1, &len);
  lg_index count = lg_checkindex(L, 2);
#if LG_REP_TAKES_SEPARATOR
  const char *sep = luaL_optlstring(L, 3, "", &seplen);
#else
  const char *sep = "";
#endif
  if (count <= 0 || (len == 0 && seplen == 0)) {
    (void)lua_pushliteral(L, "");
    return 1;
  }
  const size_t max = LG_REP_MOST;
  if (len > max - seplen || len + seplen > max / (size_t)count) return lg_rep_too_large(L);
  struct lg_unit u = {s, len, sep, seplen, len + seplen};
  size_t total = (size_t)count * u.size - seplen;
  if (LG_JOINS_IN_PLACE && total > LG_REP_DIRECT && count > 1)
    lg_rep_joined(L, &u, (size_t)count, total);
  else
    lg_rep_direct(L, &u, total);
  return 1;
}

#endif
