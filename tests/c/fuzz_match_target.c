/* libFuzzer target: bytes become a pattern, a subject and a replacement, and this project's pattern matching must give
 * what the stock functions give. fuzz_match_target.py builds and runs it.
 *
 * Input: flags; length of the pattern; length of the subject; pattern, subject, the rest is the replacement. The Lua
 * library's path is in the environment variable LG_FUZZ_LUA. Patterns with more than five quantifiers are skipped: the
 * stock functions could take for ever. */
#define main lg_driver_unused_main /* libFuzzer brings its own */
#include "lib_driver.c"
#undef main

enum { LG_FZ_MOST = 40, LG_FZ_QUANTIFIERS = 5, LG_FZ_ROUNDS = 64 };

struct lg_input {
  const char *p, *s, *r;
  size_t p_len, s_len, r_len;
  unsigned flags;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static lua_State *lg_fz_state;

static int lg_fz_open(lua_State *L) {
  lg_drv_libraries(L);
  lg_box_open(L, &state);
  lg_driver_open(L);
  lg_drv_global(L, "ours");
  lg_drv_global(L, "stock");
  return 0;
}

static void lg_fz_start(void) {
  const char *path = getenv("LG_FUZZ_LUA");
  if (path == NULL || lg_drv_resolve(path) != 0) abort();
  lg_fz_state = lg_drv_state();
  if (lg_fz_state == NULL) abort();
  state.floors.lua = lg_c_floor();
  lua_pushcfunction(lg_fz_state, lg_fz_open);
  if (lua_pcall(lg_fz_state, 0, 0, 0) != LUA_OK) abort();
}

/* gsub's function: gives its first argument back, doubled; every capture takes part in the number of arguments. */
static int lg_fz_callback(lua_State *L) {
  int n = lua_gettop(L);
  lua_pushvalue(L, 1);
  lua_pushinteger(L, n);
  lua_concat(L, 2);
  return 1;
}

static void lg_fz_arguments(lua_State *L, const struct lg_input *in, int which) {
  (void)lua_pushlstring(L, in->s, in->s_len);
  (void)lua_pushlstring(L, in->p, in->p_len);
  if (which == 0 || which == 1) {
    lua_pushinteger(L, (lua_Integer)(in->flags >> 4 & 7) - 3);
    lua_pushboolean(L, (in->flags & 8) != 0);
  } else if (which == 3) {
    if (in->flags & 8)
      lua_pushcfunction(L, lg_fz_callback);
    else
      (void)lua_pushlstring(L, in->r, in->r_len);
    if (in->flags & 128) lua_pushinteger(L, (lua_Integer)(in->flags >> 4 & 7) - 1);
  }
}

/* Call functions[which] of the library `name`; a gmatch is run to its end. Pushes a table of all that came of it. */
static void lg_fz_call(lua_State *L, const char *name, const struct lg_input *in, int which) {
  static const char *const functions[] = {"find", "match", "gmatch", "gsub"};
  lua_newtable(L);
  int results = lua_gettop(L), n = 0;
#if LG_HAS_GLOBALSINDEX
  lua_getfield(L, LUA_GLOBALSINDEX, name);
#else
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
  lua_getfield(L, -1, name);
#endif
  lua_getfield(L, -1, functions[which]);
  int base = lua_gettop(L);
  lg_fz_arguments(L, in, which);
  int status = lua_pcall(L, lua_gettop(L) - base, LUA_MULTRET, 0);
  for (int round = 0;; round++) {
    int first = which == 2 && round > 0 ? base + 1 : base;
    int got = lua_gettop(L) - first + 1;
    lua_pushinteger(L, status);
    lua_rawseti(L, results, ++n);
    if (status == LUA_OK && which == 2 && round == 0) { /* the iterator stays at `base` */
      lua_pushvalue(L, base);
    } else {
      for (int i = 0; i < got; i++) {
        lua_pushvalue(L, first + i);
        lua_rawseti(L, results, ++n);
      }
      if (status != LUA_OK || which != 2 || got < 1 || round == LG_FZ_ROUNDS) break;
      lua_settop(L, base);
      lua_pushvalue(L, base);
    }
    status = lua_pcall(L, 0, LUA_MULTRET, 0);
  }
  lua_settop(L, results);
}

static int lg_fz_compare(lua_State *L) {
  const struct lg_input *in = lua_touserdata(L, 1);
  int which = (int)(in->flags & 3);
  if (!lua_checkstack(L, 200)) abort();
  lg_fz_call(L, "stock", in, which);
  lg_fz_call(L, "ours", in, which);
  if (lua_rawlen(L, 2) != lua_rawlen(L, 3)) abort();
  for (int i = 1; i <= (int)lua_rawlen(L, 2); i++) {
    lua_rawgeti(L, 2, i);
    lua_rawgeti(L, 3, i);
    if (lua_type(L, -1) != LUA_TFUNCTION && !lua_rawequal(L, -1, -2)) abort();
    lua_pop(L, 2);
  }
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (lg_fz_state == NULL) lg_fz_start();
  if (size < 3) return 0;
  struct lg_input in;
  in.flags = data[0];
  in.p_len = data[1] % LG_FZ_MOST;
  in.s_len = data[2] % LG_FZ_MOST;
  if (size - 3 < in.p_len + in.s_len) return 0;
  in.p = (const char *)data + 3;
  in.s = in.p + in.p_len;
  in.r = in.s + in.s_len;
  in.r_len = size - 3 - in.p_len - in.s_len;
  int quantifiers = 0;
  for (size_t i = 0; i < in.p_len; i++) {
    if (in.p[i] == '*' || in.p[i] == '+' || in.p[i] == '-' || in.p[i] == '?') quantifiers++;
  }
  if (quantifiers > LG_FZ_QUANTIFIERS) return 0;
  lua_pushcfunction(lg_fz_state, lg_fz_compare);
  lua_pushlightuserdata(lg_fz_state, &in);
  if (lua_pcall(lg_fz_state, 1, 0, 0) != LUA_OK) abort();
  return 0;
}
