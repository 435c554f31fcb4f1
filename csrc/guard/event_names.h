/* Lua 5.2 to 5.5: changes to how the state looks metamethods up, where a look-up can keep it busy past every deadline.
 *
 * The state keeps the names of the metamethods in an array, and takes each from there when it looks one up. An entry is
 * found once, when the state is made; to let it point to another name is all that is done.
 *
 * - __call, 5.4 only. Where a value that is no function is called, 5.4 looks its __call up, moves all the arguments up by
 *   one, and goes on with what it found, as long as that is no function either: `t.__call = t setmetatable(t, t) t()`
 *   runs no instruction until its stack is full, a million moves of up to a million values later. No hook and no
 *   allocation is on that way. So while a run is being ended no table has a __call: the chain ends in an error, as every
 *   call of what cannot be called does, and the hook that is armed ends the run. (5.5 bounds such chains; before 5.4 they
 *   have one link.)
 * - __mode. Tables with weak keys and strong values cost the collector the square of their size when they refer to each
 *   other against its order, in one step: 0.2 to 0.6 s for 32,000 of them, over a minute for what 100 MB hold. So the
 *   collector reads another name, which only the sandbox's setmetatable knows: weak values are as weak as ever, weak keys
 *   are held like other keys. (5.1 and LuaJIT mark what weak keys refer to in any case.)
 *
 * Contract: lg_names_find() only in a protected call, in a state whose first block lg_first_alloc() has noted. Afterwards
 * st->call_entry is NULL, or what lg_call_forget() (state.h) may change at any time, in a signal handler too. */
#ifndef LG_EVENT_NAMES_H
#define LG_EVENT_NAMES_H

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "poll.h"

#if LG_LUA >= 502
/* The allocator while lua_newstate() runs: notes the first block, which holds what all coroutines share. */
static void *lg_first_alloc(void *ud, void *ptr, size_t osize, size_t nsize) {
  struct lg_state *st = ud;
  void *block = lg_meter_alloc(ud, ptr, osize, nsize);
  if (st->first_block == NULL && ptr == NULL) {
    st->first_block = block;
    st->first_size = nsize;
  }
  return block;
}

/* Where the text of a name is, which Lua keeps once for all who use it. */
static uintptr_t lg_kept_text(lua_State *L, const char *name) {
  (void)lua_pushstring(L, name);
  uintptr_t text = (uintptr_t)lua_tolstring(L, -1, NULL);
  lua_pop(L, 1);
  return text;
}

/* Find the entry of names[1], which has those of names[0] and names[2] beside it; NULL when there is none. An entry is the
 * address of the name's text less *header, the same for all. */
static volatile uintptr_t *lg_name_entry(lua_State *L, const struct lg_state *st, const char *const names[3],
                                         uintptr_t *header) {
  enum { LG_HEADER_MAX = 40 };
  uintptr_t texts[3];
  for (int k = 0; k < 3; k++) texts[k] = lg_kept_text(L, names[k]);
  volatile uintptr_t *words = st->first_block;
  size_t count = words == NULL ? 0 : st->first_size / sizeof *words;
  for (size_t i = 1; i + 1 < count; i++) {
    *header = texts[1] - words[i];
    if (*header == 0 || *header > LG_HEADER_MAX) continue;
    if (texts[0] - words[i - 1] == *header && texts[2] - words[i + 1] == *header) return &words[i];
  }
  return NULL;
}

/* Push a name that no script can guess. */
static void lg_push_secret(lua_State *L, const struct lg_state *st) {
  char text[40]; /* the longest that Lua looks up by its address */
  struct timespec now = {0, 0};
  (void)timespec_get(&now, TIME_UTC);
  int n = snprintf(text, sizeof text, "%zx%zx%lx%zx", (size_t)st, (size_t)L, (unsigned long)now.tv_nsec, (size_t)&now);
  (void)lua_pushlstring(L, text, n < (int)sizeof text ? (size_t)n : sizeof text - 1);
}

static void lg_names_find(lua_State *L, struct lg_state *st) {
  uintptr_t header = 0;
#if LG_LUA == 504
  static const char *const calls[3] = {"__concat", "__call", "__close"};
  st->call_entry = lg_name_entry(L, st, calls, &header);
  if (st->call_entry != NULL && header + sizeof "__call" <= sizeof st->no_call) {
    st->call_name = *st->call_entry;
    /* A look-up reads the name's hash and compares its address. */
    memcpy(st->no_call, (const void *)st->call_name, header + sizeof "__call");
  } else {
    st->call_entry = NULL;
  }
#endif
  static const char *const modes[3] = {"__gc", "__mode", "__len"};
  volatile uintptr_t *mode = lg_name_entry(L, st, modes, &header);
  if (mode == NULL) return;
  lg_push_secret(L, st);
  *mode = (uintptr_t)lua_tolstring(L, -1, NULL) - header;
  st->mode_ref = luaL_ref(L, LUA_REGISTRYINDEX);
}

static const char lg_weak_mark = 0; /* its address is a key of every metatable that stands in for a script's own */

/* Whether the value at index 1, which has a __metatable, has it only because its metatable is such a stand-in. */
static int lg_stands_in(lua_State *L) {
  if (!lua_getmetatable(L, 1)) return 0;
  lua_pushlightuserdata(L, (void *)(uintptr_t)&lg_weak_mark);
  (void)lua_rawget(L, -2);
  int stands_in = lua_toboolean(L, -1);
  lua_pop(L, 2);
  return stands_in;
}

/* Whether the value at idx can be a name that Lua looks up in a metatable. */
static int lg_is_event(lua_State *L, int idx) {
  return lua_type(L, idx) == LUA_TSTRING && strncmp(lua_tolstring(L, idx, NULL), "__", 2) == 0;
}

/* Put a stand-in for the metatable at index 2 in its place, when that asks for weak values: the events in it now, with the
 * mode under the name that the collector reads. getmetatable() gives the script its own. */
static void lg_make_weak(lua_State *L) {
  const struct lg_state *st = lg_state_of(L);
  if (st->mode_ref == 0) return;
  lua_pushliteral(L, "__mode");
  (void)lua_rawget(L, 2);
  const char *mode = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, NULL) : "";
  if (strchr(mode, 'v') == NULL) return;
  const char *weak = strchr(mode, 'k') != NULL ? "kv" : "v";
  lua_newtable(L);
  int copy = lua_gettop(L);
  lua_pushnil(L);
  while (lua_next(L, 2)) {
    lg_poll(lg_state_of(L), L);
    if (!lg_is_event(L, -2)) {
      lua_pop(L, 1);
      continue;
    }
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, copy);
  }
  (void)lua_rawgeti(L, LUA_REGISTRYINDEX, st->mode_ref);
  (void)lua_pushstring(L, weak);
  lua_rawset(L, copy);
  lua_pushliteral(L, "__metatable");
  (void)lua_rawget(L, copy);
  if (lua_isnil(L, -1)) {
    lua_pushliteral(L, "__metatable");
    lua_pushvalue(L, 2);
    lua_rawset(L, copy);
    lua_pushlightuserdata(L, (void *)(uintptr_t)&lg_weak_mark);
    lua_pushboolean(L, 1);
    lua_rawset(L, copy);
  }
  lua_pushvalue(L, copy);
  lua_replace(L, 2);
}
#endif

#endif
