/* The math library of the sandbox: stock functions, but for those that a script could use to outlast its deadline or to
 * reach into another run. Compiled once per Lua version.
 *
 * Contract: C functions that hostile scripts call, each on the run's thread inside the guarded call.
 * - random and randomseed belong to the run: the state is struct lg_state's, never the C library's rand(), which every
 *   thread and every engine of the process shares. Arguments, ranges and errors are the version's own. The generator is
 *   xoshiro256**, Lua 5.4's own, or LuaJIT's combined Tausworthe generator in LuaJIT: in these Luas the same seeds give the
 *   same numbers as in stock Lua. From 5.1 to 5.3 stock Lua's numbers are those of the C library's rand().
 * - lg_random_begin() starts a run. Up to 5.3 and in LuaJIT each run begins with the same numbers, as a fresh stock
 *   interpreter does; from 5.4 on with other ones. The seeds that 5.4's randomseed() returns hold the time, no address.
 *   Where the host gave a seed, each run begins as after randomseed() with that, and randomseed() without an argument takes
 *   its seeds from the generator: a script sees the same numbers each time. Nothing here is fit for secrets.
 * - min and max look at the deadline per argument: comparing huge strings, or reading huge numerals, takes long. */
#ifndef LG_STDLIB_MATHLIB_H
#define LG_STDLIB_MATHLIB_H

#include <stdatomic.h>
#include <time.h>

#include "../os/clock.h"
#include "args.h"

#if LG_RANDOM_IS_TAUS
/* Four shift registers, whose outputs are joined (L'Ecuyer's tables of such generators, 1999, k = 223). Register i has
 * width[i] bits, at the upper end of its word. */
static const unsigned lg_random_width[4] = {63, 58, 55, 47};

static uint64_t lg_random_next(uint64_t *s) {
  static const unsigned tap[4] = {31, 19, 24, 21};
  static const unsigned step[4] = {18, 28, 7, 8};
  uint64_t joined = 0;
  for (int i = 0; i < 4; i++) {
    uint64_t kept = s[i] & (UINT64_MAX << (64 - lg_random_width[i]));
    uint64_t mixed = (s[i] << tap[i] ^ s[i]) >> (lg_random_width[i] - step[i]);
    s[i] = mixed ^ kept << step[i];
    joined ^= s[i];
  }
  return joined;
}

/* The state for a seed, as LuaJIT makes it. No register may be zero. */
static void lg_random_seed_number(uint64_t *s, lua_Number seed) {
  for (int i = 0; i < 4; i++) {
    const uint64_t least = (uint64_t)1 << (64 - lg_random_width[i]);
    seed = seed * 3.14159265358979323846 + 2.7182818284590452354;
    memcpy(&s[i], &seed, sizeof s[i]);
    if (s[i] < least) s[i] += least;
  }
  for (int i = 0; i < 10; i++) (void)lg_random_next(s);
}

/* A double in [0, 1) from the lower 52 bits. */
static lua_Number lg_random_float(uint64_t v) { return (lua_Number)(v & (UINT64_MAX >> 12)) * 0x1p-52; }
#else
static uint64_t lg_rotate_left(uint64_t v, int by) { return v << by | v >> (64 - by); }

static uint64_t lg_random_next(uint64_t *s) {
  uint64_t result = lg_rotate_left(s[1] * 5, 7) * 9;
  uint64_t shifted = s[1] << 17;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= shifted;
  s[3] = lg_rotate_left(s[3], 45);
  return result;
}

/* The state for two seeds, as Lua 5.4 makes it. */
static void lg_random_seed(uint64_t *s, uint64_t seed1, uint64_t seed2) {
  s[0] = seed1;
  s[1] = 0xff; /* never all zeros */
  s[2] = seed2;
  s[3] = 0;
  for (int i = 0; i < 16; i++) (void)lg_random_next(s);
}

/* A double in [0, 1) from the upper 53 bits. */
static lua_Number lg_random_float(uint64_t v) { return (lua_Number)(v >> 11) * 0x1p-53; }

#if !LG_RANDOM_IS_FRESH
/* The state for a number that a script or the host names. */
static void lg_random_seed_number(uint64_t *s, lua_Number n) {
  uint64_t seed = 0;
  memcpy(&seed, &n, sizeof seed);
  lg_random_seed(s, seed, 0);
}
#endif
#endif

#if LG_RANDOM_IS_FRESH
/* A number that differs from call to call and from process to process: the clock, spread over 64 bits by splitmix64's
 * finishing steps. Where the host gave a seed: the generator's next. */
static uint64_t lg_random_fresh(struct lg_state *st) {
  if (st->host.seed.given) return lg_random_next(st->random);
  static atomic_uint calls;
  uint64_t v = (uint64_t)lg_wall_ns() + (uint64_t)clock();
  v += ((uint64_t)atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed) + 1) * 0x9E3779B97F4A7C15u;
  v = (v ^ v >> 30) * 0xBF58476D1CE4E5B9u;
  v = (v ^ v >> 27) * 0x94D049BB133111EBu;
  return v ^ v >> 31;
}
#endif

/* Make the generator fresh: call at the start of every run. Any thread; cannot fail. */
static void lg_random_begin(struct lg_state *st) {
  const struct lg_seed *seed = &st->host.seed;
#if LG_RANDOM_IS_FRESH
  uint64_t seed1 = seed->given ? seed->bits : lg_random_fresh(st);
  uint64_t seed2 = seed->given ? 0 : lg_random_fresh(st);
  lg_random_seed(st->random, seed1, seed2);
#else
  if (seed->given) {
    lg_random_seed_number(st->random, seed->number);
    return;
  }
#if LG_RANDOM_IS_TAUS
  static const uint64_t of_zero[4] = {0xa0d277570a345b8c, 0x764a296c5d4aa64f, 0x51220704070adeaa, 0x2a2717b5a7b7b927};
  memcpy(st->random, of_zero, sizeof of_zero); /* what lg_random_seed_number() makes of 0 */
#else
  lg_random_seed(st->random, 0, 0);
#endif
#endif
}

#if LG_HAS_INTEGERS
/* An integer in [0, n], each equally likely; v is the first try. */
static uint64_t lg_random_below(uint64_t *s, uint64_t v, uint64_t n) {
  uint64_t mask = n;
  for (int by = 1; by < 64; by *= 2) mask |= mask >> by;
  while ((v &= mask) > n) v = lg_random_next(s);
  return v;
}

static int lg_math_random(lua_State *L) {
  struct lg_state *st = lg_state_of(L);
  uint64_t v = lg_random_next(st->random);
  lua_Integer low = 1;
  lua_Integer up = 0;
  switch (lua_gettop(L)) {
    case 0: lua_pushnumber(L, lg_random_float(v)); return 1;
    case 1: up = luaL_checkinteger(L, 1);
#if LG_RANDOM_TAKES_ZERO
      if (up == 0) {
        lua_pushinteger(L, (lua_Integer)v);
        return 1;
      }
#endif
      break;
    case 2:
      low = luaL_checkinteger(L, 1);
      up = luaL_checkinteger(L, 2);
      break;
    default: return luaL_error(L, "wrong number of arguments");
  }
  luaL_argcheck(L, low <= up, 1, "interval is empty");
  luaL_argcheck(L, LG_RANDOM_ANY_INTERVAL || low >= 0 || up <= INT64_MAX + low, 1, "interval too large");
  uint64_t span = (uint64_t)up - (uint64_t)low;
  lua_pushinteger(L, (lua_Integer)(lg_random_below(st->random, v, span) + (uint64_t)low));
  return 1;
}
#elif LG_RANDOM_IS_UNCHECKED
static int lg_math_random(lua_State *L) {
  lua_Number r = lg_random_float(lg_random_next(lg_state_of(L)->random));
  int n = lua_gettop(L);
  if (n == 1) {
    r = floor(r * luaL_checknumber(L, 1)) + 1;
  } else if (n > 1) {
    lua_Number low = luaL_checknumber(L, 1);
    r = floor(r * (luaL_checknumber(L, 2) - low + 1)) + low;
  }
  lua_pushnumber(L, r);
  return 1;
}
#else
static int lg_math_random(lua_State *L) {
  lua_Number r = lg_random_float(lg_random_next(lg_state_of(L)->random));
  lua_Number low = 1;
  lua_Number up = 0;
  int n = lua_gettop(L);
  if (n == 0) {
    lua_pushnumber(L, r);
    return 1;
  }
  if (n > 2) return luaL_error(L, "wrong number of arguments");
#if LG_RANDOM_BOUNDS_ARE_INT
  if (n == 2) low = lg_checkint(L, 1);
  up = lg_checkint(L, n);
#else
  if (n == 2) low = luaL_checknumber(L, 1);
  up = luaL_checknumber(L, n);
#endif
  luaL_argcheck(L, low <= up, n, "interval is empty");
  lua_pushnumber(L, n == 1 ? floor(r * up) + 1 : floor(r * (up - low + 1)) + low);
  return 1;
}
#endif

static int lg_math_randomseed(lua_State *L) {
  struct lg_state *st = lg_state_of(L);
#if LG_RANDOM_IS_FRESH
  uint64_t seed1 = lua_isnone(L, 1) ? lg_random_fresh(st) : (uint64_t)luaL_checkinteger(L, 1);
  uint64_t seed2 = lua_isnone(L, 1) ? lg_random_fresh(st) : (uint64_t)luaL_optinteger(L, 2, 0);
  lg_random_seed(st->random, seed1, seed2);
  lua_pushinteger(L, (lua_Integer)seed1);
  lua_pushinteger(L, (lua_Integer)seed2);
  return 2;
#elif LG_RANDOM_IS_TAUS
  int given = !LG_RANDOMSEED_OPTIONAL || lua_gettop(L) > 0;
  lg_random_seed_number(st->random, given ? luaL_checknumber(L, 1) : lg_random_float(lg_random_next(st->random)));
  return 0;
#else
  lg_random_seed_number(st->random, luaL_checknumber(L, 1));
  return 0;
#endif
}

/* The smallest (sign 1) or largest (sign -1) argument. */
static int lg_math_extreme(lua_State *L, int sign) {
  struct lg_state *st = lg_state_of(L);
  int n = lua_gettop(L);
#if LG_HAS_INTEGERS
  luaL_argcheck(L, n >= 1, 1, "value expected");
  int best = 1;
  for (int i = 2; i <= n; i++) {
    lg_poll(st, L);
    if (sign > 0 ? lua_compare(L, i, best, LUA_OPLT) : lua_compare(L, best, i, LUA_OPLT)) best = i;
  }
  lua_pushvalue(L, best);
#else
  lua_Number best = luaL_checknumber(L, 1);
  for (int i = 2; i <= n; i++) {
    lg_poll(st, L);
    lua_Number v = luaL_checknumber(L, i);
    if (LG_MIN_TAKES_NAN ? !(sign > 0 ? best < v : best > v) : (sign > 0 ? v < best : v > best)) best = v;
  }
  lua_pushnumber(L, best);
#endif
  return 1;
}

static int lg_math_min(lua_State *L) { return lg_math_extreme(L, 1); }
static int lg_math_max(lua_State *L) { return lg_math_extreme(L, -1); }

/* Push the math library and make the generator fresh. */
static void lg_open_math(lua_State *L) {
  static const struct lg_reg list[] = {
      {"abs", NULL},
      {"acos", NULL},
      {"asin", NULL},
      {"atan", NULL},
      {"atan2", NULL},
      {"ceil", NULL},
      {"cos", NULL},
      {"cosh", NULL},
      {"deg", NULL},
      {"exp", NULL},
      {"floor", NULL},
      {"fmod", NULL},
      {"frexp", NULL},
      {"huge", NULL},
      {"ldexp", NULL},
      {"log", NULL},
      {"log10", NULL},
      {"max", lg_math_max},
      {"min", lg_math_min},
      {"maxinteger", NULL},
      {"mininteger", NULL},
      {"mod", NULL},
      {"modf", NULL},
      {"pi", NULL},
      {"pow", NULL},
      {"rad", NULL},
      {"random", lg_math_random},
      {"randomseed", lg_math_randomseed},
      {"sin", NULL},
      {"sinh", NULL},
      {"sqrt", NULL},
      {"tan", NULL},
      {"tanh", NULL},
      {"tointeger", NULL},
      {"type", NULL},
      {"ult", NULL},
  };
  lg_lib_new(L, luaopen_math, "math", list, sizeof list / sizeof list[0]);
  lg_random_begin(lg_state_of(L));
}

#endif
