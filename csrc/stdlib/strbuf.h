/* Builds one string of any length inside a C function that a script called. Compiled once per Lua version.
 *
 * Contract
 * - Up to LG_SB_LOCAL bytes live in the struct itself; more live in a userdata made by Lua, so that a refusal is Lua's
 *   own memory error after an emergency collection, and an error thrown at any moment leaks nothing. A buffer of over
 *   LG_SB_BOXED bytes lives in a block of the meter's that such a userdata owns: it grows in place, and is given back at
 *   once instead of becoming garbage that the script would be charged with. What an error left is given back with the
 *   userdata, and at the end of the run at the latest: a finalizer that is called where the C stack is used up fails, and
 *   is not called again.
 * - lg_sb_init() pushes one value (the buffer's slot). That stack index belongs to the buffer until the C function
 *   returns: other values may come and go above it. Growing needs one more free stack slot for a moment.
 * - Sizes are bytes. Every function but lg_sb_init() may raise a Lua error (memory, or a size no size_t can hold).
 * - A pointer from lg_sb_reserve() is valid until the next call that takes the buffer. */
#ifndef LG_STDLIB_STRBUF_H
#define LG_STDLIB_STRBUF_H

#include <string.h>

#include "../guard/poll.h"

#define LG_SB_LOCAL 512
#define LG_SB_BOXED ((size_t)16 << 10)
#define LG_SB_DOUBLE_UNTIL ((size_t)1 << 20) /* above this, growing by half bounds what old and new hold together */

struct lg_strbuf {
  lua_State *L;
  char *p;    /* the content: local, or what the userdata at `slot` holds */
  size_t len; /* bytes in use */
  size_t cap; /* bytes at p */
  int slot;   /* absolute stack index */
  int boxed;  /* the userdata at `slot` is a struct lg_box */
  char local[LG_SB_LOCAL];
};

/* Make an empty buffer; pushes its slot. The caller has a free stack slot, as every C function starts with. */
static inline void lg_sb_init(lua_State *L, struct lg_strbuf *b) {
  b->L = L;
  b->p = b->local;
  b->len = 0;
  b->cap = LG_SB_LOCAL;
  b->boxed = 0;
  lua_pushnil(L);
  b->slot = lua_gettop(L);
}

/* Owns a block of the meter's; its metatable (registry: boxes.ref of struct lg_state) frees it with the userdata. It knows
 * the state itself: LuaJIT has its own allocator back when it is closed, and lg_state_of() is of no use then. */
struct lg_box {
  struct lg_state *st;
  struct lg_boxed *block; /* NULL, or one of the state's list, while `run` is the state's box_run */
  size_t run;
};

/* Begins a block; the content follows. */
struct lg_boxed {
  struct lg_boxed *next, *prev;
  size_t size; /* of all of it */
  size_t unused;
};

static void lg_boxed_free(struct lg_state *st, struct lg_boxed *block) {
  if (block->prev != NULL)
    block->prev->next = block->next;
  else
    st->boxes.list = block->next;
  if (block->next != NULL) block->next->prev = block->prev;
  (void)lg_meter_alloc(&st->meter, block, block->size, 0);
}

/* Give back what errors left in boxes of this run, which nothing uses any more. */
static void lg_boxes_clear(struct lg_state *st) {
  while (st->boxes.list != NULL) lg_boxed_free(st, st->boxes.list);
  st->boxes.run++;
}

static size_t lg_box_cap(const struct lg_box *box) {
  return box->block == NULL ? 0 : box->block->size - sizeof(struct lg_boxed);
}

static void lg_box_free(struct lg_box *box) {
  if (box->block != NULL && box->run == box->st->boxes.run) lg_boxed_free(box->st, box->block);
  box->block = NULL;
}

/* Make the content's place `cap` bytes; refused, it is as it was. */
static void lg_box_grow(struct lg_box *box, size_t cap) {
  struct lg_state *st = box->st;
  size_t size = cap + sizeof(struct lg_boxed);
  struct lg_boxed *block = lg_meter_alloc(&st->meter, box->block, box->block == NULL ? 0 : box->block->size, size);
  if (block == NULL) return;
  if (box->block == NULL) {
    block->prev = NULL;
    block->next = st->boxes.list;
  }
  block->size = size;
  if (block->prev != NULL)
    block->prev->next = block;
  else
    st->boxes.list = block;
  if (block->next != NULL) block->next->prev = block;
  box->block = block;
}

static int lg_box_gc(lua_State *L) {
  struct lg_box *box = lua_touserdata(L, 1);
  if (box != NULL) lg_box_free(box);
  return 0;
}

/* Make the metatable of boxes; once per state, in a protected call. */
static void lg_box_open(lua_State *L, struct lg_state *st) {
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, lg_box_gc);
  lua_setfield(L, -2, "__gc");
  st->boxes.ref = luaL_ref(L, LUA_REGISTRYINDEX);
}

/* Push an empty box. */
static struct lg_box *lg_sb_box(struct lg_strbuf *b) {
  lua_State *L = b->L;
  struct lg_state *st = lg_state_of(L);
  struct lg_box *box = lua_newuserdata(L, sizeof *box);
  box->st = st;
  box->block = NULL;
  box->run = st->boxes.run;
  (void)lua_rawgeti(L, LUA_REGISTRYINDEX, st->boxes.ref);
  (void)lua_setmetatable(L, -2);
  return box;
}

/* Grow to `cap` bytes inside a box. A refusal is answered as Lua does: collect, try again, raise its memory error. */
static void lg_sb_grow_boxed(struct lg_strbuf *b, size_t cap) {
  lua_State *L = b->L;
  struct lg_state *st = lg_state_of(L);
  struct lg_box *box = b->boxed ? lua_touserdata(L, b->slot) : lg_sb_box(b);
  lg_room(st, L, cap - lg_box_cap(box));
  lg_box_grow(box, cap);
  if (lg_box_cap(box) < cap) {
    lg_collect_all(st, L);
    lg_box_grow(box, cap);
  }
  if (lg_box_cap(box) < cap) (void)lg_memory_error(L, cap);
  if (!b->boxed) {
    memcpy(box->block + 1, b->p, b->len);
    lua_replace(L, b->slot);
    b->boxed = 1;
  }
  b->p = (char *)(box->block + 1);
  b->cap = cap;
}

/* Make room for n more bytes by moving to a larger place. */
static void lg_sb_grow(struct lg_strbuf *b, size_t n) {
  lua_State *L = b->L;
  if (n > (size_t)PTRDIFF_MAX - b->len) luaL_error(L, "resulting string too large");
  size_t need = b->len + n;
  size_t cap = b->cap <= LG_SB_DOUBLE_UNTIL ? b->cap * 2 : b->cap + b->cap / 2;
  if (cap < need) cap = need;
  if (cap > LG_SB_BOXED) {
    lg_sb_grow_boxed(b, cap);
    return;
  }
  lg_room(lg_state_of(L), L, cap);
  char *p = lua_newuserdata(L, cap);
  memcpy(p, b->p, b->len);
  lua_replace(L, b->slot); /* the old userdata, if any, is garbage from here on */
  b->p = p;
  b->cap = cap;
}

/* Room for n more bytes: where to write them. Say lg_sb_added() afterwards. */
static inline char *lg_sb_reserve(struct lg_strbuf *b, size_t n) {
  if (b->cap - b->len < n) lg_sb_grow(b, n);
  return b->p + b->len;
}

/* n bytes were written at the place lg_sb_reserve() gave; n is at most what was reserved. */
static inline void lg_sb_added(struct lg_strbuf *b, size_t n) { b->len += n; }

/* Append n bytes; s may be NULL when n is 0, and must not point into the buffer. */
static inline void lg_sb_add(struct lg_strbuf *b, const char *s, size_t n) {
  if (n == 0) return;
  memcpy(lg_sb_reserve(b, n), s, n);
  b->len += n;
}

static inline void lg_sb_addchar(struct lg_strbuf *b, char c) {
  *lg_sb_reserve(b, 1) = c;
  b->len++;
}

/* Append the string or number on the top of the stack and pop it; it must be one of the two. */
static inline void lg_sb_addvalue(struct lg_strbuf *b) {
  size_t n;
  const char *s = lua_tolstring(b->L, -1, &n);
  char *to = lg_sb_reserve(b, n); /* moves the buffer below the value, which stays anchored meanwhile */
  memcpy(to, s, n);
  b->len += n;
  lua_pop(b->L, 1);
}

/* Push the content as a string. The slot stays where it is. */
static inline void lg_sb_push(struct lg_strbuf *b) {
  if (b->len > LG_SB_LOCAL) lg_room(lg_state_of(b->L), b->L, b->len);
  (void)lua_pushlstring(b->L, b->p, b->len);
  if (b->boxed) { /* the buffer is of no use any more: not even until the next collection */
    lg_box_free(lua_touserdata(b->L, b->slot));
    b->p = b->local;
    b->len = 0;
    b->cap = LG_SB_LOCAL;
    b->boxed = 0;
  }
}

#endif
